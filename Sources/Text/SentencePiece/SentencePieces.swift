/// The pieces of a SentencePiece model, for decoding.
struct SentencePieces: Sendable {
    enum Kind: Equatable, Sendable {
        case normal, unknown, control, byte
    }

    struct Piece {
        let kind: Kind
        /// The text with `▁` for spaces; of a byte piece the one byte that it stands for.
        let bytes: ArraySlice<UInt8>
    }

    /// U+2581, what a space becomes.
    static let space: [UInt8] = [0xE2, 0x96, 0x81]

    /// A piece's text as it is read.
    static func spaced(_ piece: ArraySlice<UInt8>) -> [UInt8] {
        var text: [UInt8] = []
        var rest = piece
        while let lead = rest.first {
            let isSpace = rest.starts(with: space)
            text.append(isSpace ? UInt8(ascii: " ") : lead)
            rest = rest.dropFirst(isSpace ? space.count : 1)
        }
        return text
    }

    let options: SentencePieceOptions
    /// All pieces end to end, and where each begins.
    private var text: [UInt8] = []
    private var starts: [Int] = [0]
    private var kinds: [Kind] = []

    init(_ library: SentencePieceLibrary, options: SentencePieceOptions) {
        self.options = options
        for id in 0..<library.pieceCount {
            var (bytes, kind) = library.piece(id)
            if kind == .byte, let byte = ByteToken.byte(bytes) { bytes = [byte] }
            text.append(contentsOf: bytes)
            starts.append(text.count)
            kinds.append(kind)
        }
    }

    var count: Int { kinds.count }

    subscript(id: Int) -> Piece? {
        guard kinds.indices.contains(id) else { return nil }
        return Piece(kind: kinds[id], bytes: text[starts[id]..<starts[id + 1]])
    }
}
