/// The tokens that a tokenizer's owner added to the model's own: they are found in the text before the model sees
/// it, and the special ones among them can be left out when decoding.
struct AddedTokens: Sendable {
    struct Token: Equatable, Sendable {
        var id: Int
        var content: [UInt8]
        /// Matches only where no word character adjoins.
        var isSingleWord = false
        /// Takes the white space before (after) it along.
        var stripsLeft = false
        var stripsRight = false
        /// Is looked for in normalized text, in its normalized spelling, after the others.
        var isNormalized = false
        var isSpecial = false
    }

    /// In the order of the file.
    private(set) var tokens: [Token] = []
    /// By id: what decoding begins with, the normalized spelling where it differs.
    private(set) var spellings: [Int: [UInt8]] = [:]
    /// What is left out when special tokens are skipped; the reference compares spellings, not ids.
    var specialSpellings: Set<[UInt8]> = []
    private var rawMatcher = ByteTrie()
    private var normalizedMatcher = ByteTrie()

    init() {}

    /// Adds one token; nil, or which of its fields clashes with an earlier one.
    mutating func add(_ token: Token, normalizer: Normalizer?) -> String? {
        if tokens.contains(token) { return nil }
        var spelling = token.content
        if token.isNormalized, let normalizer { spelling = normalizer.apply(spelling) }
        let index = tokens.count
        if spellings.updateValue(spelling, forKey: token.id) != nil { return "id" }
        let isNew =
            token.isNormalized
            ? normalizedMatcher.insert(spelling, value: index) : rawMatcher.insert(spelling, value: index)
        if !isNew { return "content" }
        if token.isSpecial { specialSpellings.insert(token.content) }
        tokens.append(token)
        return nil
    }

    /// Cuts the tokens out that are looked for before (after) normalization.
    func split(_ text: inout TextPieces, normalized: Bool) {
        let matcher = normalized ? normalizedMatcher : rawMatcher
        if matcher.isEmpty { return }
        text.splitTokens { bytes, range, parts in
            var start = range.lowerBound
            var index = start
            while let match = matcher.firstMatch(in: bytes, index..<range.upperBound) {
                index = match.range.upperBound
                let token = tokens[match.value]
                if token.isSingleWord, adjoinsWord(match.range, bytes, range) { continue }
                let (lower, upper) = stripped(token, match.range, bytes, start, range)
                if start < lower { parts.append((start..<lower, nil)) }
                parts.append((lower..<upper, token.id))
                start = upper
            }
            if start < range.upperBound { parts.append((start..<range.upperBound, nil)) }
        }
    }

    private func adjoinsWord(_ match: Range<Int>, _ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        if match.lowerBound > range.lowerBound {
            let before = UTF8Bytes.start(before: match.lowerBound, in: bytes)
            if isWord(bytes, before) { return true }
        }
        return match.upperBound < range.upperBound && isWord(bytes, match.upperBound)
    }

    /// The match with the white space that it takes along; what an earlier match took stays with that.
    private func stripped(
        _ token: Token, _ match: Range<Int>, _ bytes: [UInt8], _ taken: Int, _ range: Range<Int>
    ) -> (lower: Int, upper: Int) {
        var (lower, upper) = (match.lowerBound, match.upperBound)
        while token.stripsLeft, lower > range.lowerBound {
            let before = UTF8Bytes.start(before: lower, in: bytes)
            guard isSpace(bytes, before) else { break }
            lower = before
        }
        if token.stripsLeft { lower = max(lower, taken) }
        while token.stripsRight, upper < range.upperBound, isSpace(bytes, upper) {
            upper += UTF8Bytes.length(lead: bytes[upper])
        }
        return (lower, max(lower, upper))
    }

    private func isSpace(_ bytes: [UInt8], _ index: Int) -> Bool {
        ScalarClass.of(UTF8Bytes.scalar(in: bytes, at: index).value) == .space
    }

    private func isWord(_ bytes: [UInt8], _ index: Int) -> Bool {
        let value = UTF8Bytes.scalar(in: bytes, at: index).value
        // Here, not in its regular expressions, the reference counts the two joiners too.
        return GeneralCategories.isWord(value) || value == 0x200C || value == 0x200D
    }
}
