import Testing

@testable import DoraText

@Suite struct JSONReaderTests {
    private func parse(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    @Test func objectsKeepTheOrderOfTheirMembers() throws {
        let object = try #require(try parse(#"{"b": 1, "a": [true, null], "c": {"x": -2.5e3}}"#).object)
        #expect(object.members.map(\.key) == ["b", "a", "c"])
        #expect(object["a"]?.array == [.bool(true), .null])
        #expect(object["c"]?.object?["x"]?.double == -2500)
    }

    @Test func escapesBecomeTheirCharacters() throws {
        #expect(try parse(#""\u0041\n\ud83d\ude00\/\\""#).string == "A\n😀/\\")
    }

    @Test func keysThatAreOnlyCanonicallyEqualAreDifferentKeys() throws {
        #expect(try parse("{\"\u{E9}\": 1, \"e\u{301}\": 2}").object?.members.count == 2)
    }

    @Test func integersMayBeWrittenAsFloats() throws {
        #expect(try parse("8.0").int == 8)
        #expect(try parse("8.5").int == nil)
        #expect(try parse("9007199254740993").int == 9_007_199_254_740_993)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "nul", "01", "1.", "+1", "\"\\q\"", "\"\\ud800\"", "\"a",
        "\"\n\"", "1 2", "{\"a\":1,\"a\":2}", "[}", "{1:2}", "\"\\u12g4\"", "'a'", "NaN",
    ])
    func malformedTextIsRefused(text: String) {
        #expect(throws: JSONReader.SyntaxError.self) { try parse(text) }
    }

    /// Only Python's files may hold them.
    @Test(arguments: ["NaN", "Infinity", "-Infinity"])
    func numbersThatAreNotFiniteAreReadWhereTheyAreAllowed(text: String) throws {
        #expect(throws: JSONReader.SyntaxError.self) { try parse(text) }
        let bytes = Array("[\(text), 1]".utf8)
        let array = try JSONValue(parsing: bytes, allowsNonFinite: true).array
        #expect(array?.first?.double?.isFinite == false && array?.first?.int == nil && array?.last?.int == 1)
        for text in ["-NaN", "Nan", "Inf", "nan"] {
            #expect(throws: JSONReader.SyntaxError.self) {
                try JSONValue(parsing: Array(text.utf8), allowsNonFinite: true)
            }
        }
    }

    @Test func invalidUTF8IsRefused() {
        #expect(throws: JSONReader.SyntaxError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
    }

    @Test func deepNestingIsRefusedInsteadOfExhaustingTheStack() {
        #expect(throws: JSONReader.SyntaxError.self) {
            try parse(String(repeating: "[", count: 100_000))
        }
    }

    @Test(
        arguments: [("12,", 12), ("0}", 0), ("7", 7), ("1e2]", 100), ("-1,", nil), ("1.5,", nil)]
            as [(String, Int?)])
    func anIndexIsAWholeNumberOfAtLeastZero(text: String, index: Int?) throws {
        var reader = JSONReader(Array(text.utf8))
        #expect(try reader.readIndex() == index)
    }

    @Test func anIndexWithALeadingZeroIsNotTakenWhole() throws {
        var reader = JSONReader(Array("01,".utf8))
        #expect(try reader.readIndex() == 0)
        #expect(reader.offset == 1)
    }

    @Test func membersCanBeReadByTheBytesOfTheirKeys() throws {
        var reader = JSONReader(Array(#"{"a\u00e9": 1, "": 2}"#.utf8))
        var members: [[UInt8]: Int?] = [:]
        try reader.readMembers { key, reader in members[key] = try reader.readIndex() }
        #expect(members == [Array("aé".utf8): 1, []: 2])
    }
}
