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
