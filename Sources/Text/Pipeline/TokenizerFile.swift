/// Reads `tokenizer.json` in one pass: the small components as JSON values, the vocabulary and the merges, 99 % of
/// the file, straight into their tables.
package enum TokenizerFile {
    /// - Parameter file: what messages call it.
    package static func read(_ bytes: [UInt8], file: String) throws(LoadError) -> PipelineTokenizer {
        if let offset = UTF8Bytes.firstFlaw(in: bytes) {
            throw LoadError(.malformed, file: file, field: "byte \(offset)", "the file is not valid UTF-8")
        }
        var parts = Parts()
        do {
            try parts.read(bytes, file: file)
        } catch let error as JSONReader.SyntaxError {
            throw LoadError(.malformed, file: file, field: "byte \(error.offset)", error.problem)
        } catch let error as LoadError {
            throw error
        } catch {
            throw LoadError(.malformed, file: file, "\(error)")
        }
        return try parts.assemble(file: file)
    }
}

private struct Parts {
    private var model: (any SubwordModel)?
    private var others = JSONObject()

    mutating func read(_ bytes: [UInt8], file: String) throws {
        var reader = JSONReader(bytes)
        guard try reader.peek() == .object else {
            throw LoadError(.malformed, file: file, "expected an object, found \(try reader.peek())")
        }
        try reader.readObject { key, reader in
            switch key {
            case "model":
                guard model == nil else {
                    throw LoadError(.malformed, file: file, field: key, "the key stands twice")
                }
                model =
                    try Self.isUnigram(reader)
                    ? UnigramModelReader.read(&reader, file: file) : BPEModelReader.read(&reader, file: file)
            case "truncation", "padding": try reader.skipValue()
            default:
                guard others.append(key, try JSONValue(from: &reader)) else {
                    throw LoadError(.malformed, file: file, field: key, "the key stands twice")
                }
            }
        }
        try reader.readEnd()
    }

    /// By the `type`, or by the vocabulary where that stands first: only that of Unigram is an array.
    private static func isUnigram(_ reader: JSONReader) throws -> Bool {
        struct Found: Error { let isUnigram: Bool }
        var reader = reader
        guard try reader.peek() == .object else { return false }
        do {
            try reader.readObject { key, reader in
                switch (key, try reader.peek()) {
                case ("type", .string): throw Found(isUnigram: try reader.readString() == "Unigram")
                case ("vocab", let kind): throw Found(isUnigram: kind == .array)
                default: try reader.skipValue()
                }
            }
        } catch let found as Found { return found.isUnigram }
        return false
    }

    func assemble(file: String) throws(LoadError) -> PipelineTokenizer {
        let root = try JSONComponent(.object(others), file: file, path: "")
        if let version = others["version"], version.string != "1.0" {
            throw root.error(.unsupported, "version", expected: "\"1.0\"")
        }
        guard let model else {
            throw LoadError(.malformed, file: file, field: "model", expected: "a model", found: "nothing")
        }
        var tokenizer = PipelineTokenizer(
            model: model, decoder: try DecoderPlan(component("decoder", of: root)))
        if let part = try component("normalizer", of: root) { tokenizer.normalizer = try Normalizer(part) }
        if let part = try component("pre_tokenizer", of: root) {
            tokenizer.preTokenizer = try PreTokenizer(part)
        }
        if let part = try component("post_processor", of: root) {
            tokenizer.postProcessor = try PostProcessor(part)
        }
        if others["added_tokens"] != nil {
            tokenizer.added = try AddedTokens(
                root.components("added_tokens"), vocabulary: model.vocabulary,
                normalizer: tokenizer.normalizer)
        }
        return tokenizer
    }

    /// A component that may be absent or null.
    private func component(_ key: String, of root: JSONComponent) throws(LoadError) -> JSONComponent? {
        switch others[key] {
        case nil, .null: nil
        default: try root.component(key)
        }
    }
}

extension AddedTokens {
    /// The reference ignores the ids that the file gives: a token that the model has keeps the model's id, any
    /// other gets the next free one. A file in which that differs from what it says is refused.
    init(_ components: [JSONComponent], vocabulary: Vocabulary, normalizer: Normalizer?) throws(LoadError) {
        self.init()
        var next = vocabulary.count
        for component in components {
            let token = try Self.token(component)
            if token.content.isEmpty { continue }
            let known = vocabulary.id(of: token.content) ?? tokens.first { $0.content == token.content }?.id
            let expected = known ?? next
            guard token.id == expected else {
                throw component.error(
                    .malformed, "id", expected: "\(expected), the id that the reference library gives it",
                    advice: "save the tokenizer again with the tokenizers library")
            }
            if known == nil { next += 1 }
            if let clash = add(token, normalizer: normalizer) {
                throw component.error(.malformed, clash, expected: "one that no other added token has")
            }
        }
    }

    private static func token(_ component: JSONComponent) throws(LoadError) -> Token {
        let id = try component.count("id")
        guard id < Vocabulary.idLimit else {
            throw component.error(.malformed, "id", expected: "an id below \(Vocabulary.idLimit)")
        }
        return Token(
            id: id, content: try component.bytes("content"),
            isSingleWord: try component.bool("single_word"), stripsLeft: try component.bool("lstrip"),
            stripsRight: try component.bool("rstrip"), isNormalized: try component.bool("normalized"),
            isSpecial: try component.bool("special"))
    }
}
