/// What follows a primary expression: subscripts, calls, filters, tests.
extension Parser {
    mutating func parsePostfix(_ links: inout [Link]) throws(SyntaxFailure) {
        while true {
            switch current.kind {
            case .symbol(.dot), .symbol(.leftBracket): links.append(try parseSubscript())
            case .symbol(.leftParenthesis): links.append(.call(try parseArguments()))
            default: return
            }
        }
    }

    mutating func parseFilters(_ links: inout [Link]) throws(SyntaxFailure) {
        while true {
            switch current.kind {
            case .symbol(.pipe):
                advance()
                links.append(try parseFilter())
            case .name("is"): links.append(try parseTest())
            case .symbol(.leftParenthesis): links.append(.call(try parseArguments()))
            default: return
            }
        }
    }

    private mutating func parseSubscript() throws(SyntaxFailure) -> Link {
        if skip(.dot) {
            let token = current
            advance()
            switch token.kind {
            case .name(let name): return .attribute(name)
            case .integer(let value): return .item(.constant(.integer(value)))
            default: throw fail("expected name or number", line: token.line)
            }
        }
        try expect(.leftBracket)
        var items: [Link] = []
        while !isAt(.rightBracket) {
            if !items.isEmpty { try expect(.comma) }
            items.append(try parseSubscribed())
        }
        try expect(.rightBracket)
        if items.count == 1 { return items[0] }
        var elements: [Expression] = []
        for item in items {
            guard case .item(let element) = item else {
                throw fail("a slice stands among several subscripts")
            }
            elements.append(element)
        }
        return .item(.tuple(elements))
    }

    private mutating func parseSubscribed() throws(SyntaxFailure) -> Link {
        var start: Expression?
        if !isAt(.colon) {
            let first = try parseExpression()
            if !isAt(.colon) { return .item(first) }
            start = first
        }
        advance()
        var stop: Expression?
        if !isAt(.colon), !isAt(.rightBracket), !isAt(.comma) { stop = try parseExpression() }
        var step: Expression?
        if skip(.colon), !isAt(.rightBracket), !isAt(.comma) { step = try parseExpression() }
        return .slice(start: start, stop: stop, step: step)
    }

    mutating func parseArguments() throws(SyntaxFailure) -> Arguments {
        let line = current.line
        try expect(.leftParenthesis)
        var arguments = Arguments()
        var needsComma = false
        func ensure(_ condition: Bool) throws(SyntaxFailure) {
            if !condition { throw fail("invalid syntax for function call expression", line: line) }
        }
        while !isAt(.rightParenthesis) {
            if needsComma {
                try expect(.comma)
                if isAt(.rightParenthesis) { break }
            }
            if isAt(.multiply) {
                try ensure(arguments.list == nil && arguments.dict == nil)
                advance()
                arguments.list = try parseExpression()
            } else if isAt(.power) {
                try ensure(arguments.dict == nil)
                advance()
                arguments.dict = try parseExpression()
            } else if case .name(let name) = current.kind, next.kind == .symbol(.assign) {
                try ensure(arguments.dict == nil)
                advance()
                advance()
                if arguments.keywords.contains(where: { $0.name == name }) {
                    throw fail("keyword argument repeated: \(name)", line: line)
                }
                arguments.keywords.append((name, try parseExpression()))
            } else {
                try ensure(arguments.list == nil && arguments.dict == nil && arguments.keywords.isEmpty)
                arguments.positional.append(try parseExpression())
            }
            needsComma = true
        }
        try expect(.rightParenthesis)
        return arguments
    }

    /// A filter's name and arguments, after the `|`.
    mutating func parseFilter() throws(SyntaxFailure) -> Link {
        let line = current.line
        let name = try parseDottedName()
        let arguments = isAt(.leftParenthesis) ? try parseArguments() : Arguments()
        if conditions == 0, Filter(rawValue: name) == nil {
            throw fail("No filter named '\(name)'.", line: line)
        }
        return .filter(name, arguments)
    }

    private mutating func parseTest() throws(SyntaxFailure) -> Link {
        let line = current.line
        advance()
        let negated = skip(word: "not")
        let name = try parseDottedName()
        var arguments = Arguments()
        switch current.kind {
        case .symbol(.leftParenthesis): arguments = try parseArguments()
        case .name("else"), .name("or"), .name("and"): break
        case .name("is"): throw fail("You cannot chain multiple tests with is")
        case .name, .string, .integer, .float, .symbol(.leftBracket), .symbol(.leftBrace):
            let operand = try nested { p throws(SyntaxFailure) in try p.parsePrimary() }
            var links: [Link] = []
            try parsePostfix(&links)
            arguments.positional = [links.isEmpty ? operand : .chain(operand, links)]
        default: break
        }
        if conditions == 0, ValueTest(rawValue: name) == nil {
            throw fail("No test named '\(name)'.", line: line)
        }
        return .test(name, arguments, negated: negated)
    }

    private mutating func parseDottedName() throws(SyntaxFailure) -> String {
        var name = try expectName()
        while skip(.dot) { name += "." + (try expectName()) }
        return name
    }
}
