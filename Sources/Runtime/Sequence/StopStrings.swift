/// Cuts a stream of text at the first stop string, holding back what may turn out to be the start of one.
///
/// Works on UTF-8, so that a stop string matches wherever its bytes stand, whatever characters they combine with.
struct StopStrings {
    private let stops: [[UInt8]]
    private var held: [UInt8] = []
    /// The stop string that was met; nothing is emitted after it.
    private(set) var met: String?
    var isMet: Bool { met != nil }

    init(_ stops: [String]) {
        self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
    }

    /// Takes a piece of text; answers what can be shown of it.
    mutating func append(_ text: String) -> String {
        if isMet { return "" }
        held += text.utf8
        if let (cut, stop) = earliestStop() {
            met = String(decoding: stop, as: UTF8.self)
            return take(cut)
        }
        return take(held.count - longestPossibleStart())
    }

    /// What was held back, at the end of the text.
    mutating func finish() -> String { isMet ? "" : take(held.count) }

    private mutating func take(_ count: Int) -> String {
        // A stop string may start inside a character only if it is no valid text; then the character waits.
        var end = count
        while end < held.count, end > 0, held[end] & 0xC0 == 0x80 { end -= 1 }
        let text = String(decoding: held[..<end], as: UTF8.self)
        held.removeFirst(end)
        return text
    }

    private func earliestStop() -> (place: Int, stop: [UInt8])? {
        for start in held.indices {
            if let stop = stops.first(where: { held[start...].starts(with: $0) }) { return (start, stop) }
        }
        return nil
    }

    /// Length of the longest end of the text that a stop string starts with.
    private func longestPossibleStart() -> Int {
        let longest = stops.map(\.count).max() ?? 0
        for length in stride(from: min(longest - 1, held.count), to: 0, by: -1) {
            let end = held.suffix(length)
            if stops.contains(where: { $0.starts(with: end) }) { return length }
        }
        return 0
    }
}
