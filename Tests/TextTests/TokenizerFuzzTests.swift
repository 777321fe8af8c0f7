import Testing

@testable import DoraText

/// Files with flipped bytes may be refused or served, but not crash.
@Suite struct TokenizerFuzzTests {
    /// xorshift64*, so that a failure can be repeated.
    struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return state &* 0x2545_F491_4F6C_DD1D
        }
    }

    /// Small, with every kind of component that a flip can reach.
    private static let json = #"""
        {"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":6,"content":"<s>","single_word":false,
        "lstrip":true,"rstrip":false,"normalized":false,"special":true}],"normalizer":{"type":"Sequence","normalizers":
        [{"type":"NFC"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},"pre_tokenizer":{"type":"Split",
        "pattern":{"Regex":" ?[^\\s\\p{L}]+|(?i:'s)|\\p{L}{1,9}|\\s+(?!\\S)"},"behavior":"MergedWithNext","invert":false},
        "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],
        "special_tokens":{"<s>":{"ids":[6]}}},"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},
        {"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},"model":{"type":"BPE","unk_token":"?",
        "byte_fallback":true,"vocab":{"a":0,"b":1,"ab":2,"▁":3,"?":4,"<0x41>":5},"merges":["a b"]}}
        """#

    /// A SentencePiece model of seven pieces.
    private static let model: [UInt8] = {
        func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
            [number << 3 | 2, UInt8(bytes.count)] + bytes
        }
        func piece(_ text: String, _ score: [UInt8], type: UInt8) -> [UInt8] {
            field(1, field(1, Array(text.utf8)) + [0x15] + score + [0x18, type])
        }
        let zero: [UInt8] = [0, 0, 0, 0], minusOne: [UInt8] = [0, 0, 0x80, 0xBF]
        let pieces =
            piece("<unk>", zero, type: 2) + piece("<s>", zero, type: 3) + piece("</s>", zero, type: 3)
            + piece("ab", zero, type: 1) + piece("\u{2581}", minusOne, type: 1)
            + piece("a", minusOne, type: 1)
            + piece("b", minusOne, type: 1)
        return pieces + field(2, [0x18, 2]) + field(3, [0x18, 1, 0x20, 0])
    }()

    /// Calls `use` with `rounds` copies of `bytes` in which one to three bytes are other ones.
    private func mutate(_ bytes: [UInt8], rounds: Int, seed: UInt64, _ use: ([UInt8]) -> Void) {
        var random = Random(state: seed)
        for _ in 0..<rounds {
            var changed = bytes
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                changed[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(
                    in: 1...255, using: &random)
            }
            use(changed)
        }
    }

    @Test func flippedBytesInATokenizerFileDoNotCrash() throws {
        let bytes = Array(Self.json.utf8)
        _ = try TokenizerFile.read(bytes, file: "t")
        var served = 0
        mutate(bytes, rounds: 70_000, seed: 1) { changed in
            guard let tokenizer = try? TokenizerFile.read(changed, file: "t") else { return }
            served += 1
            let ids = tokenizer.encode("ab <s>A's\u{301} 1", addingSpecialTokens: true)
            _ = tokenizer.decode(ids + [0, 5, 5, 99], skippingSpecialTokens: served % 2 == 0)
        }
        #expect(served > 1_000)
    }

    @Test func flippedBytesInAUnigramFileDoNotCrash() throws {
        let json = #"""
            {"normalizer":{"type":"Precompiled","precompiled_charsmap":"DAAAAABhYoABBAAAYgUAgAB4AA=="},
            "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace",
            "replacement":"▁"}]},"model":{"type":"Unigram","unk_id":0,"byte_fallback":true,
            "vocab":[["<unk>",0],["▁",-2.5],["a",-1],["ab",-1.25],["<0x62>",-3]]}}
            """#
        let bytes = Array(json.utf8)
        _ = try TokenizerFile.read(bytes, file: "t")
        var served = 0
        mutate(bytes, rounds: 60_000, seed: 3) { changed in
            guard let tokenizer = try? TokenizerFile.read(changed, file: "t") else { return }
            served += 1
            let ids = tokenizer.encode("ab  a\u{301}b aéc", addingSpecialTokens: true)
            _ = tokenizer.decode(ids + [9], skippingSpecialTokens: true)
        }
        #expect(served > 200)
    }

    @Test func flippedBytesInASentencePieceModelDoNotCrash() throws {
        let bytes = Self.model
        _ = try SentencePieceTokenizer(serialized: bytes, file: "t", addsBOS: true)
        var served = 0
        mutate(bytes, rounds: 30_000, seed: 2) { changed in
            guard let tokenizer = try? SentencePieceTokenizer(serialized: changed, file: "t", addsBOS: true)
            else {
                return
            }
            served += 1
            let ids = tokenizer.encode("ab a  bé", addingSpecialTokens: true)
            _ = tokenizer.decode(ids, skippingSpecialTokens: true)
        }
        #expect(served > 1_000)
    }
}
