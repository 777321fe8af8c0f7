import Testing

@testable import DoraText

/// What single tokens stand for.
@Suite struct TokenPieceTests {
    /// Joined, the pieces of a text without special tokens are that text, but for what decoders do at its start.
    /// Those left out put blanks between tokens, strip each, drop one behind an added token, or meet bytes that are no text.
    @Test(
        arguments: TokenizerFixture.names.filter {
            !["bare", "decoding", "metaspace-first", "unigram-bytes"].contains($0)
        })
    func piecesJoinToTheText(name: String) throws {
        let fixture = try TokenizerFixture(name)
        var compared = 0
        for vector in fixture.texts {
            let pieces = vector.ids.compactMap(fixture.tokenizer.piece)
            #expect(pieces.count == vector.ids.count)
            guard pieces.allSatisfy({ !$0.isSpecial }) else { continue }
            // Decoders drop what encoders put before a text.
            let joined = pieces.flatMap(\.bytes).drop { $0 == UInt8(ascii: " ") }
            let decoded = fixture.tokenizer.decode(vector.ids, skippingSpecialTokens: true).utf8
            #expect(
                joined.elementsEqual(decoded.drop { $0 == UInt8(ascii: " ") }),
                "\(vector.text.debugDescription)")
            compared += 1
        }
        #expect(compared > 5)
    }

    @Test func aPartOfACharacterHasItsTrueBytes() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer
        let ids = tokenizer.encode("é", addingSpecialTokens: false)
        try #require(ids.count == 2)
        #expect(ids.map { tokenizer.piece($0)?.bytes } == [[0xC3], [0xA9]])
        #expect(ids.map { tokenizer.piece($0)?.text } == ["\u{FFFD}", "\u{FFFD}"])
        let llama = try TokenizerFixture("llama2").tokenizer
        let bytes = llama.encode("\u{1F9EC}", addingSpecialTokens: false).compactMap {
            llama.piece($0)?.bytes
        }
        #expect(bytes.flatMap(\.self).suffix(4) == [0xF0, 0x9F, 0xA7, 0xAC])
    }

    @Test func aSpecialTokenHasItsSpelling() throws {
        for (name, spelling) in [("llama2", "<s>"), ("sentencepiece-plain", "<s>"), ("sentencepiece", "<s>")]
        {
            let tokenizer = try TokenizerFixture(name).tokenizer
            let id = try #require(tokenizer.specialID(of: spelling))
            #expect(tokenizer.piece(id) == TokenPiece(bytes: Array(spelling.utf8), isSpecial: true))
        }
    }

    @Test func idsOutsideTheVocabularyHaveNone() throws {
        for name in TokenizerFixture.names {
            let tokenizer = try TokenizerFixture(name).tokenizer
            for id in [-1, tokenizer.vocabularySize, .max, .min] { #expect(tokenizer.piece(id) == nil) }
        }
    }
}

@Suite struct JSONLineTests {
    @Test func whatIsWrittenIsReadAsItWas() throws {
        let text = "\"\\/\n\r\t\u{1}\u{1F}\u{7F}\u{2028}é🦜[,{:"
        var line = JSONLine()
        line.object { line in
            line.key(text)
            line.value(text)
            line.key("numbers")
            line.array { line in
                line.value(-7)
                line.value(1e-300)
                line.value(-0.1)
                line.value(.infinity)
                line.value([1, 2])
                line.object { _ in }
                line.array { _ in }
            }
            line.key("flags")
            line.array { line in
                line.value(true)
                line.null()
                line.value(nil as String?)
                line.value("")
                line.value(false)
            }
            line.raw("\"raw\":1,\"more\":2".utf8)
            line.key("end")
            line.value(0)
        }
        #expect(!line.bytes.contains { $0 < 0x20 })
        let object = try #require(try JSONValue(parsing: line.bytes).object)
        #expect(object.members.map(\.key) == [text, "numbers", "flags", "raw", "more", "end"])
        #expect(object[text]?.string == text)
        let numbers = try #require(object["numbers"]?.array)
        #expect(numbers[1].double == 1e-300 && numbers[2].double == -0.1 && numbers[3] == .null)
        #expect(JSONValue.object(object).text == line.text)
    }
}
