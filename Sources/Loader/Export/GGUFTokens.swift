import DoraText

/// The vocabulary of a tokenizer in the form of a GGUF file, one token for each row of the embedding.
struct GGUFTokens {
    private var tokens: [[UInt8]]
    private var kinds: [GGUFVocabulary.Kind]
    private var others: [(key: String, value: GGUFMetadataValue)]
    private static let prefix = GGUFVocabulary.prefix

    var metadata: [(key: String, value: GGUFMetadataValue)] {
        [
            (Self.prefix + "tokens", .strings(tokens)),
            (Self.prefix + "token_type", .integers(kinds.map(\.rawValue))),
        ] + others
    }

    func id(of token: [UInt8]) -> Int? { tokens.firstIndex(of: token) }

    /// Names for rows that no token has.
    private init(count: Int) {
        tokens = (0..<count).map { Array("[PAD\($0)]".utf8) }
        kinds = [GGUFVocabulary.Kind](repeating: .unused, count: count)
        others = []
    }

    private mutating func set(
        _ id: Int, _ token: [UInt8], _ kind: GGUFVocabulary.Kind, file: String
    ) throws(LoadError) {
        guard tokens.indices.contains(id) else {
            throw LoadError(
                .mismatch, file: file, field: String(decoding: token, as: UTF8.self),
                expected: "an id below \(tokens.count), as the embedding has rows", found: "\(id)",
                advice: "give --tokenizer the folder of the tokenizer that the model was trained with")
        }
        tokens[id] = token
        kinds[id] = kind
    }

    /// Tokens that are found in a text before it is cut.
    private mutating func add(_ added: [JSONValue], file: String) throws(LoadError) {
        for value in added {
            guard let token = value.object, let id = token["id"]?.int, let text = token["content"]?.string
            else { continue }
            // Some declare tokens that the embedding has no rows for, for padding.
            guard tokens.indices.contains(id) else { continue }
            let isSpecial = token["special"]?.bool ?? false
            // A piece that stands for what is unknown, or for a byte, stays that.
            if kinds[id] == .unknown || kinds[id] == .byte { continue }
            try set(id, Array(text.utf8), isSpecial ? .control : .userDefined, file: file)
        }
    }
}

/// Byte-level BPE: tokens and merges.
extension GGUFTokens {
    /// Nil for a `tokenizer.json` of another kind.
    /// - Throws: `LoadError` `.unsupported` where llama.cpp would cut texts otherwise.
    init?(byteLevel json: JSONFields, count: Int) throws(LoadError) {
        guard let model = try json.fields("model"), model["merges"] != nil,
            try model.bool("byte_fallback") != true, let vocabulary = try model.fields("vocab")
        else { return nil }
        self.init(count: count)
        for (token, id) in vocabulary.object.members {
            guard let id = id.int else { throw vocabulary.mismatch(token, expected: "an id", id) }
            try set(id, Array(token.utf8), .normal, file: json.file)
        }
        try add(json["added_tokens"]?.array ?? [], file: json.file)
        let cutting = try TextCuttingReader(json).cutting(
            ignoresMerges: try model.bool("ignore_merges") ?? false)
        others = [
            (Self.prefix + "model", .text("gpt2")), (Self.prefix + "pre", .text(cutting)),
            (Self.prefix + "merges", .strings(try Self.merges(model))),
        ]
    }

    private static func merges(_ model: JSONFields) throws(LoadError) -> [[UInt8]] {
        var merges: [[UInt8]] = []
        for value in model["merges"]?.array ?? [] {
            let pair = value.array?.compactMap(\.string) ?? []
            guard let text = value.string ?? (pair.count == 2 ? pair.joined(separator: " ") : nil),
                text.utf8.count(where: { $0 == UInt8(ascii: " ") }) == 1
            else {
                throw model.mismatch("merges", expected: "pairs of tokens without spaces", value)
            }
            merges.append(Array(text.utf8))
        }
        return merges
    }
}

/// SentencePiece's BPE: pieces and scores.
extension GGUFTokens {
    /// - Parameter added: objects with `id`, `content` and `special`.
    init(pieces: SentencePieceTable, added: [JSONValue], count: Int) throws(LoadError) {
        guard pieces.isBPE else {
            throw LoadError(
                .unsupported, file: pieces.file, field: "trainer_spec.model_type",
                "tokenizers of SentencePiece that are no BPE are not written",
                advice: "export the model in the Hugging Face layout")
        }
        self.init(count: count)
        var scores = [Float](repeating: -10_000, count: count)
        for (id, piece) in pieces.pieces.enumerated() {
            try set(id, piece.text, .init(rawValue: piece.kind) ?? .normal, file: pieces.file)
            scores[id] = piece.score
        }
        try add(added, file: pieces.file)
        others = [
            (Self.prefix + "model", .text("llama")), (Self.prefix + "pre", .text("default")),
            (Self.prefix + "scores", .floats(scores)),
            (Self.prefix + "add_space_prefix", .bool(pieces.addsDummyPrefix)),
        ]
    }
}

/// How a `tokenizer.json` cuts texts, by the name that llama.cpp has for it.
private struct TextCuttingReader {
    private let json: JSONFields

    init(_ json: JSONFields) { self.json = json }

    func cutting(ignoresMerges: Bool) throws(LoadError) -> String {
        if let normalizer = json["normalizer"]?.object, normalizer["type"]?.string != "NFC" {
            throw json.unsupported(
                "normalizer", "llama.cpp knows no normalizer \"\(normalizer["type"]?.string ?? "")\"",
                advice: "export the model in the Hugging Face layout")
        }
        let patterns = try patterns()
        guard let name = TextCutting.name(patterns: patterns, ignoresMerges: ignoresMerges) else {
            throw json.unsupported(
                "pre_tokenizer", "llama.cpp has no name for how it cuts texts",
                advice: "export the model in the Hugging Face layout")
        }
        return name
    }

    private func patterns() throws(LoadError) -> [String] {
        guard let root = json["pre_tokenizer"]?.object else { return [] }
        let steps = root["pretokenizers"]?.array?.compactMap(\.object) ?? [root]
        var patterns: [String] = []
        for step in steps {
            switch step["type"]?.string {
            case "Split" where step["behavior"]?.string == "Isolated" && step["invert"]?.bool != true:
                patterns.append(step["pattern"]?.object?["Regex"]?.string ?? "")
            case "Digits" where step["individual_digits"]?.bool == true: patterns.append(TextCutting.digit)
            case "ByteLevel" where step["add_prefix_space"]?.bool != true:
                if step["use_regex"]?.bool != false { patterns.append(TextCutting.gpt2) }
            default:
                throw json.unsupported(
                    "pre_tokenizer", "llama.cpp knows no step \"\(step["type"]?.string ?? "")\" of this kind",
                    advice: "export the model in the Hugging Face layout")
            }
        }
        return patterns
    }
}
