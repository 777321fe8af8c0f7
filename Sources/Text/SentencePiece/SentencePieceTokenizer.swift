/// `tokenizer.model` by itself: libsentencepiece encodes; decoding is done here, so that it can stream.
///
/// BOS is added, EOS is not. Special pieces written in the text are text.
package struct SentencePieceTokenizer: Tokenizer {
    private let library: SentencePieceLibrary
    private let pieces: SentencePieces
    private let bos: Int?
    package let eosID: Int?

    package init(serialized: [UInt8], file: String, addsBOS: Bool) throws(LoadError) {
        let options = try SentencePieceOptions(serialized: serialized, file: file)
        library = try SentencePieceLibrary(serialized: serialized, file: file)
        pieces = SentencePieces(library, options: options)
        bos = addsBOS ? library.bos : nil
        eosID = library.eos
    }

    package var vocabularySize: Int { pieces.count }

    package func specialID(of text: String) -> Int? {
        id(of: text).flatMap { pieces[$0]?.kind == .control ? $0 : nil }
    }

    /// Any piece that is spelled exactly so.
    func id(of text: String) -> Int? { library.id(of: text) }

    package func encode(_ text: String, addingSpecialTokens: Bool) -> [Int] {
        let ids = library.encode(text)
        guard addingSpecialTokens, let bos else { return ids }
        return [bos] + ids
    }

    /// The library never shows control pieces, so `skippingSpecialTokens` makes no difference.
    package func decode(_ ids: [Int], skippingSpecialTokens: Bool) -> String {
        SentencePieceStream(pieces).text(of: ids)
    }

    package func piece(_ id: Int) -> TokenPiece? {
        guard let piece = pieces[id] else { return nil }
        let bytes =
            switch piece.kind {
            case .control, .byte: Array(piece.bytes)
            case .unknown: pieces.options.unknownSurface
            case .normal: SentencePieces.spaced(piece.bytes)
            }
        return TokenPiece(bytes: bytes, isSpecial: piece.kind == .control)
    }

    package func makeDetokenizer() -> Detokenizer { Detokenizer(SentencePieceStream(pieces)) }
}

/// Decodes as libsentencepiece 0.1.97 and 0.2 do.
private struct SentencePieceStream: TokenStream {
    private let pieces: SentencePieces
    /// Bytes of byte pieces that may become a character with those that follow.
    private var pending: [UInt8] = []
    private var hasText = false
    /// Whether a space at the start may still be dropped, and whether the last piece had one that was.
    private var isAtStart = true
    private var droppedSpace = false

    init(_ pieces: SentencePieces) { self.pieces = pieces }

    mutating func append(_ id: Int, into text: inout [UInt8]) {
        guard let piece = pieces[id] else { return }
        let before = text.count
        if piece.kind == .byte {
            pending.append(contentsOf: piece.bytes)
            drain(isEnd: false, into: &text)
            if text.count > before { hasText = true }
            return
        }
        drain(isEnd: true, into: &text)
        if text.count > before { hasText = true }
        if droppedSpace || hasText { isAtStart = false }
        droppedSpace = false
        let surface = text.count
        show(piece, into: &text)
        if text.count > surface { hasText = true }
    }

    mutating func finish(into text: inout [UInt8]) { drain(isEnd: true, into: &text) }

    private mutating func show(_ piece: SentencePieces.Piece, into text: inout [UInt8]) {
        switch piece.kind {
        case .control, .byte: break
        case .unknown: text.append(contentsOf: pieces.options.unknownSurface)
        case .normal:
            var rest = piece.bytes
            if isAtStart, pieces.options.dropsFirstSpace, rest.starts(with: SentencePieces.space) {
                rest = rest.dropFirst(SentencePieces.space.count)
                droppedSpace = !pieces.options.dropsLeadingSpaces
            }
            text += SentencePieces.spaced(rest)
        }
    }

    /// Emits the characters that `pending` starts with. A byte that begins none becomes U+FFFD by itself.
    private mutating func drain(isEnd: Bool, into text: inout [UInt8]) {
        var index = 0
        while index < pending.count {
            switch UTF8Bytes.unit(in: pending, at: index, end: pending.count) {
            case .scalar(let length):
                text.append(contentsOf: pending[index..<index + length])
                index += length
                continue
            case .incomplete where !isEnd:
                pending.removeSubrange(..<index)
                return
            case .incomplete, .invalid:
                text.append(contentsOf: UTF8Bytes.replacement)
                index += 1
            }
        }
        pending.removeAll(keepingCapacity: true)
    }
}
