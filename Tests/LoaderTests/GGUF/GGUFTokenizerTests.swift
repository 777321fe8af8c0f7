import DoraText
import Testing

@testable import DoraLoader

/// Texts become the ids that llama.cpp gives them on the same file (`gguf_tokenizers.py`).
@Suite struct GGUFTokenizerTests {
    private static let folder = Fixtures.folder + "/gguf"

    private static let reference: JSONObject = {
        let bytes = (try? Fixtures.bytes(folder + "/tokenizers.json")) ?? []
        return (try? JSONValue(parsing: bytes))?.object ?? JSONObject()
    }()

    private static let texts = reference["texts"]?.array?.compactMap(\.string) ?? []

    private func expect(_ tokenizer: any Tokenizer, gives answers: JSONValue?, _ name: String) throws {
        let lists = try #require(answers?.array)
        try #require(lists.count == Self.texts.count && lists.count > 60)
        for (text, ids) in zip(Self.texts, lists) {
            let expected = try #require(ids.array).compactMap(\.int)
            #expect(
                tokenizer.encode(text, addingSpecialTokens: true) == expected,
                "\(name): \(text.debugDescription)")
        }
    }

    @Test(arguments: ["vocabulary-byte-level.gguf", "vocabulary-pieces.gguf", "vocabulary-pieces-bare.gguf"])
    func idsAreThoseOfLlamaCpp(file: String) throws {
        let model = try GGUFModel(path: Self.folder + "/" + file)
        let tokenizer = try #require(try TokenizerFiles.load(.gguf(model)))
        try expect(tokenizer, gives: Self.reference["files"]?.object?[file], file)
    }

    @Test(arguments: reference["pre"]?.object?.members.map(\.key) ?? [])
    func textsAreCutAsTheNameSays(pre: String) throws {
        let file = try GGUFFile(path: Self.folder + "/vocabulary-byte-level.gguf")
        func strings(_ key: String) throws -> [String] {
            try #require(try file.strings(key)).map { String(decoding: $0, as: UTF8.self) }
        }
        var builder = GGUFBuilder()
        builder["tokenizer.ggml.model"] = .string("gpt2")
        builder["tokenizer.ggml.pre"] = .string(pre)
        builder["tokenizer.ggml.tokens"] = .strings(try strings("tokenizer.ggml.tokens"))
        builder["tokenizer.ggml.merges"] = .strings(try strings("tokenizer.ggml.merges"))
        builder["tokenizer.ggml.token_type"] = .i32s(
            try #require(try file.numbers("tokenizer.ggml.token_type")).map { value in
                if case .integer(let kind) = value { Int32(kind) } else { 0 }
            })
        for role in ["bos", "eos"] {
            let key = "tokenizer.ggml.\(role)_token_id"
            builder[key] = .u32(UInt32(try #require(try file.integer(key))))
        }
        let tokenizer = try #require(try TokenizerFiles.load(.gguf(try builder.model())))
        let answer = try #require(Self.reference["pre"]?.object?[pre]?.int)
        try expect(tokenizer, gives: Self.reference["answers"]?.array?[answer], pre)
    }

    @Test func everyKnownNameIsChecked() {
        let names = Set(Self.reference["pre"]?.object?.members.map(\.key) ?? [])
        #expect(names == TextCutting.names)
    }

    @Test func rolesEndsAndTemplatesAreRead() throws {
        var builder = GGUFBuilder()
        builder.addTokenizer()
        builder["tokenizer.chat_template"] = .string("{{ bos_token }}x")
        builder["tokenizer.ggml.eot_token_id"] = .u32(6)
        let files = ModelFiles.gguf(try builder.model())
        let tokenizer = try #require(try TokenizerFiles.load(files))
        #expect(tokenizer.eosID == 2)
        #expect(tokenizer.encode("ab<t></s>", addingSpecialTokens: true) == [7, 9, 2])
        #expect(tokenizer.decode([7, 9, 2], skippingSpecialTokens: true) == "ab<t>")
        let defaults = try GenerationDefaults(files, configuration: ModelConfiguration(files))
        #expect(defaults.eosIDs == [2, 6] && defaults.bosID == 1)
        let chat = try #require(try ChatFormatFiles.load(file: nil, places: [files], companions: files))
        #expect(try chat.prompt(for: Conversation(user: "hi")) == "<s>x")
        builder["tokenizer.ggml.add_bos_token"] = .bool(true)
        builder["tokenizer.ggml.add_eos_token"] = .bool(true)
        let both = try #require(try TokenizerFiles.load(.gguf(try builder.model())))
        #expect(both.encode("ab", addingSpecialTokens: true) == [1, 7, 2])
    }

    @Test func namedTemplatesAreAllThere() throws {
        var builder = GGUFBuilder()
        builder.addTokenizer()
        builder["tokenizer.chat_template"] = .string("plain")
        builder["tokenizer.chat_templates"] = .strings(["tool_use"])
        builder["tokenizer.chat_template.tool_use"] = .string("tools")
        let bytes = try #require(try builder.model().bytes(of: "tokenizer_config.json"))
        let value = try #require(try JSONFields(parsing: bytes, file: "c")["chat_template"])
        let set = try #require(ChatTemplateSet(value))
        #expect(set.choose(hasTools: false) == "plain" && set.choose(hasTools: true) == "tools")
    }

    @Test func whatWouldBeCutWronglyIsRefused() {
        func expect(_ code: LoadError.Code, _ words: [String], _ change: (inout GGUFBuilder) -> Void) {
            var builder = GGUFBuilder()
            builder.addTokenizer()
            change(&builder)
            expectRefusal(code, naming: ["m.gguf"] + words) {
                _ = try TokenizerFiles.load(.gguf(try builder.model()))
            }
        }
        expect(.unsupported, ["tokenizer.ggml.pre", "\"mine\"", "--tokenizer DIR"]) {
            $0["tokenizer.ggml.pre"] = .string("mine")
        }
        expect(.unsupported, ["tokenizer.ggml.pre", "--tokenizer DIR"]) { $0["tokenizer.ggml.pre"] = nil }
        expect(.unsupported, ["tokenizer.ggml.model", "\"bert\"", "--tokenizer DIR"]) {
            $0["tokenizer.ggml.model"] = .string("bert")
        }
        expect(.malformed, ["tokenizer.ggml.tokens", "missing"]) { $0["tokenizer.ggml.tokens"] = nil }
        expect(.malformed, ["tokenizer.ggml.tokens", "an array of strings"]) {
            $0["tokenizer.ggml.tokens"] = .i32s([1])
        }
        expect(.malformed, ["tokenizer.ggml.merges[0]", "two tokens"]) {
            $0["tokenizer.ggml.merges"] = .strings(["ab"])
        }
        expect(.malformed, ["merges[0]", "\"x\""]) { $0["tokenizer.ggml.merges"] = .strings(["x b"]) }
        expect(.malformed, ["tokenizer.ggml.token_type", "10", "1"]) {
            $0["tokenizer.ggml.token_type"] = .i32s([1])
        }
        expect(.malformed, ["tokenizer.ggml.tokens[3]", "UTF-8"]) {
            let tokens = (0..<10).map { $0 == 3 ? [0xFF] : Array("t\($0)".utf8) }
            $0["tokenizer.ggml.tokens"] = .raw(
                9,
                littleEndian(UInt32(8)) + littleEndian(UInt64(10))
                    + tokens.flatMap { littleEndian(UInt64($0.count)) + $0 })
        }
        expect(.malformed, ["tokenizer.ggml.scores", "missing"]) {
            $0["tokenizer.ggml.model"] = .string("llama")
            $0["tokenizer.ggml.scores"] = nil
        }
        expect(.malformed, ["tokenizer.ggml.scores", "finite"]) {
            $0["tokenizer.ggml.model"] = .string("llama")
            $0["tokenizer.ggml.scores"] = .f32s([Float](repeating: .nan, count: 10))
        }
    }
}
