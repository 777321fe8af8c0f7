extension Parser {
    /// Text and tags up to one of the `end` tags, which is not consumed, or to the end of the template.
    mutating func parseBody(until end: [String]?) throws(SyntaxFailure) -> [Statement] {
        if let end { awaited.append(end) }
        defer { if end != nil { awaited.removeLast() } }
        var body: [Statement] = []
        while true {
            switch current.kind {
            case .data(let text):
                advance()
                body.append(.text(text))
            case .variableBegin:
                advance()
                let output = try located { parser throws(SyntaxFailure) in try parser.parseTuple() }
                body.append(.output(output))
                try expect(.variableEnd)
            case .blockBegin:
                advance()
                if let end, case .name(let name) = current.kind, end.contains(name) { return body }
                try parseStatement(into: &body)
                try expect(.blockEnd)
            case .end:
                if end != nil { throw fail(unknownTag(nil)) }
                return body
            default: throw fail("unexpected '\(current.kind.description)'")
            }
        }
    }

    /// The body of a tag: an optional colon, the tag's end, and what follows up to one of the `end` tags.
    private mutating func parseBlock(until end: [String]) throws(SyntaxFailure) -> [Statement] {
        _ = skip(.colon)
        try expect(.blockEnd)
        return try nested { parser throws(SyntaxFailure) in try parser.parseBody(until: end) }
    }

    /// As `parseBlock`, in a frame of its own: what a condition outside of it allows is forgotten.
    mutating func parseScopedBlock(
        until end: [String], isFunction: Bool = false
    ) throws(SyntaxFailure) -> [Statement] {
        let outer = (conditions, loops)
        conditions = 0
        if isFunction { loops = 0 }
        let body = try parseBlock(until: end)
        (conditions, loops) = outer
        return body
    }

    private mutating func parseStatement(into body: inout [Statement]) throws(SyntaxFailure) {
        guard case .name(let tag) = current.kind else { throw fail("tag name expected") }
        let start = current
        openTags.append((tag, start.line))
        advance()
        switch tag {
        case "if": body.append(try parseIf())
        case "for": body.append(try parseFor())
        case "set": body.append(try parseSet())
        case "macro": body.append(try parseMacro(line: start.line))
        case "call": body.append(try parseCall(line: start.line))
        case "filter": body.append(try parseFilterBlock(start))
        case "with": body.append(try parseWith())
        case "generation":
            let scope = newScope()
            body.append(
                .scope(try parseScopedBlock(until: ["endgeneration"], isFunction: true), scope: scope))
            advance()
        case "autoescape":
            let scope = newScope()
            let flag = try parseExpression()
            guard case .constant(.bool(false)) = flag else {
                throw fail("autoescape is always off here", line: start.line)
            }
            body.append(.scope(try parseScopedBlock(until: ["endautoescape"]), scope: scope))
            advance()
        case "break", "continue":
            if loops == 0 { throw fail("'\(tag)' outside loop", line: start.line) }
            body.append(tag == "break" ? .breakLoop : .continueLoop)
        case "print":
            var isFirst = true
            while current.kind != .blockEnd {
                if !isFirst { try expect(.comma) }
                isFirst = false
                body.append(
                    .output(try located { parser throws(SyntaxFailure) in try parser.parseExpression() }))
            }
        case "block": throw fail("a template that stands alone has no use for 'block'", line: start.line)
        case "include", "import", "from", "extends":
            while current.kind != .blockEnd, current.kind != .end { advance() }
            let range = start.range.lowerBound..<previous.range.upperBound
            body.append(
                .refused(
                    "a template that stands alone has no use for '\(tag)'", line: start.line, range: range))
        default:
            openTags.removeLast()
            throw fail(unknownTag(tag), line: start.line)
        }
        openTags.removeLast()
    }

    /// What is wrong about a tag that does not exist, or about the template's end (nil).
    private func unknownTag(_ tag: String?) -> String {
        var message = tag.map { "Encountered unknown tag '\($0)'." } ?? "Unexpected end of template."
        if let expected = awaited.last {
            let list = expected.map { "'\($0)'" }.joined(separator: " or ")
            if let tag, awaited.contains(where: { $0.contains(tag) }) {
                message +=
                    " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for \(list)."
            } else {
                message += " Jinja was looking for the following tags: \(list)."
            }
        }
        if let open = openTags.last {
            message += " The innermost block that needs to be closed is '\(open.name)' of line \(open.line)."
        }
        return message
    }

    private mutating func parseIf() throws(SyntaxFailure) -> Statement {
        var branches: [(test: Located, body: [Statement])] = []
        var otherwise: [Statement] = []
        conditions += 1
        while true {
            let test = try located { p throws(SyntaxFailure) in try p.parseTuple(conditional: false) }
            branches.append((test, try parseBlock(until: ["elif", "else", "endif"])))
            if skip(word: "elif") { continue }
            if skip(word: "else") {
                otherwise = try parseBlock(until: ["endif"])
            }
            advance()
            break
        }
        conditions -= 1
        return .branches(branches, otherwise: otherwise)
    }

    private mutating func parseFor() throws(SyntaxFailure) -> Statement {
        let line = previous.line
        let assignments = loopAssignments
        let target = try parseTarget(until: "in")
        try expect(word: "in")
        let sequence = try located { p throws(SyntaxFailure) in
            try p.parseTuple(conditional: false, until: "recursive")
        }
        let outer = (conditions, loops)
        conditions = 0
        var test: Located?
        if skip(word: "if") { test = try located { p throws(SyntaxFailure) in try p.parseExpression() } }
        let isRecursive = skip(word: "recursive")
        loops += 1
        let body = try parseBlock(until: ["endfor", "else"])
        // In `else` the loop is over, but Python's compiler sees a nested loop's outer one.
        loops = outer.1
        var otherwise: [Statement] = []
        if skip(word: "else") { otherwise = try parseBlock(until: ["endfor"]) }
        advance()
        conditions = outer.0
        if loopAssignments > assignments {
            throw fail("Can't assign to special loop variable in for-loop target", line: line)
        }
        return .loop(
            ForLoop(
                target: target, sequence: sequence, test: test, body: body, otherwise: otherwise,
                isRecursive: isRecursive, bodyScope: newScope(), testScope: newScope(),
                otherwiseScope: newScope(),
                loopName: number("loop")))
    }

    private mutating func parseSet() throws(SyntaxFailure) -> Statement {
        let start = previous
        let target = try parseTarget(until: nil, attributes: true)
        if skip(.assign) {
            return .set(target, try located { p throws(SyntaxFailure) in try p.parseTuple() })
        }
        var filters: [Link] = []
        while skip(.pipe) { filters.append(try parseFilter()) }
        let range = start.range.lowerBound..<previous.range.upperBound
        let scope = newScope()
        let body = try parseScopedBlock(until: ["endset"])
        advance()
        return .capture(target, filters: filters, body: body, scope: scope, line: start.line, range: range)
    }

    private mutating func parseFilterBlock(_ start: Token) throws(SyntaxFailure) -> Statement {
        var filters = [try parseFilter()]
        while skip(.pipe) { filters.append(try parseFilter()) }
        let range = start.range.lowerBound..<previous.range.upperBound
        let scope = newScope()
        let body = try parseScopedBlock(until: ["endfilter"])
        advance()
        return .filter(filters, body: body, scope: scope, line: start.line, range: range)
    }

    private mutating func parseWith() throws(SyntaxFailure) -> Statement {
        var bindings: [(Target, Located)] = []
        while current.kind != .blockEnd {
            if !bindings.isEmpty { try expect(.comma) }
            let assignments = loopAssignments
            let target = try parseTarget(until: nil)
            loopAssignments = assignments
            try expect(.assign)
            bindings.append((target, try located { p throws(SyntaxFailure) in try p.parseExpression() }))
        }
        let scope = newScope()
        let body = try parseScopedBlock(until: ["endwith"])
        advance()
        return .with(bindings, body: body, scope: scope)
    }
}
