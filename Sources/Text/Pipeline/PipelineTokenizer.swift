/// A tokenizer as `tokenizer.json` describes it, step by step: added tokens, normalizer, pre-tokenizer, model,
/// post-processor, and back through the decoder.
///
/// The reference is the `tokenizers` library on the same file (0.23), with the tokens that the configuration adds to it, not
/// the classes that transformers rebuilds from its parts.
package struct PipelineTokenizer: Tokenizer {
    var model: any SubwordModel
    var added = AddedTokens()
    var normalizer: Normalizer?
    var preTokenizer: PreTokenizer?
    var postProcessor = PostProcessor()
    var decoder: DecoderPlan
    package var eosID: Int?

    /// Without the tokens that only a configuration declares.
    var fileSize: Int?

    package var vocabularySize: Int {
        (added.tokens.map { $0.id + 1 } + [model.vocabulary.size]).max() ?? 0
    }

    package var neededRows: Int { fileSize ?? vocabularySize }

    /// Adds the tokens that the configuration declares and the tokenizer's own file does not know, or knows otherwise.
    ///
    /// Source: transformers `tokenization_utils_tokenizers.py`, `TokenizersBackend.__init__`.
    package mutating func add(_ configuration: TokenizerConfiguration) throws(LoadError) {
        fileSize = vocabularySize
        try added.add(configuration, vocabulary: model.vocabulary, normalizer: normalizer)
    }

    package func encode(_ text: String, addingSpecialTokens: Bool) -> [Int] {
        var pieces = TextPieces(text)
        added.split(&pieces, normalized: false)
        if let normalizer {
            pieces.rewrite { bytes, piece, output in
                output.append(contentsOf: normalizer.apply(Array(bytes[piece.range])))
            }
        }
        added.split(&pieces, normalized: true)
        preTokenizer?.apply(&pieces)
        var ids = addingSpecialTokens ? postProcessor.before : []
        model.encode(pieces, into: &ids)
        if addingSpecialTokens { ids += postProcessor.after }
        return ids
    }

    package func specialID(of text: String) -> Int? {
        let content = Array(text.utf8)
        return added.tokens.first { $0.isSpecial && $0.content == content }?.id
    }

    /// Any token that is spelled exactly so.
    package func id(of text: String) -> Int? {
        let content = Array(text.utf8)
        return added.tokens.first { $0.content == content }?.id ?? model.vocabulary.id(of: content)
    }

    package func decode(_ ids: [Int], skippingSpecialTokens: Bool) -> String {
        stream(skippingSpecialTokens: skippingSpecialTokens).text(of: ids)
    }

    package func makeDetokenizer() -> Detokenizer { Detokenizer(stream(skippingSpecialTokens: true)) }

    package func piece(_ id: Int) -> TokenPiece? {
        guard let token = added.spellings[id] ?? model.vocabulary[id].map(Array.init) else { return nil }
        let isSpecial = added.specialSpellings.contains(token)
        return TokenPiece(bytes: isSpecial ? token : decoder.piece(token), isSpecial: isSpecial)
    }

    private func stream(skippingSpecialTokens: Bool) -> PipelineStream {
        PipelineStream(
            vocabulary: model.vocabulary, spellings: added.spellings,
            skipped: skippingSpecialTokens ? added.specialSpellings : [], decoder: decoder.makeDecoder())
    }
}

/// Looks tokens up and hands them to the decoder.
private struct PipelineStream: TokenStream {
    let vocabulary: Vocabulary
    let spellings: [Int: [UInt8]]
    let skipped: Set<[UInt8]>
    var decoder: StreamingDecoder

    mutating func append(_ id: Int, into text: inout [UInt8]) {
        guard let token = spellings[id] ?? vocabulary[id].map(Array.init) else { return }
        if !skipped.isEmpty, skipped.contains(token) { return }
        decoder.append(token, into: &text)
    }

    mutating func finish(into text: inout [UInt8]) { decoder.finish(into: &text) }
}
