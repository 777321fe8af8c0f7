/// SentencePiece's way with spaces: each becomes a visible `▁`, one may be put before the text, and words are cut
/// before it.
struct Metaspace: Sendable {
    enum Prepending: String, Sendable {
        case always, first, never
    }

    let replacement: [UInt8]
    let prepending: Prepending
    let splits: Bool

    init(replacement: [UInt8], prepending: Prepending, splits: Bool) {
        self.replacement = replacement
        self.prepending = prepending
        self.splits = splits
    }

    /// Old files say `add_prefix_space` where newer ones have `prepend_scheme`.
    init(_ component: JSONComponent) throws(LoadError) {
        replacement = try component.scalar("replacement")
        var scheme = Prepending.always
        if component.object["prepend_scheme"] != nil {
            guard let named = Prepending(rawValue: try component.string("prepend_scheme")) else {
                throw component.error(.malformed, "prepend_scheme", expected: "always, first or never")
            }
            scheme = named
        }
        if try !component.bool("add_prefix_space", absent: true) {
            guard component.object["prepend_scheme"] == nil || scheme == .never else {
                throw component.error(
                    .malformed, "prepend_scheme", expected: "never, since add_prefix_space is false")
            }
            scheme = .never
        }
        prepending = scheme
        splits = try component.bool("split", absent: true)
    }

    func apply(_ text: inout TextPieces) {
        text.rewrite { bytes, piece, output in
            let start = output.count
            for byte in bytes[piece.range] {
                if byte == UInt8(ascii: " ") {
                    output.append(contentsOf: replacement)
                } else {
                    output.append(byte)
                }
            }
            if prepends(piece), !output[start...].starts(with: replacement) {
                output.insert(contentsOf: replacement, at: start)
            }
        }
        if splits { text.split { cut($0, $1, &$2) } }
    }

    private func prepends(_ piece: TextPieces.Piece) -> Bool {
        if piece.range.isEmpty { return false }
        return switch prepending {
        case .always: true
        case .first: piece.startsText
        case .never: false
        }
    }

    /// Cuts before each replacement.
    private func cut(_ bytes: [UInt8], _ range: Range<Int>, _ parts: inout [Range<Int>]) {
        var start = range.lowerBound
        var index = start
        while let found = ByteSearch.first(replacement, in: bytes, index..<range.upperBound) {
            if found.lowerBound > start { parts.append(start..<found.lowerBound) }
            start = found.lowerBound
            index = found.upperBound
        }
        parts.append(start..<range.upperBound)
    }
}
