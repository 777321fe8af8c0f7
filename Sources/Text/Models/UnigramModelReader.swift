/// Reads the `model` of a `tokenizer.json` that is a unigram language model.
struct UnigramModelReader {
    private let file: String
    private var small = JSONObject()
    private var vocabulary: Vocabulary?
    private var scores: [Double] = []

    static func read(_ reader: inout JSONReader, file: String) throws -> UnigramModel {
        var model = UnigramModelReader(file: file)
        try reader.readObject { key, reader in try model.read(key, &reader) }
        return try model.assemble()
    }

    private init(file: String) { self.file = file }

    private mutating func read(_ key: String, _ reader: inout JSONReader) throws {
        guard key == "vocab" else {
            guard small.append(key, try JSONValue(from: &reader)) else {
                throw malformed(key, "the key stands twice")
            }
            return
        }
        guard vocabulary == nil else { throw malformed("vocab", "the key stands twice") }
        guard try reader.peek() == .array else {
            throw malformed("vocab", "expected an array of tokens and scores, found \(try reader.peek())")
        }
        try readVocabulary(&reader)
    }

    private mutating func readVocabulary(_ reader: inout JSONReader) throws {
        var vocabulary = Vocabulary()
        var scores: [Double] = []
        var token: [UInt8] = []
        try reader.readArray { reader in
            let id = scores.count
            guard id < Vocabulary.idLimit, try reader.peek() == .array else {
                throw malformed("vocab[\(id)]", "expected a token and its score, as [\"a\", -1.5]")
            }
            token.removeAll(keepingCapacity: true)
            var score: Double?
            var count = 0
            try reader.readArray { reader in
                switch (count, try reader.peek()) {
                case (0, .string): try reader.readString(into: &token)
                case (1, .number): score = try reader.readNumber().double
                default: throw malformed("vocab[\(id)]", "expected a token and its score, as [\"a\", -1.5]")
                }
                count += 1
            }
            guard let score, score.isFinite else {
                throw malformed("vocab[\(id)]", "expected a token and its score, a finite number")
            }
            guard vocabulary.insert(token, id: id) == .inserted else {
                throw malformed(
                    "vocab[\(id)]", "the token \"\(String(decoding: token, as: UTF8.self))\" stands twice")
            }
            scores.append(score)
        }
        self.vocabulary = vocabulary
        self.scores = scores
    }

    private func malformed(_ field: String, _ problem: String) -> LoadError {
        LoadError(.malformed, file: file, field: "model.\(field)", problem)
    }

    private func assemble() throws(LoadError) -> UnigramModel {
        let component = try JSONComponent(.object(small), file: file, path: "model")
        guard let vocabulary else { throw malformed("vocab", "expected tokens and scores, found nothing") }
        guard let unknown = small["unk_id"], unknown != .null else {
            throw component.unsupported(
                "unk_id", "a Unigram model without it, which cannot encode every text, is not supported")
        }
        guard let id = unknown.int, scores.indices.contains(id) else {
            throw component.error(.malformed, "unk_id", expected: "an id of the vocabulary")
        }
        return UnigramModel(
            vocabulary: vocabulary, scores: scores, unknown: id,
            byteFallback: try component.bool("byte_fallback", absent: false))
    }
}
