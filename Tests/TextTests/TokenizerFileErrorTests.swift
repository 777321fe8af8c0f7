import Testing

@testable import DoraText

/// What is wrong with a `tokenizer.json` or `tokenizer.model` is said by file and field.
@Suite struct TokenizerFileErrorTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let json: String
        let code: LoadError.Code
        let field: String?

        init(_ json: String, _ code: LoadError.Code, _ field: String?) {
            self.json = json
            self.code = code
            self.field = field
        }

        var testDescription: String { json }
    }

    /// A sound file with some of its parts replaced.
    private static func file(
        vocabulary: String = #"{"a":0,"b":1,"ab":2,"<unk>":3}"#, merges: String = #"["a b"]"#,
        model: String = "",
        more: String = ""
    ) -> String {
        #"{"version":"1.0","model":{"type":"BPE","vocab":\#(vocabulary),"merges":\#(merges)\#(model)}\#(more)}"#
    }

    private static func added(_ content: String, id: Int) -> String {
        #"{"id":\#(id),"content":"\#(content)","single_word":false,"lstrip":false,"rstrip":false,"#
            + #""normalized":false,"special":true}"#
    }

    private static func charactersMap(_ base64: String) -> String {
        #","normalizer":{"type":"Precompiled","precompiled_charsmap":"\#(base64)"}"#
    }

    private static func split(_ regex: String) -> String {
        file(
            more: #","pre_tokenizer":{"type":"Split","pattern":{"Regex":"\#(regex)"},"behavior":"Isolated","#
                + #""invert":false}"#)
    }

    static let cases: [Case] = [
        Case("", .malformed, "byte 0"),
        Case("[]", .malformed, nil),
        Case(file() + "x", .malformed, "byte 96"),
        Case(#"{"version":"1.0"}"#, .malformed, "model"),
        Case(#"{"model":{"merges":[]}}"#, .malformed, "model.vocab"),
        Case(#"{"model":{"vocab":{}}}"#, .malformed, "model.merges"),
        Case(#"{"model":7}"#, .malformed, "model"),
        Case(#"{"model":{"type":"WordPiece","vocab":{},"merges":[]}}"#, .unsupported, "model.type"),
        Case(#"{"model":{"type":"Unigram","vocab":{},"unk_id":0}}"#, .malformed, "model.vocab"),
        Case(#"{"model":{"type":"Unigram","unk_id":0}}"#, .malformed, "model.vocab"),
        Case(#"{"model":{"type":"Unigram","vocab":[["a",-1]]}}"#, .unsupported, "model.unk_id"),
        Case(#"{"model":{"vocab":[["a",-1]],"unk_id":1}}"#, .malformed, "model.unk_id"),
        Case(#"{"model":{"vocab":[["a",-1],["a",-2]],"unk_id":0}}"#, .malformed, "model.vocab[1]"),
        Case(#"{"model":{"vocab":[["a",1e999]],"unk_id":0}}"#, .malformed, "model.vocab[0]"),
        Case(#"{"model":{"vocab":[["a"]],"unk_id":0}}"#, .malformed, "model.vocab[0]"),
        Case(#"{"model":{"vocab":[["a",1,2]],"unk_id":0}}"#, .malformed, "model.vocab[0]"),
        Case(#"{"model":{"vocab":["a"],"unk_id":0}}"#, .malformed, "model.vocab[0]"),
        Case(#"{"model":{"vocab":[["a",-1]],"vocab":[],"unk_id":0}}"#, .malformed, "model.vocab"),
        Case(#"{"model":{"vocab":{},"merges":[]},"version":"2.0"}"#, .unsupported, "version"),
        Case(file(vocabulary: #"{"a":0,"a":1}"#), .malformed, #"model.vocab["a"]"#),
        Case(file(vocabulary: #"{"a":0,"b":0}"#), .malformed, #"model.vocab["b"]"#),
        Case(file(vocabulary: #"{"a":-1}"#), .malformed, #"model.vocab["a"]"#),
        Case(file(vocabulary: #"{"a":4194304}"#), .malformed, #"model.vocab["a"]"#),
        Case(file(vocabulary: #"{"a":1e99}"#), .malformed, #"model.vocab["a"]"#),
        Case(file(vocabulary: #"{"a":"0"}"#), .malformed, #"model.vocab["a"]"#),
        Case(file(vocabulary: "[]"), .malformed, "model.vocab"),
        Case(file(merges: #"["a b","a c"]"#), .malformed, "model.merges[1]"),
        Case(file(merges: #"["b a"]"#), .malformed, "model.merges[0]"),
        Case(file(merges: #"["ab"]"#), .malformed, "model.merges[0]"),
        Case(file(merges: #"["a b c"]"#), .malformed, "model.merges[0]"),
        Case(file(merges: #"[["a"]]"#), .malformed, "model.merges[0]"),
        Case(file(merges: #"[["a","b","c"]]"#), .malformed, "model.merges[0]"),
        Case(file(merges: "{}"), .malformed, "model.merges"),
        Case(file(model: #","unk_token":"?""#), .malformed, "model.unk_token"),
        Case(file(model: #","dropout":0.1"#), .unsupported, "model.dropout"),
        Case(
            file(model: #","continuing_subword_prefix":"@""#), .unsupported, "model.continuing_subword_prefix"
        ),
        Case(file(model: #","end_of_word_suffix":"</w>""#), .unsupported, "model.end_of_word_suffix"),
        Case(file(model: #","fuse_unk":1"#), .malformed, "model.fuse_unk"),
        Case(file(model: #","vocab":{}"#), .malformed, "model.vocab"),
        Case(file(more: charactersMap("AAAAAA==")), .malformed, "normalizer.precompiled_charsmap"),
        Case(file(more: charactersMap("CAAAAAAAAAA=")), .malformed, "normalizer.precompiled_charsmap"),
        Case(file(more: charactersMap("A")), .malformed, "normalizer.precompiled_charsmap"),
        Case(file(more: charactersMap("AA-=")), .malformed, "normalizer.precompiled_charsmap"),
        Case(file(more: charactersMap("BAAAAAAAAAD/")), .malformed, "normalizer.precompiled_charsmap"),
        Case(
            file(more: #","normalizer":{"type":"Sequence","normalizers":[{"type":"BertNormalizer"}]}"#),
            .unsupported,
            "normalizer.normalizers[0].type"),
        Case(file(more: #","normalizer":{"type":"Prepend"}"#), .malformed, "normalizer.prepend"),
        Case(
            file(more: #","pre_tokenizer":{"type":"BertPreTokenizer"}"#), .unsupported, "pre_tokenizer.type"),
        Case(file(more: #","pre_tokenizer":[]"#), .malformed, "pre_tokenizer"),
        Case(
            file(more: #","pre_tokenizer":{"type":"Metaspace","replacement":"__"}"#), .malformed,
            "pre_tokenizer.replacement"),
        Case(split("(a"), .malformed, "pre_tokenizer.pattern.Regex"),
        Case(split("*a"), .malformed, "pre_tokenizer.pattern.Regex"),
        Case(split("[b-a]"), .malformed, "pre_tokenizer.pattern.Regex"),
        Case(split(#"\\p{Han}"#), .unsupported, "pre_tokenizer.pattern.Regex"),
        Case(split(#"\\bword"#), .unsupported, "pre_tokenizer.pattern.Regex"),
        Case(split("(a*)*"), .unsupported, "pre_tokenizer.pattern.Regex"),
        Case(split("(?i:ss)"), .unsupported, "pre_tokenizer.pattern.Regex"),
        Case(
            file(more: #","post_processor":{"type":"BertProcessing"}"#), .unsupported, "post_processor.type"),
        Case(
            file(
                more:
                    #","post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"s"}}],"#
                    + #""special_tokens":{}}"#), .malformed, "post_processor.special_tokens.s"),
        Case(file(more: #","decoder":{"type":"WordPiece"}"#), .unsupported, "decoder.type"),
        Case(
            file(more: #","decoder":{"type":"Strip","content":" ","start":-1,"stop":0}"#), .malformed,
            "decoder.start"),
        Case(file(more: ",\"added_tokens\":[\(added("x", id: 5))]"), .malformed, "added_tokens[0].id"),
        Case(
            file(more: ",\"added_tokens\":[\(added("x", id: 4)),\(added("y", id: 4))]"), .malformed,
            "added_tokens[1].id"),
        Case(file(more: #","added_tokens":[{"id":4}]"#), .malformed, "added_tokens[0].content"),
        Case(file(more: #","normalizer":null,"normalizer":null"#), .malformed, "normalizer"),
    ]

    @Test func theFileThatTheCasesBreakIsSound() throws {
        let tokenizer = try TokenizerFile.read(Array(Self.file().utf8), file: "tokenizer.json")
        #expect(tokenizer.encode("abb", addingSpecialTokens: true) == [2, 1])
    }

    @Test(arguments: cases)
    func aMalformedFileIsRefused(_ it: Case) throws {
        let error = try #require(throws: LoadError.self) {
            try TokenizerFile.read(Array(it.json.utf8), file: "m/tokenizer.json")
        }
        #expect(
            error.code == it.code && error.file == "m/tokenizer.json" && error.field == it.field, "\(error)")
    }

    @Test func badUTF8IsRefused() throws {
        var bytes = Array(Self.file().utf8)
        bytes[50] = 0xFF
        let error = try #require(throws: LoadError.self) { try TokenizerFile.read(bytes, file: "t") }
        #expect(error.field == "byte 50")
    }

    @Test(
        arguments: [
            ([], "pieces"), ([0x0A], "model"), ([0x0A, 0x05, 0x01], "model"), ([0x07], "model"),
            ([0x02, 0x00], "model"),
            ([0x1A, 0x02, 0x18], "model"), ([0x1A, 0x01, 0x18], "normalizer_spec"), ([0x08, 0x01], "pieces"),
            ([0x12, 0x04, 0xE2, 0x02, 0x01, 0xFF], "trainer_spec"), ([0x0A, 0x00], "pieces"),
            ([0x2A, 0x03, 0x12, 0x01, 0x00], "denormalizer_spec.precompiled_charsmap"),
            ([0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], "model"),
        ] as [([UInt8], String)])
    func aMalformedModelIsRefused(bytes: [UInt8], field: String) throws {
        let error = try #require(throws: LoadError.self) {
            try SentencePieceTokenizer(serialized: bytes, file: "m/tokenizer.model", addsBOS: true)
        }
        #expect(error.file == "m/tokenizer.model" && error.field == field, "\(error)")
    }

    @Test func aTruncatedModelIsRefused() throws {
        let path = TokenizerFixture.root + "/sentencepiece/tokenizer.model"
        let bytes = try Fixtures.bytes(path)
        for count in [1, bytes.count / 2, bytes.count - 1] {
            #expect(throws: LoadError.self) {
                try SentencePieceTokenizer(serialized: Array(bytes.prefix(count)), file: path, addsBOS: true)
            }
        }
    }
}
