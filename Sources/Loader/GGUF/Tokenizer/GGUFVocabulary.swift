import DoraText

/// What `tokenizer.ggml.…` says of a vocabulary.
struct GGUFVocabulary {
    /// Kinds of tokens, by their numbers, which are SentencePiece's.
    enum Kind: Int {
        case undefined, normal, unknown, control, userDefined, unused, byte

        /// Whether it is found in a text before the model sees that.
        var isAdded: Bool { self == .control || self == .userDefined || self == .unknown }
    }

    static let prefix = "tokenizer.ggml."
    let file: GGUFFile
    /// Valid UTF-8, by id.
    let tokens: [[UInt8]]
    let kinds: [Kind]

    init(_ file: GGUFFile) throws(LoadError) {
        self.file = file
        let key = Self.prefix + "tokens"
        guard var tokens = try file.strings(key) else { throw file.missing(key) }
        for index in tokens.indices {
            guard String(validating: tokens[index], as: UTF8.self) != nil else {
                throw LoadError(
                    .malformed, file: file.path, field: "\(key)[\(index)]", "the token is not valid UTF-8",
                    advice: "convert the model again")
            }
            // As llama.cpp calls a token without a text.
            if tokens[index].isEmpty { tokens[index] = Array("[EMPTY_\(index)]".utf8) }
        }
        self.tokens = tokens
        kinds = try Self.kinds(file, count: tokens.count)
    }

    private static func kinds(_ file: GGUFFile, count: Int) throws(LoadError) -> [Kind] {
        let key = prefix + "token_type"
        guard let values = try file.numbers(key) else { return [Kind](repeating: .normal, count: count) }
        guard values.count == count else { throw mismatch(file, key, expected: count, found: values.count) }
        return values.map { value in
            guard case .integer(let number) = value else { return .undefined }
            return Kind(rawValue: number) ?? .undefined
        }
    }

    /// One for each token.
    func scores() throws(LoadError) -> [Float] {
        let key = Self.prefix + "scores"
        guard let values = try file.numbers(key) else { throw file.missing(key) }
        guard values.count == tokens.count else {
            throw Self.mismatch(file, key, expected: tokens.count, found: values.count)
        }
        var scores: [Float] = []
        scores.reserveCapacity(values.count)
        for value in values {
            switch value {
            case .integer(let score): scores.append(Float(score))
            case .float(let score, _) where score.isFinite: scores.append(Float(score))
            default: throw file.mismatch(key, expected: "finite numbers", value)
            }
        }
        return scores
    }

    /// The id under a key; nil where there is none, or no such token.
    func id(_ role: String) throws(LoadError) -> Int? { try Self.id(role, in: file, count: tokens.count) }

    static func id(_ role: String, in file: GGUFFile, count: Int) throws(LoadError) -> Int? {
        try file.integer("\(prefix)\(role)_token_id").flatMap { (0..<count).contains($0) ? $0 : nil }
    }

    private static func mismatch(_ file: GGUFFile, _ key: String, expected: Int, found: Int) -> LoadError {
        LoadError(
            .malformed, file: file.path, field: key, expected: "\(expected), as there are tokens",
            found: "\(found)",
            advice: "convert the model again")
    }
}

/// Which tokens begin and end a text.
struct GGUFEnds {
    private let bos: Int?
    private let eos: [Int]

    /// Tokens that end a turn, in files that do not say which does (llama.cpp `llama-vocab.cpp`).
    private static let turnEnds = [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>",
        "<|eom_id|>",
    ]

    init(_ file: GGUFFile) throws(LoadError) {
        let tokens = try file.strings(GGUFVocabulary.prefix + "tokens") ?? []
        bos = try GGUFVocabulary.id("bos", in: file, count: tokens.count)
        var ends: [Int] = []
        for role in ["eos", "eot", "eom"] {
            guard let id = try GGUFVocabulary.id(role, in: file, count: tokens.count) else { continue }
            if !ends.contains(id) { ends.append(id) }
        }
        let known = Set(Self.turnEnds.map { Array($0.utf8) })
        for (id, token) in tokens.enumerated() where known.contains(token) && !ends.contains(id) {
            ends.append(id)
        }
        eos = ends
    }

    func add(to members: inout Members) {
        if let bos { members["bos_token_id"] = .integer(bos) }
        if !eos.isEmpty { members["eos_token_id"] = .array(eos.map { .integer($0) }) }
    }
}
