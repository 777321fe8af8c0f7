/// Text to token ids and back; the two implementations are `PipelineTokenizer` (`tokenizer.json`) and
/// `SentencePieceTokenizer` (`tokenizer.model`).
package protocol Tokenizer: Sendable {
    /// The ids of `text`; with `addingSpecialTokens` also those that the post-processor adds (BOS …).
    /// Special tokens written in the text are recognised either way, if the format does so.
    func encode(_ text: String, addingSpecialTokens: Bool) -> [Int]

    /// The text of `ids`, as the reference's
    /// `decode(skip_special_tokens: skippingSpecialTokens, clean_up_tokenization_spaces: false)`.
    /// Ids outside the vocabulary decode to nothing.
    func decode(_ ids: [Int], skippingSpecialTokens: Bool) -> String

    /// The highest id + 1.
    var vocabularySize: Int { get }
    /// Rows that an embedding must have: a token that only a configuration declares, often for padding, may have none.
    var neededRows: Int { get }

    /// The token that ends a text, as the tokenizer's configuration names it (`eos_token`); nil without one.
    var eosID: Int? { get }

    /// The special token, one that decoding can leave out, that is spelled exactly so.
    func specialID(of text: String) -> Int?

    /// What a token stands for; nil for ids outside the vocabulary.
    func piece(_ id: Int) -> TokenPiece?

    /// A streaming decoder that skips special tokens.
    func makeDetokenizer() -> Detokenizer
}

/// Decodes token by token. It never emits half a character, and the pieces joined, the one of `finish` included,
/// are exactly what `decode` gives for all the ids: text that a later token may still change is held back.
package struct Detokenizer: Sendable {
    private var stream: any TokenStream

    init(_ stream: any TokenStream) {
        self.stream = stream
    }

    /// The text that is settled now that `id` has arrived; often empty.
    package mutating func append(_ id: Int) -> String {
        var text: [UInt8] = []
        stream.append(id, into: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// The text that was held back. Nothing may be appended afterwards.
    package mutating func finish() -> String {
        var text: [UInt8] = []
        stream.finish(into: &text)
        return String(decoding: text, as: UTF8.self)
    }
}

/// What a tokenizer supplies to its `Detokenizer`; appends valid UTF-8 that ends on a character's boundary.
protocol TokenStream: Sendable {
    mutating func append(_ id: Int, into text: inout [UInt8])
    mutating func finish(into text: inout [UInt8])
}

extension TokenStream {
    /// Decodes all of `ids` at once.
    consuming func text(of ids: [Int]) -> String {
        var text: [UInt8] = []
        for id in ids { append(id, into: &text) }
        finish(into: &text)
        return String(decoding: text, as: UTF8.self)
    }
}

extension Tokenizer {
    package var neededRows: Int { vocabularySize }
}
