/// The step of a tokenizer that turns pre-tokens into ids.
protocol SubwordModel: Sendable {
    var vocabulary: Vocabulary { get }

    /// Appends the ids of every piece of a text; a piece that is a token already is its id.
    func encode(_ text: TextPieces, into ids: inout [Int])
}

extension TextPieces {
    /// Appends the ids of the tokens, and lets `encode` append those of the other pieces.
    func encode(
        into ids: inout [Int], _ encode: (_ bytes: [UInt8], _ range: Range<Int>, _ ids: inout [Int]) -> Void
    ) {
        for piece in pieces {
            if let token = piece.token { ids.append(token) } else { encode(bytes, piece.range, &ids) }
        }
    }
}
