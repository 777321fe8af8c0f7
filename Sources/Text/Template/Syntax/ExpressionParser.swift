extension Parser {
    mutating func located(
        _ parse: (inout Parser) throws(SyntaxFailure) -> Expression
    ) throws(SyntaxFailure) -> Located {
        let first = current
        let expression = try parse(&self)
        let end = max(previous.range.upperBound, first.range.lowerBound)
        return Located(expression: expression, line: first.line, range: first.range.lowerBound..<end)
    }

    /// One expression, or several with commas between them, which make a tuple.
    /// - Parameter end: a word that ends the tuple after a comma.
    mutating func parseTuple(
        conditional: Bool = true, until end: String? = nil, parenthesized: Bool = false
    ) throws(SyntaxFailure) -> Expression {
        var elements: [Expression] = []
        var isTuple = false
        while true {
            if isTupleEnd(end) { break }
            elements.append(
                conditional
                    ? try parseExpression() : try nested { p throws(SyntaxFailure) in try p.parseOr() })
            guard isAt(.comma) else { break }
            isTuple = true
            advance()
        }
        if !isTuple {
            if let only = elements.first { return only }
            if !parenthesized { throw fail("Expected an expression, got '\(current.kind.description)'") }
        }
        return .tuple(elements)
    }

    func isTupleEnd(_ end: String?) -> Bool {
        switch current.kind {
        case .variableEnd, .blockEnd, .symbol(.rightParenthesis): true
        case .name(let name): name == end
        default: false
        }
    }

    mutating func parseExpression() throws(SyntaxFailure) -> Expression {
        try nested { parser throws(SyntaxFailure) in try parser.parseConditional() }
    }

    private mutating func parseConditional() throws(SyntaxFailure) -> Expression {
        var line = current.line
        let before = conditions
        // Filters in a conditional expression are only looked up when they are used; what precedes `if` is read before
        // that is known, so unknown names are checked again by `unknown`.
        conditions += hasConditionAhead() ? 1 : 0
        defer { conditions = before }
        var expression = try parseOr()
        while skip(word: "if") {
            let test = try parseOr()
            let otherwise =
                skip(word: "else") ? try nested { p throws(SyntaxFailure) in try p.parseConditional() } : nil
            expression = .conditional(expression, test: test, otherwise: otherwise, line: line)
            line = current.line
        }
        return expression
    }

    /// Whether an `if` follows before the expression ends.
    private func hasConditionAhead() -> Bool {
        var depth = 0
        for token in tokens[min(index, tokens.count - 1)...] {
            switch token.kind {
            case .symbol(let symbol) where symbol.closing != nil: depth += 1
            case .symbol(.rightParenthesis), .symbol(.rightBracket), .symbol(.rightBrace):
                depth -= 1
                if depth < 0 { return false }
            case .symbol(.comma), .symbol(.colon): if depth == 0 { return false }
            case .name("if"): if depth == 0 { return true }
            case .variableEnd, .blockEnd, .end: return false
            default: break
            }
        }
        return false
    }

    mutating func parseOr() throws(SyntaxFailure) -> Expression {
        var operands = [try parseAnd()]
        while skip(word: "or") { operands.append(try parseAnd()) }
        return operands.count == 1 ? operands[0] : .or(operands)
    }

    private mutating func parseAnd() throws(SyntaxFailure) -> Expression {
        var operands = [try parseNot()]
        while skip(word: "and") { operands.append(try parseNot()) }
        return operands.count == 1 ? operands[0] : .and(operands)
    }

    private mutating func parseNot() throws(SyntaxFailure) -> Expression {
        if skip(word: "not") { return .not(try nested { p throws(SyntaxFailure) in try p.parseNot() }) }
        return try parseComparison()
    }

    private mutating func parseComparison() throws(SyntaxFailure) -> Expression {
        let first = try parseSum()
        var rest: [(ComparisonOperator, Expression)] = []
        while let comparison = readComparison() { rest.append((comparison, try parseSum())) }
        return rest.isEmpty ? first : .comparison(first, rest)
    }

    private mutating func readComparison() -> ComparisonOperator? {
        switch current.kind {
        case .symbol(let symbol):
            switch symbol {
            case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
                advance()
                return ComparisonOperator(rawValue: symbol.rawValue)
            default: return nil
            }
        case .name("in"):
            advance()
            return .contained
        case .name("not") where next.kind == .name("in"):
            advance()
            advance()
            return .notContained
        default: return nil
        }
    }

    private mutating func parseSum() throws(SyntaxFailure) -> Expression {
        let first = try parseConcatenation()
        var rest: [(ArithmeticOperator, Expression)] = []
        while isAt(.add) || isAt(.subtract) {
            let sign: ArithmeticOperator = isAt(.add) ? .add : .subtract
            advance()
            rest.append((sign, try parseConcatenation()))
        }
        return rest.isEmpty ? first : .arithmetic(first, rest)
    }

    private mutating func parseConcatenation() throws(SyntaxFailure) -> Expression {
        var operands = [try parseProduct()]
        while skip(.tilde) { operands.append(try parseProduct()) }
        return operands.count == 1 ? operands[0] : .concatenation(operands)
    }

    private mutating func parseProduct() throws(SyntaxFailure) -> Expression {
        let first = try parsePower()
        var rest: [(ArithmeticOperator, Expression)] = []
        while case .symbol(let symbol) = current.kind,
            [.multiply, .divide, .floorDivide, .modulo].contains(symbol),
            let operation = ArithmeticOperator(rawValue: symbol.rawValue)
        {
            advance()
            rest.append((operation, try parsePower()))
        }
        return rest.isEmpty ? first : .arithmetic(first, rest)
    }

    private mutating func parsePower() throws(SyntaxFailure) -> Expression {
        let first = try parseUnary()
        var rest: [(ArithmeticOperator, Expression)] = []
        while skip(.power) { rest.append((.power, try parseUnary())) }
        return rest.isEmpty ? first : .arithmetic(first, rest)
    }

    /// A sign binds tighter than a filter and looser than a subscript: `-x|abs` is `(-x)|abs`.
    private mutating func parseUnary(filters: Bool = true) throws(SyntaxFailure) -> Expression {
        let operand: Expression
        if isAt(.subtract) || isAt(.add) {
            let isNegative = isAt(.subtract)
            advance()
            let inner = try nested { p throws(SyntaxFailure) in try p.parseUnary(filters: false) }
            operand = isNegative ? .negative(inner) : .positive(inner)
        } else {
            operand = try parsePrimary()
        }
        var links: [Link] = []
        try parsePostfix(&links)
        if filters { try parseFilters(&links) }
        return links.isEmpty ? operand : .chain(operand, links)
    }

    mutating func parsePrimary() throws(SyntaxFailure) -> Expression {
        let token = current
        switch token.kind {
        case .name(let name):
            advance()
            switch name {
            case "true", "True": return .constant(.bool(true))
            case "false", "False": return .constant(.bool(false))
            case "none", "None": return .constant(.none)
            default:
                let number = number(name)
                uses.append(number)
                return .name(number)
            }
        case .string(let first):
            advance()
            var text = first
            while case .string(let more) = current.kind {
                text += more
                advance()
            }
            return .constant(.string(text))
        case .integer(let value):
            advance()
            return .constant(.integer(value))
        case .float(let value):
            advance()
            return .constant(.float(value))
        case .symbol(.leftParenthesis):
            advance()
            let inner = try nested { p throws(SyntaxFailure) in try p.parseTuple(parenthesized: true) }
            try expect(.rightParenthesis)
            return inner
        case .symbol(.leftBracket):
            advance()
            var elements: [Expression] = []
            while !isAt(.rightBracket) {
                if !elements.isEmpty { try expect(.comma) }
                if isAt(.rightBracket) { break }
                elements.append(try parseExpression())
            }
            try expect(.rightBracket)
            return .list(elements)
        case .symbol(.leftBrace): return try parseDict()
        default: throw fail("unexpected '\(token.kind.description)'")
        }
    }

    private mutating func parseDict() throws(SyntaxFailure) -> Expression {
        advance()
        var items: [(key: Expression, value: Expression)] = []
        while !isAt(.rightBrace) {
            if !items.isEmpty { try expect(.comma) }
            if isAt(.rightBrace) { break }
            let key = try parseExpression()
            try expect(.colon)
            items.append((key, try parseExpression()))
        }
        try expect(.rightBrace)
        return .dict(items)
    }
}
