import Testing

@testable import DoraText

/// Regular expressions split texts as the reference's engine does.
@Suite struct ScalarExpressionTests {
    private static let rows: [(expression: String, text: String, lengths: [Int])] = {
        let bytes = (try? Fixtures.bytes(TokenizerFixture.root + "/expressions.json")) ?? []
        let rows = (try? JSONValue(parsing: bytes))?.array ?? []
        return rows.compactMap { row in
            guard let row = row.array, let expression = row[0].string, let text = row[1].string,
                let lengths = row[2].array
            else { return nil }
            return (expression, text, lengths.compactMap(\.int))
        }
    }()

    /// The lengths of matches and gaps in scalars, empty ones left out.
    private func lengths(_ text: String, _ pattern: TextPattern) -> [Int] {
        let bytes = Array(text.utf8)
        var spans: [SplitBehavior.Span] = []
        pattern.spans(bytes, bytes.indices, into: &spans)
        return spans.map { span in bytes[span.range].count { $0 & 0xC0 != 0x80 } }.filter { $0 > 0 }
    }

    @Test func matchesAreThoseOfTheReference() throws {
        try #require(Self.rows.count > 300)
        for (source, text, expected) in Self.rows {
            let expression = try ScalarExpression(source)
            #expect(
                lengths(text, .expression(expression)) == expected, "\(source) on \(text.debugDescription)")
        }
    }

    /// The scanners written by hand, on the expressions they stand for.
    @Test func scannersMatchLikeTheirExpressions() throws {
        var scanned = 0
        for (source, text, expected) in Self.rows {
            guard let scanner = WordScanner(expression: source) else { continue }
            scanned += 1
            #expect(lengths(text, .words(scanner)) == expected, "\(source) on \(text.debugDescription)")
        }
        #expect(scanned > 100)
    }
}
