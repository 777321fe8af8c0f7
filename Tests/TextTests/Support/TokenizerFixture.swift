import DoraLoader
import Testing

@testable import DoraText

/// A folder of `Tests/Fixtures/tokenizers`, which `Tests/Fixtures/make/tokenizer_fixtures.py` writes, with what the
/// reference library makes of it.
struct TokenizerFixture {
    /// A text, its ids without and with those that the post-processor adds, and the latter decoded.
    struct TextVector {
        let text: String
        let ids: [Int]
        let withSpecialTokens: [Int]
        let decoded: Decoded
    }

    struct Decoded {
        let skippingSpecialTokens: String
        let whole: String
    }

    static let root = Fixtures.folder + "/tokenizers"

    static let names = [
        "bare", "configured", "configured-list", "configured-roles", "decoding", "digits", "flags", "gemma",
        "gpt2", "llama2", "llama3",
        "metaspace-always",
        "metaspace-first", "metaspace-never", "qwen", "sentencepiece", "sentencepiece-added",
        "sentencepiece-decoder", "sentencepiece-legacy", "sentencepiece-plain", "splits", "unigram-albert",
        "unigram-bytes", "unigram-t5", "unigram-xlmr",
    ]

    let tokenizer: any Tokenizer
    let texts: [TextVector]
    let sequences: [(ids: [Int], decoded: Decoded)]

    init(_ name: String) throws {
        let folder = "\(Self.root)/\(name)"
        tokenizer = try #require(try TokenizerFiles.load(ModelFiles(folder)))
        let bytes = try Fixtures.bytes(folder + "/vectors.json")
        let root = try #require(try JSONValue(parsing: bytes).object)
        texts = try #require(root["texts"]?.array).map { value in
            let item = try #require(value.array)
            return TextVector(
                text: try #require(item[0].string), ids: try Self.ids(item[1]),
                withSpecialTokens: try Self.ids(item[2]), decoded: try Self.decoded(item[3...]))
        }
        sequences = try #require(root["ids"]?.array).map { value in
            let item = try #require(value.array)
            return (try Self.ids(item[0]), try Self.decoded(item[1...]))
        }
        try #require(texts.count > 40 && sequences.count > 20)
    }

    private static func ids(_ value: JSONValue) throws -> [Int] {
        try #require(value.array).map { try #require($0.int) }
    }

    private static func decoded(_ values: ArraySlice<JSONValue>) throws -> Decoded {
        let texts = try values.map { try #require($0.string) }
        return Decoded(skippingSpecialTokens: texts[0], whole: texts[1])
    }
}

extension String {
    /// Byte by byte; `==` would take NFC and NFD for the same.
    func isExactly(_ other: String) -> Bool { Array(utf8) == Array(other.utf8) }
}
