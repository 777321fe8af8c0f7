import DoraLoader

#if canImport(Glibc)
import Glibc
#endif

/// Cosines and sines of the rotary embedding, computed for positions as they come.
///
/// Angles are rounded to F32 before the cosine, as transformers does: at position 7000 that shows.
struct RotaryTable {
    private let frequencies: [Float]
    private(set) var cosines: [Float] = []
    private(set) var sines: [Float] = []

    /// Angles of one position.
    var pairs: Int { frequencies.count }

    init(_ configuration: ModelConfiguration) {
        frequencies = configuration.rope.inverseFrequencies(headSize: configuration.headSize)
    }

    mutating func extend(to positions: Int) {
        for position in cosines.count / pairs..<max(positions, cosines.count / pairs) {
            for frequency in frequencies {
                let angle = Double(Float(position) * frequency)
                cosines.append(Float(cos(angle)))
                sines.append(Float(sin(angle)))
            }
        }
    }
}
