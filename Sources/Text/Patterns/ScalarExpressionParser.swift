/// Reads a regular expression; what is not understood exactly is refused by name.
struct ScalarExpressionParser {
    indirect enum Node {
        case set(ScalarSet)
        case sequence([Node])
        case choice([Node])
        case loop(Node, ScalarExpression.Repeat)
        case look(Node, ahead: Bool, expected: Bool)
        case atomic(Node)
        case anchor(ScalarExpression.Instruction)
    }

    typealias Problem = ScalarExpression.Problem

    let source: String
    var rest: Substring.UnicodeScalarView
    private var foldsCase = false
    private var depth = 0

    static func parse(_ source: String) throws(Problem) -> Node {
        var parser = ScalarExpressionParser(source)
        let node = try parser.choice()
        guard parser.rest.isEmpty else { throw parser.malformed("a ) without its (") }
        return node
    }

    private init(_ source: String) {
        self.source = source
        rest = source[...].unicodeScalars
    }

    func malformed(_ problem: String) -> Problem {
        Problem(code: .malformed, problem: "the regular expression \(source) is malformed: \(problem)")
    }

    func unsupported(_ what: String) -> Problem {
        Problem(code: .unsupported, problem: "\(what) in the regular expression \(source) is not supported")
    }

    mutating func take(_ text: String) -> Bool {
        guard rest.starts(with: text.unicodeScalars) else { return false }
        rest.removeFirst(text.unicodeScalars.count)
        return true
    }

    private mutating func choice() throws(Problem) -> Node {
        var branches = [try sequence()]
        while take("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .choice(branches)
    }

    private mutating func sequence() throws(Problem) -> Node {
        var nodes: [Node] = []
        while let next = rest.first, next != "|", next != ")" {
            nodes.append(try quantified(try atom()))
        }
        return .sequence(nodes)
    }

    private mutating func atom() throws(Problem) -> Node {
        guard let next = rest.popFirst() else { throw malformed("it ends too early") }
        switch next {
        case "(": return try group()
        case "[": return .set(try bracket())
        case ".": return .set(ScalarSet(.range(0x0A...0x0A), isNegated: true))
        case "^": return .anchor(.lineStart)
        case "$": return .anchor(.lineEnd)
        case "*", "+", "?": throw malformed("\(next) without something to repeat")
        case "\\":
            if take("A") { return .anchor(.textStart) }
            if take("z") { return .anchor(.textEnd) }
            let (item, isNegated) = try escape(inBrackets: false)
            return .set(ScalarSet(item, isNegated: isNegated, foldsCase: foldsCase && isSingle(item)))
        default:
            if foldsCase { try checkFolding(next) }
            return .set(ScalarSet(.range(next.value...next.value), foldsCase: foldsCase))
        }
    }

    private func isSingle(_ item: ScalarSet.Item) -> Bool { if case .range = item { true } else { false } }

    /// Regardless of case some scalars equal several: ß and ss, ﬁ and fi. Such expressions are not for us.
    private func checkFolding(_ scalar: Unicode.Scalar) throws(Problem) {
        guard scalar.isASCII else { throw unsupported("\(scalar) regardless of case") }
        let pair = [scalar, rest.first ?? scalar].map { Character($0).lowercased() }.joined()
        if rest.first != nil, ["ss", "st", "ff", "fi", "fl"].contains(pair) {
            throw unsupported("\(pair) regardless of case")
        }
    }

    private mutating func group() throws(Problem) -> Node {
        depth += 1
        defer { depth -= 1 }
        guard depth <= 64 else { throw unsupported("nesting beyond 64 groups") }
        let outerCase = foldsCase
        defer { foldsCase = outerCase }
        var wrap: (Node) -> Node = { $0 }
        if take("?") {
            if take("i:") {
                foldsCase = true
            } else if take("-i:") {
                foldsCase = false
            } else if take("=") {
                wrap = { .look($0, ahead: true, expected: true) }
            } else if take("!") {
                wrap = { .look($0, ahead: true, expected: false) }
            } else if take("<=") {
                wrap = { .look($0, ahead: false, expected: true) }
            } else if take("<!") {
                wrap = { .look($0, ahead: false, expected: false) }
            } else if take(">") {
                wrap = { .atomic($0) }
            } else if !take(":") {
                throw unsupported("(?\(String(String.UnicodeScalarView(rest.prefix(2))))")
            }
        }
        let body = try choice()
        guard take(")") else { throw malformed("a ( without its )") }
        return wrap(body)
    }
}

extension ScalarExpressionParser {
    private mutating func quantified(_ atom: Node) throws(Problem) -> Node {
        guard let next = rest.first else { return atom }
        var limits = ScalarExpression.Repeat(least: 0, most: .max, mode: .greedy)
        let isInterval = next == "{"
        switch next {
        case "*": break
        case "+": limits.least = 1
        case "?": limits.most = 1
        case "{":
            guard let interval = try interval() else { return atom }
            (limits.least, limits.most) = interval
        default: return atom
        }
        if !isInterval { rest.removeFirst() }
        if let follower = rest.first, "*+?{".unicodeScalars.contains(follower) {
            // After an interval + repeats the interval, and after {n} a ? makes it optional.
            let isModifier =
                isInterval
                ? follower == "?" && limits.least != limits.most : follower == "?" || follower == "+"
            guard isModifier else { throw unsupported("a quantifier on a quantifier") }
            limits.mode = follower == "?" ? .lazy : .possessive
            rest.removeFirst()
            if let another = rest.first, "*+?{".unicodeScalars.contains(another) {
                throw unsupported("a quantifier on a quantifier")
            }
        }
        if case .anchor = atom { throw unsupported("a repeated anchor") }
        if case .look = atom { throw unsupported("a repeated look-around") }
        return .loop(atom, limits)
    }

    /// `{n}`, `{n,}`, `{n,m}` or `{,m}`.
    private mutating func interval() throws(Problem) -> (Int, Int)? {
        rest.removeFirst()
        let least = number()
        let isOpen = take(",")
        let most = isOpen ? number() : least
        guard take("}"), least != nil || most != nil else { throw unsupported("a { that begins no interval") }
        let (low, high) = (least ?? 0, most ?? .max)
        guard low <= high, low <= 1000, high <= 1000 || most == nil else {
            throw unsupported("an interval that falls or goes beyond 1000")
        }
        return (low, high)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let digit = rest.first, ("0"..."9").contains(digit), (value ?? 0) < 1_000_000 {
            value = (value ?? 0) * 10 + Int(digit.value - 0x30)
            rest.removeFirst()
        }
        return value
    }

    /// What follows a `[`.
    private mutating func bracket() throws(Problem) -> ScalarSet {
        let isNegated = take("^")
        var items: [(item: ScalarSet.Item, isNegated: Bool)] = []
        if rest.first == "]" { throw unsupported("[] or [^]") }
        while !take("]") {
            let (item, itemIsNegated) = try member()
            guard case .range(let low) = item, rest.first == "-", rest.dropFirst().first != "]" else {
                items.append((item, itemIsNegated))
                continue
            }
            rest.removeFirst()
            guard case .range(let high) = try member().item, low.lowerBound <= high.lowerBound else {
                throw malformed("a range in brackets that falls or has a class at its end")
            }
            items.append((.range(low.lowerBound...high.lowerBound), false))
        }
        if foldsCase {
            for case (.range(let range), _) in items where range.upperBound >= 0x80 {
                throw unsupported("a range beyond ASCII regardless of case")
            }
        }
        return ScalarSet(items, isNegated: isNegated, foldsCase: foldsCase)
    }

    private mutating func member() throws(Problem) -> (item: ScalarSet.Item, isNegated: Bool) {
        guard let next = rest.popFirst() else { throw malformed("a [ without its ]") }
        if next == "[" { throw unsupported("[ within brackets") }
        if next == "&", rest.first == "&" { throw unsupported("&& within brackets") }
        if next == "\\" { return try escape(inBrackets: true) }
        return (.range(next.value...next.value), false)
    }

    /// What follows a backslash.
    private mutating func escape(inBrackets: Bool) throws(Problem) -> (item: ScalarSet.Item, isNegated: Bool)
    {
        guard let next = rest.popFirst() else { throw malformed("it ends with a backslash") }
        func only(_ value: UInt32) -> (ScalarSet.Item, Bool) { (.range(value...value), false) }
        switch next {
        case "s": return (.space, false)
        case "S": return (.space, true)
        case "w": return (.word(inBrackets: inBrackets), false)
        case "W": return (.word(inBrackets: inBrackets), true)
        case "d": return (.categories(GeneralCategories.mask("Nd") ?? 0), false)
        case "D": return (.categories(GeneralCategories.mask("Nd") ?? 0), true)
        case "p": return try property(isNegated: false)
        case "P": return try property(isNegated: true)
        case "n": return only(0x0A)
        case "r": return only(0x0D)
        case "t": return only(0x09)
        case "f": return only(0x0C)
        case "v": return only(0x0B)
        case "x": return only(try hexadecimal(digits: 2))
        case "u": return only(try hexadecimal(digits: 4))
        default:
            guard !next.properties.isAlphabetic, next.properties.numericType == nil else {
                throw unsupported("\\\(next)")
            }
            return only(next.value)
        }
    }

    private mutating func property(isNegated: Bool) throws(Problem) -> (item: ScalarSet.Item, isNegated: Bool)
    {
        guard take("{"), let end = rest.firstIndex(of: "}") else { throw unsupported("\\p without braces") }
        let isInverse = take("^")
        let name = String(String.UnicodeScalarView(rest[rest.startIndex..<end]))
        rest = rest[rest.index(after: end)...]
        guard let mask = GeneralCategories.mask(name) else { throw unsupported("\\p{\(name)}") }
        if foldsCase { throw unsupported("\\p{\(name)} regardless of case") }
        return (.categories(mask), isNegated != isInverse)
    }

    private mutating func hexadecimal(digits: Int) throws(Problem) -> UInt32 {
        let isBraced = digits == 2 && take("{")
        var value: UInt32 = 0
        var count = 0
        while count < (isBraced ? 8 : digits), let next = rest.first, next.isASCII,
            let digit = Character(next).hexDigitValue
        {
            value = value << 4 | UInt32(digit)
            rest.removeFirst()
            count += 1
        }
        // Below two digits, or above ASCII without braces, `\x` means a byte or something else.
        guard count > 0, isBraced ? take("}") : count == digits, Unicode.Scalar(value) != nil,
            isBraced || digits == 4 || value < 0x80
        else { throw unsupported("this \\x or \\u") }
        return value
    }
}
