/// Parses the part of Python's `re` syntax that can be matched in linear time: everything but back references,
/// conditionals and inline flags. Source: CPython `Lib/re/_parser.py`.
struct PatternParser {
    /// Why a pattern was refused.
    struct Failure: Error {
        let problem: String
    }

    /// Patterns written by Unsloth run to some thousand scalars.
    static let maximumLength = 1 << 16
    static let maximumDepth = 100
    static let maximumRepeat = 1000

    private let scalars: [UnicodeScalar]
    private var index = 0
    private var depth = 0

    static func parse(_ pattern: String) throws(Failure) -> PatternSyntax {
        var parser = PatternParser(scalars: Array(pattern.unicodeScalars))
        guard parser.scalars.count <= maximumLength else {
            throw Failure(problem: "longer than \(maximumLength) characters")
        }
        let syntax = try parser.alternatives()
        guard parser.current == nil else { throw Failure(problem: "unbalanced parenthesis") }
        return syntax
    }

    private init(scalars: [UnicodeScalar]) {
        self.scalars = scalars
    }

    private var current: UnicodeScalar? { index < scalars.count ? scalars[index] : nil }

    private mutating func take(_ scalar: UnicodeScalar) -> Bool {
        guard current == scalar else { return false }
        index += 1
        return true
    }

    private mutating func take(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard scalars[index...].starts(with: wanted) else { return false }
        index += wanted.count
        return true
    }

    private mutating func next() throws(Failure) -> UnicodeScalar {
        guard let scalar = current else { throw Failure(problem: "it ends too early") }
        index += 1
        return scalar
    }
}

extension PatternParser {
    private mutating func alternatives() throws(Failure) -> PatternSyntax {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else {
            throw Failure(problem: "nested more than \(Self.maximumDepth) deep")
        }
        var branches = [try sequence()]
        while take("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence() throws(Failure) -> PatternSyntax {
        var items: [PatternSyntax] = []
        while let scalar = current, scalar != "|", scalar != ")" {
            items.append(try quantified(try item()))
        }
        return .sequence(items)
    }

    private mutating func item() throws(Failure) -> PatternSyntax {
        let scalar = try next()
        switch scalar {
        case ".": return .scalars(.anything)
        case "^": return .assertion(.start)
        case "$": return .assertion(.end)
        case "(": return try group()
        case "[": return .scalars(try set())
        case "\\": return try escape()
        case "*", "+", "?": throw Failure(problem: "nothing to repeat before '\(scalar)'")
        default: return .scalars(PatternScalars(scalar))
        }
    }

    private mutating func quantified(_ item: PatternSyntax) throws(Failure) -> PatternSyntax {
        guard let (minimum, maximum) = try quantifier() else { return item }
        if case .assertion = item { throw Failure(problem: "an anchor is repeated") }
        if take("+") { throw Failure(problem: "possessive repeats are not supported") }
        _ = take("?")
        if let scalar = current, scalar == "*" || scalar == "+" || scalar == "?" {
            throw Failure(problem: "multiple repeat")
        }
        return .repeated(item, minimum: minimum, maximum: maximum)
    }

    /// `{` that starts no valid counter stands for itself, as in Python.
    private mutating func quantifier() throws(Failure) -> (minimum: Int, maximum: Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        let start = index
        guard take("{") else { return nil }
        let lower = number()
        let hasComma = take(",")
        let upper = hasComma ? number() : lower
        guard lower != nil || hasComma, take("}") else {
            index = start
            return nil
        }
        guard max(lower ?? 0, upper ?? 0) <= Self.maximumRepeat else {
            throw Failure(problem: "repeats more than \(Self.maximumRepeat) times")
        }
        if let upper, upper < lower ?? 0 { throw Failure(problem: "a repeat's minimum exceeds its maximum") }
        return (lower ?? 0, upper)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let scalar = current, PatternScalars.digits.contains(scalar) {
            value = min((value ?? 0) * 10 + Int(scalar.value - 48), Self.maximumRepeat + 1)
            index += 1
        }
        return value
    }
}

extension PatternParser {
    private mutating func group() throws(Failure) -> PatternSyntax {
        if !take("?") { return try close(try alternatives()) }
        if take(":") { return try close(try alternatives()) }
        if take("=") { return .look(try close(try alternatives()), behind: false, negated: false) }
        if take("!") { return .look(try close(try alternatives()), behind: false, negated: true) }
        if take("<=") { return .look(try close(try alternatives()), behind: true, negated: false) }
        if take("<!") { return .look(try close(try alternatives()), behind: true, negated: true) }
        if take("#") {
            while try next() != ")" {}
            return .sequence([])
        }
        guard take("P<") else {
            throw Failure(problem: "back references, conditionals, flags and atomic groups are not supported")
        }
        let start = index
        while let scalar = current, PatternScalars.word.contains(scalar) { index += 1 }
        guard index > start, take(">") else { throw Failure(problem: "a group's name is malformed") }
        return try close(try alternatives())
    }

    private mutating func close(_ syntax: PatternSyntax) throws(Failure) -> PatternSyntax {
        guard take(")") else { throw Failure(problem: "a parenthesis is not closed") }
        return syntax
    }

    private mutating func escape() throws(Failure) -> PatternSyntax {
        let scalar = try next()
        switch scalar {
        case "A": return .assertion(.start)
        case "Z": return .assertion(.end)
        case "b": return .assertion(.wordBoundary)
        case "B": return .assertion(.noWordBoundary)
        case "1"..."9": throw Failure(problem: "back references are not supported")
        default: return .scalars(try scalarSet(escaped: scalar))
        }
    }

    /// The escapes that are the same inside and outside of brackets.
    private func scalarSet(escaped scalar: UnicodeScalar) throws(Failure) -> PatternScalars {
        switch scalar {
        case "d": return .digits
        case "D": return PatternScalars(ranges: PatternScalars.digits.ranges, isNegated: true)
        case "s": return .space
        case "S": return PatternScalars(ranges: PatternScalars.space.ranges, isNegated: true)
        case "w": return .word
        case "W": return PatternScalars(ranges: PatternScalars.word.ranges, isNegated: true)
        case "t": return PatternScalars("\t")
        case "n": return PatternScalars("\n")
        case "r": return PatternScalars("\r")
        default: break
        }
        // Python reserves the other escaped letters and digits; everything else stands for itself.
        guard !(PatternScalars.word.contains(scalar) && scalar != "_") else {
            throw Failure(problem: "bad escape \\\(scalar)")
        }
        return PatternScalars(scalar)
    }

    private mutating func set() throws(Failure) -> PatternScalars {
        var result = PatternScalars()
        let isNegated = take("^")
        var isFirst = true
        while isFirst || current != "]" {
            isFirst = false
            let lower = try setMember()
            guard current == "-", index + 1 < scalars.count, scalars[index + 1] != "]" else {
                result.formUnion(lower)
                continue
            }
            index += 1
            let upper = try setMember()
            guard let first = lower.single, let last = upper.single, first <= last else {
                throw Failure(problem: "bad character range")
            }
            result.insert(first...last)
        }
        index += 1
        result.isNegated = isNegated
        return result
    }

    private mutating func setMember() throws(Failure) -> PatternScalars {
        let scalar = try next()
        guard scalar == "\\" else { return PatternScalars(scalar) }
        let escaped = try next()
        return escaped == "b" ? PatternScalars("\u{8}") : try scalarSet(escaped: escaped)
    }
}

extension PatternScalars {
    fileprivate var single: UInt32? {
        guard !isNegated, ranges.count == 1, let range = ranges.first, range.count == 1 else { return nil }
        return range.lowerBound
    }
}
