import DoraLoader

#if canImport(Glibc)
import Glibc
#endif

/// Cosines and sines of a rotary embedding, computed for positions as they come.
///
/// Angles are rounded to F32 before the cosine, as transformers does: at position 7000 that shows.
struct RotaryTable {
    /// A token: its position, and the length of the sequence that decides how it is rotated.
    struct Token {
        let position: Int
        let length: Int
    }

    /// Angles of one position.
    let pairs: Int
    private let rope: RopeParameters
    private let headSize: Int
    /// Of sequences within the original context, and of longer ones where that makes a difference.
    private let short: AngleRows
    private let long: AngleRows
    /// Of tokens that have frequencies of their own, for one step.
    private let passing: AngleRows

    init(_ rope: RopeParameters, headSize: Int) {
        self.rope = rope
        self.headSize = headSize
        pairs = rope.dimensions(headSize: headSize) / 2
        short = AngleRows(pairs: pairs)
        long = AngleRows(pairs: pairs)
        passing = AngleRows(pairs: pairs)
        shortFrequencies = rope.inverseFrequencies(headSize: headSize)
        longFrequencies = rope.inverseFrequencies(headSize: headSize, length: .max)
    }

    private let shortFrequencies: [Float]
    private let longFrequencies: [Float]

    /// For each token `pairs` cosines and then as many sines, valid until the next call.
    func angles(of tokens: [Token]) -> [UnsafePointer<Float>] {
        passing.removeAll()
        let places = tokens.map { token -> (rows: AngleRows, row: Int) in
            switch rope.lengthDependence {
            case .grows(let positions) where token.length > positions:
                let frequencies = rope.inverseFrequencies(headSize: headSize, length: token.length)
                passing.append(position: token.position, frequencies, factor: rope.attentionFactor)
                return (passing, passing.count - 1)
            case .switches(let positions) where token.length > positions:
                long.extend(to: token.position + 1, longFrequencies, factor: rope.attentionFactor)
                return (long, token.position)
            default:
                short.extend(to: token.position + 1, shortFrequencies, factor: rope.attentionFactor)
                return (short, token.position)
            }
        }
        // Only now, as rows move when there are more of them.
        return places.map { $0.rows.row($0.row) }
    }
}

/// Rows of cosines and sines.
private final class AngleRows {
    private let pairs: Int
    private var floats: UnsafeMutablePointer<Float>
    private var capacity = 64
    private(set) var count = 0

    init(pairs: Int) {
        self.pairs = pairs
        floats = .allocate(capacity: capacity * 2 * pairs)
    }

    deinit { floats.deallocate() }

    func removeAll() { count = 0 }

    func row(_ index: Int) -> UnsafePointer<Float> { UnsafePointer(floats + index * 2 * pairs) }

    func extend(to positions: Int, _ frequencies: [Float], factor: Float) {
        while count < positions { append(position: count, frequencies, factor: factor) }
    }

    func append(position: Int, _ frequencies: [Float], factor: Float) {
        if count == capacity { grow() }
        let row = floats + count * 2 * pairs
        for (pair, frequency) in frequencies.enumerated() {
            let angle = Double(Float(position) * frequency)
            (row + pair).initialize(to: Float(cos(angle)) * factor)
            (row + pairs + pair).initialize(to: Float(sin(angle)) * factor)
        }
        count += 1
    }

    private func grow() {
        let larger = UnsafeMutablePointer<Float>.allocate(capacity: 2 * capacity * 2 * pairs)
        larger.moveInitialize(from: floats, count: count * 2 * pairs)
        floats.deallocate()
        floats = larger
        capacity *= 2
    }
}
