/// What a `Split` or `Replace` looks for.
enum TextPattern: Sendable {
    case literal([UInt8])
    case words(WordScanner)
    case expression(ScalarExpression)

    /// `{"String": …}` or `{"Regex": …}`.
    init(_ component: JSONComponent) throws(LoadError) {
        if component.object["String"] != nil {
            self = .literal(try component.bytes("String"))
            if try component.string("String").isEmpty {
                throw component.unsupported("String", "an empty pattern is not supported")
            }
            return
        }
        guard component.object["Regex"] != nil else {
            throw component.error(.malformed, "Regex", expected: "a String or a Regex")
        }
        let source = try component.string("Regex")
        if let scanner = WordScanner(expression: source) {
            self = .words(scanner)
            return
        }
        do {
            self = .expression(try ScalarExpression(source))
        } catch {
            throw LoadError(error.code, file: component.file, field: component.field("Regex"), error.problem)
        }
    }

    /// Appends the matches in `bytes[range]` and the gaps between them, in order.
    func spans(_ bytes: [UInt8], _ range: Range<Int>, into spans: inout [SplitBehavior.Span]) {
        var gap = range.lowerBound
        var index = range.lowerBound
        var lastEnd: Int?
        while index <= range.upperBound, let match = next(bytes, from: index, range) {
            if match.isEmpty, match.lowerBound == lastEnd {
                // An empty match right after another match does not count.
                index = after(match.upperBound, in: bytes, range)
                continue
            }
            if gap < match.lowerBound { spans.append((gap..<match.lowerBound, false)) }
            spans.append((match, true))
            (gap, index, lastEnd) = (match.upperBound, match.upperBound, match.upperBound)
        }
        if gap < range.upperBound { spans.append((gap..<range.upperBound, false)) }
    }

    /// Appends `bytes[range]` with each match replaced by `content`.
    func replace(_ bytes: [UInt8], _ range: Range<Int>, by content: [UInt8], into output: inout [UInt8]) {
        var spans: [SplitBehavior.Span] = []
        self.spans(bytes, range, into: &spans)
        for (range, isMatch) in spans {
            if isMatch { output.append(contentsOf: content) } else { output.append(contentsOf: bytes[range]) }
        }
    }

    private func after(_ index: Int, in bytes: [UInt8], _ range: Range<Int>) -> Int {
        index < range.upperBound ? index + UTF8Bytes.length(lead: bytes[index]) : index + 1
    }

    /// The first match at or after `start`.
    private func next(_ bytes: [UInt8], from start: Int, _ range: Range<Int>) -> Range<Int>? {
        switch self {
        case .literal(let literal): ByteSearch.first(literal, in: bytes, start..<range.upperBound)
        case .words(let scanner):
            start < range.upperBound ? start..<scanner.end(of: start, in: bytes, range.upperBound) : nil
        case .expression(let expression): expression.firstMatch(in: bytes, range, from: start)
        }
    }
}

/// Plain search for a byte string.
enum ByteSearch {
    /// The first occurrence of `literal` in `bytes[range]`; none of an empty one.
    static func first(_ literal: [UInt8], in bytes: [UInt8], _ range: Range<Int>) -> Range<Int>? {
        guard let lead = literal.first, range.count >= literal.count else { return nil }
        for start in range.lowerBound...range.upperBound - literal.count where bytes[start] == lead {
            let candidate = start..<start + literal.count
            if bytes[candidate].elementsEqual(literal) { return candidate }
        }
        return nil
    }
}
