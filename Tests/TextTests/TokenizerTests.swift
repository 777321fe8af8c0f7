import Testing

@testable import DoraText

@Suite struct TokenizerTests {
    @Test(arguments: TokenizerFixture.names)
    func textsBecomeTheIDsOfTheReference(name: String) throws {
        let fixture = try TokenizerFixture(name)
        for vector in fixture.texts {
            let comment = Comment(rawValue: vector.text.debugDescription)
            #expect(fixture.tokenizer.encode(vector.text, addingSpecialTokens: false) == vector.ids, comment)
            #expect(
                fixture.tokenizer.encode(vector.text, addingSpecialTokens: true) == vector.withSpecialTokens,
                comment)
        }
    }

    @Test(arguments: TokenizerFixture.names)
    func idsBecomeTheTextOfTheReference(name: String) throws {
        let fixture = try TokenizerFixture(name)
        let sequences = fixture.sequences + fixture.texts.map { ($0.withSpecialTokens, $0.decoded) }
        for (ids, decoded) in sequences {
            let skipping = fixture.tokenizer.decode(ids, skippingSpecialTokens: true)
            let whole = fixture.tokenizer.decode(ids, skippingSpecialTokens: false)
            #expect(skipping.isExactly(decoded.skippingSpecialTokens), "\(ids)")
            #expect(whole.isExactly(decoded.whole), "\(ids)")
        }
    }

    @Test(arguments: TokenizerFixture.names)
    func streamedPiecesJoinToTheWhole(name: String) throws {
        let fixture = try TokenizerFixture(name)
        let sequences = fixture.sequences + fixture.texts.map { ($0.withSpecialTokens, $0.decoded) }
        for (ids, decoded) in sequences {
            var detokenizer = fixture.tokenizer.makeDetokenizer()
            let pieces = ids.map { detokenizer.append($0) } + [detokenizer.finish()]
            let joined = pieces.flatMap { Array($0.utf8) }
            #expect(joined == Array(decoded.skippingSpecialTokens.utf8), "\(ids)")
        }
    }

    @Test(arguments: TokenizerFixture.names)
    func idsOutsideTheVocabularyDecodeToNothing(name: String) throws {
        let tokenizer = try TokenizerFixture(name).tokenizer
        let outside = [-1, tokenizer.vocabularySize, .max, .min]
        #expect(tokenizer.decode(outside, skippingSpecialTokens: false) == "")
    }

    @Test func aLongPreTokenTakesNoQuadraticTime() throws {
        let tokenizer = try TokenizerFixture("llama2").tokenizer
        let text = String(repeating: "thing", count: 20_000)
        let ids = tokenizer.encode(text, addingSpecialTokens: false)
        #expect(tokenizer.decode(ids, skippingSpecialTokens: true) == text)
    }

    /// One byte of a character at a time, then a byte that none begins with.
    @Test func halfACharacterIsHeldBack() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer
        let ids = tokenizer.encode("é", addingSpecialTokens: false)
        try #require(ids.count == 2)
        var detokenizer = tokenizer.makeDetokenizer()
        #expect(detokenizer.append(ids[0]) == "")
        #expect(detokenizer.append(ids[1]) == "é")
        #expect(detokenizer.append(ids[1]) == "\u{FFFD}")
        #expect(detokenizer.append(ids[0]) == "")
        #expect(detokenizer.finish() == "\u{FFFD}")
    }

    /// `C3 A9 C3`: the last byte spoils its whole run in a tokenizer.json, only itself in a tokenizer.model.
    @Test func aByteRunWaitsForItsEndOnlyWhereItMust() throws {
        for (name, first, last) in [
            ("llama2", "", "\u{FFFD}\u{FFFD}\u{FFFD}"), ("sentencepiece", "é", "\u{FFFD}"),
        ] {
            let tokenizer = try TokenizerFixture(name).tokenizer
            let bytes = [0xC3, 0xA9, 0xC3].map { $0 + 3 }
            var detokenizer = tokenizer.makeDetokenizer()
            #expect(detokenizer.append(bytes[0]) == "")
            #expect(detokenizer.append(bytes[1]) == first)
            #expect(detokenizer.append(bytes[2]) == "")
            #expect(detokenizer.finish() == last)
        }
    }
}
