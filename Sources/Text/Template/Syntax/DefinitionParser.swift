/// Macros, call blocks, and what loops and assignments bind.
extension Parser {
    mutating func parseMacro(line: Int) throws(SyntaxFailure) -> Statement {
        let name = number(try expectName())
        return .macro(
            try parseDefinition(name: name, hasSignature: true, end: "endmacro", line: line) { _ in })
    }

    mutating func parseCall(line: Int) throws(SyntaxFailure) -> Statement {
        var call: Located?
        let definition = try parseDefinition(
            name: nil, hasSignature: isAt(.leftParenthesis), end: "endcall", line: line
        ) { parser throws(SyntaxFailure) in
            call = try parser.located { p throws(SyntaxFailure) in try p.parseExpression() }
        }
        guard let call, case .chain(let callee, let links) = call.expression,
            case .call(let arguments)? = links.last
        else {
            throw fail("expected call", line: line)
        }
        let rest = Array(links.dropLast())
        let expression = rest.isEmpty ? callee : .chain(callee, rest)
        return .call(
            Located(expression: expression, line: call.line, range: call.range), arguments, definition)
    }

    /// Parameters and body of a macro or a call block; `head` reads what stands between them.
    private mutating func parseDefinition(
        name: Int?, hasSignature: Bool, end: String, line: Int,
        head: (inout Parser) throws(SyntaxFailure) -> Void
    ) throws(SyntaxFailure) -> MacroDefinition {
        var parameters: [(name: Int, defaultValue: Located?)] = []
        // Filters and tests in defaults must exist, whether the macro is defined in the end or not.
        let outer = conditions
        if hasSignature {
            conditions = 0
            try expect(.leftParenthesis)
            while !isAt(.rightParenthesis) {
                if !parameters.isEmpty { try expect(.comma) }
                let text = try expectName()
                try checkAssignable(text)
                let parameter = number(text)
                if parameters.contains(where: { $0.name == parameter }) {
                    throw fail("duplicate argument '\(text)' in function definition", line: line)
                }
                var value: Located?
                if skip(.assign) {
                    value = try located { p throws(SyntaxFailure) in try p.parseExpression() }
                } else if parameters.last?.defaultValue != nil {
                    throw fail("non-default argument follows default argument")
                }
                parameters.append((parameter, value))
            }
            conditions = outer
            advance()
        }
        try head(&self)
        let firstUse = uses.count
        let scope = newScope()
        let body = try parseScopedBlock(until: [end], isFunction: true)
        advance()
        let used = Set(uses[firstUse...])
        func special(_ word: String) -> Int? {
            guard let number = nameNumbers[word], used.contains(number) else { return nil }
            return parameters.contains { $0.name == number } ? nil : number
        }
        if let caller = nameNumbers["caller"], used.contains(caller),
            parameters.contains(where: { $0.name == caller && $0.defaultValue == nil })
        {
            throw fail(
                "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a "
                    + "default.", line: line)
        }
        return MacroDefinition(
            name: name, parameters: parameters, body: body, scope: scope, caller: special("caller"),
            keywords: special("kwargs"), rest: special("varargs"), line: line)
    }

    // MARK: Targets

    /// What a loop or an assignment binds: a name, names with commas between them, a namespace's attribute.
    mutating func parseTarget(until end: String?, attributes: Bool = false) throws(SyntaxFailure)
        -> Target
    {
        var targets: [Target] = []
        var isTuple = false
        while !isTupleEnd(end) {
            targets.append(try parseSingleTarget(attributes: attributes))
            guard skip(.comma) else { break }
            isTuple = true
        }
        if !isTuple {
            if let only = targets.first { return only }
            throw fail("Expected an expression, got '\(current.kind.description)'")
        }
        return .tuple(targets)
    }

    private mutating func parseSingleTarget(attributes: Bool) throws(SyntaxFailure) -> Target {
        if skip(.leftParenthesis) {
            var targets: [Target] = []
            var isTuple = false
            while !isAt(.rightParenthesis) {
                targets.append(
                    try nested { p throws(SyntaxFailure) in try p.parseSingleTarget(attributes: false) })
                guard skip(.comma) else { break }
                isTuple = true
            }
            try expect(.rightParenthesis)
            if !isTuple, let only = targets.first { return only }
            return .tuple(targets)
        }
        guard case .name(let name) = current.kind else {
            if case .string = current.kind { throw fail("can't assign to 'const'") }
            throw fail("unexpected '\(current.kind.description)'")
        }
        advance()
        if attributes, isAt(.dot) {
            advance()
            let number = number(name)
            return .attribute(namespace: number, name: try expectName())
        }
        try checkAssignable(name)
        if name == "loop" { loopAssignments += 1 }
        return .name(number(name))
    }

    private func checkAssignable(_ name: String) throws(SyntaxFailure) {
        if ["true", "false", "none", "True", "False", "None"].contains(name) {
            throw fail("can't assign to 'const'", line: previous.line)
        }
    }
}
