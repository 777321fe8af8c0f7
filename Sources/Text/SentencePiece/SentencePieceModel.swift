/// libsentencepiece as the model of a pipeline, whose other steps find the added tokens and put the space before a text.
struct SentencePieceModel: SubwordModel {
    let vocabulary: Vocabulary
    private let library: SentencePieceLibrary

    /// - Parameter library: one that adds and removes no spaces.
    init(_ library: SentencePieceLibrary) {
        var vocabulary = Vocabulary(expecting: library.pieceCount)
        for id in 0..<min(library.pieceCount, Vocabulary.idLimit) {
            _ = vocabulary.insert(library.piece(id).bytes, id: id)
        }
        self.vocabulary = vocabulary
        self.library = library
    }

    func encode(_ text: TextPieces, into ids: inout [Int]) {
        text.encode(into: &ids) { bytes, range, ids in
            ids += library.encode(String(decoding: bytes[range], as: UTF8.self))
        }
    }
}

extension PipelineTokenizer {
    /// `tokenizer.model` with a configuration: special and added tokens are found in the text, and what is between them is
    /// cut by libsentencepiece.
    ///
    /// Source: transformers `LlamaTokenizer` 5.23, but for the order of merges, which there is that of the ids and here that
    /// of the model's own scores, with which such models were trained: runs of spaces may be cut otherwise.
    package init(
        sentencePiece bytes: [UInt8], file: String, configuration: TokenizerConfiguration
    ) throws(LoadError) {
        let fields = configuration.fields
        if try fields.bool("split_special_tokens") == true {
            throw fields.unsupported(
                "split_special_tokens", "true is not supported",
                advice: "remove the key, or add a tokenizer.json")
        }
        let options = try SentencePieceOptions(serialized: bytes, file: file)
        let library = try SentencePieceLibrary(
            serialized: bytes + SentencePieceOptions.withoutSpaces, file: file)
        let model = SentencePieceModel(library)
        let addsSpace = try fields.bool("add_prefix_space") ?? options.addsDummyPrefix
        let isLegacy = try fields.bool("legacy") ?? false
        // The key of GGUF files: unlike the other it puts a space before every text, also one that begins with a space.
        let prependsSpace = try fields.bool("add_space_prefix") ?? false
        self.init(model: model, decoder: .sentencePiece(dropsFirstSpace: addsSpace || prependsSpace))
        normalizer = options.dropsLeadingSpaces ? .spaced(.collapse) : nil
        if prependsSpace { normalizer = .prepend([UInt8(ascii: " ")]) }
        preTokenizer = .metaspace(
            Metaspace(
                replacement: SentencePieces.space,
                prepending: !addsSpace ? .never : isLegacy ? .always : .first, splits: false))

        var configuration = configuration
        let pieces = (0..<library.pieceCount).map(library.piece)
        configuration.defaults["bos_token"] = library.bos.map { pieces[$0].bytes }
        configuration.defaults["eos_token"] = library.eos.map { pieces[$0].bytes }
        configuration.defaults["unk_token"] = pieces.first { $0.kind == .unknown }?.bytes
        let others = pieces.lazy.filter { $0.kind == .control || options.userDefined.contains($0.bytes) }
            .map { AddedTokens.Token(id: 0, content: $0.bytes, isSpecial: $0.kind == .control) }
        try added.add(
            configuration.declaredTokens(others: Array(others)), vocabulary: model.vocabulary,
            normalizer: normalizer)
        let bos = try configuration.token("bos_token").flatMap(id)
        let eos = try configuration.token("eos_token").flatMap(id)
        eosID = eos
        if let bos, try fields.bool("add_bos_token") ?? true { postProcessor.before = [bos] }
        if let eos, try fields.bool("add_eos_token") ?? false { postProcessor.after = [eos] }
    }
}
