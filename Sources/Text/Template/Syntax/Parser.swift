/// Reads a template's tokens into its tree: the grammar of jinja2 3.1 (`parser.py`) with the tags of transformers
/// (`generation`, `break`, `continue`). This file has what statements and expressions share.
struct Parser {
    /// Expressions and blocks nest at most so deep, so that neither reading nor rendering exhausts the stack.
    static let maximumNesting = 120

    static let maximumNames = 4096

    let tokens: [Token]
    var index = 0
    var nesting = 0
    var nameNumbers: [String: Int] = [:]
    var names: [String] = []
    var scopeCount = 0
    /// The numbers of names in the order in which they are used.
    var uses: [Int] = []
    /// The end tags that the open blocks wait for, and where those blocks were opened.
    var awaited: [[String]] = []
    var openTags: [(name: String, line: Int)] = []
    /// How many loops `break` could leave here; a function's body starts again at 0.
    var loops = 0
    /// How often a target was named `loop`, which no loop may do.
    var loopAssignments = 0
    /// Whether an unknown filter or test may wait for its use: inside of `if`.
    var conditions = 0

    static func parse(_ template: String) throws(SyntaxFailure) -> TemplateTree {
        let (tokens, source) = try Lexer.tokenize(template)
        var parser = Parser(tokens: tokens)
        let statements = try parser.parseBody(until: nil)
        if parser.names.count > maximumNames {
            throw SyntaxFailure(message: "more than \(maximumNames) names", line: 1)
        }
        var analysis = ScopeAnalysis(scopeCount: parser.scopeCount)
        analysis.run(statements)
        return TemplateTree(
            statements: statements, names: parser.names, scopes: analysis.scopes, source: source)
    }

    private init(tokens: [Token]) { self.tokens = tokens }

    var current: Token { tokens[min(index, tokens.count - 1)] }
    var next: Token { tokens[min(index + 1, tokens.count - 1)] }
    var previous: Token { tokens[max(index - 1, 0)] }

    mutating func advance() { index = min(index + 1, tokens.count - 1) }

    func fail(_ message: String, line: Int? = nil) -> SyntaxFailure {
        SyntaxFailure(message: message, line: line ?? current.line)
    }

    func isAt(_ symbol: Token.Symbol) -> Bool { current.kind == .symbol(symbol) }
    func isAt(word: String) -> Bool { current.kind == .name(word) }

    mutating func skip(_ symbol: Token.Symbol) -> Bool {
        guard isAt(symbol) else { return false }
        advance()
        return true
    }

    mutating func skip(word: String) -> Bool {
        guard isAt(word: word) else { return false }
        advance()
        return true
    }

    mutating func expect(_ kind: Token.Kind) throws(SyntaxFailure) {
        guard current.kind == kind else { throw unexpected(kind.description) }
        advance()
    }

    mutating func expect(_ symbol: Token.Symbol) throws(SyntaxFailure) { try expect(.symbol(symbol)) }
    mutating func expect(word: String) throws(SyntaxFailure) { try expect(.name(word)) }

    mutating func expectName() throws(SyntaxFailure) -> String {
        guard case .name(let name) = current.kind else { throw unexpected("name") }
        advance()
        return name
    }

    func unexpected(_ expected: String) -> SyntaxFailure {
        if current.kind == .end { return fail("unexpected end of template, expected '\(expected)'.") }
        return fail("expected token '\(expected)', got '\(current.kind.description)'")
    }

    /// The number of a name.
    mutating func number(_ name: String) -> Int {
        if let number = nameNumbers[name] { return number }
        nameNumbers[name] = names.count
        names.append(name)
        return names.count - 1
    }

    mutating func newScope() -> Int {
        scopeCount += 1
        return scopeCount
    }

    mutating func nested<Result>(
        _ parse: (inout Parser) throws(SyntaxFailure) -> Result
    ) throws(SyntaxFailure) -> Result {
        nesting += 1
        if nesting > Self.maximumNesting { throw fail("nested more than \(Self.maximumNesting) deep") }
        let result = try parse(&self)
        nesting -= 1
        return result
    }
}
