extension Renderer {
    func evaluate(_ expression: Expression, _ frame: Frame) throws -> TemplateValue {
        try budget.charge()
        switch expression {
        case .constant(let constant): return constant.value
        case .name(let name): return lookUp(name, frame)
        default: return try nested { try evaluateOperation(expression, frame) }
        }
    }

    private func evaluateOperation(_ expression: Expression, _ frame: Frame) throws -> TemplateValue {
        switch expression {
        case .constant, .name: return .none
        case .chain(let base, let links): return try follow(links, from: evaluate(base, frame), frame)
        case .list(let elements): return try budget.admit(.list(evaluate(elements, frame)))
        case .tuple(let elements): return try budget.admit(.tuple(evaluate(elements, frame)))
        case .dict(let items):
            var dict = TemplateDict.Builder()
            for item in items { try dict.set(evaluate(item.key, frame), evaluate(item.value, frame)) }
            return try budget.admit(.dict(dict.dict))
        case .arithmetic(let first, let rest):
            var value = try evaluate(first, frame)
            for (operation, operand) in rest {
                value = try calculate(operation, value, evaluate(operand, frame))
            }
            return value
        case .concatenation(let operands): return try concatenate(operands, frame)
        case .comparison(let first, let rest):
            var left = try evaluate(first, frame)
            for (comparison, operand) in rest {
                let right = try evaluate(operand, frame)
                if try !compare(comparison, left, right) { return .bool(false) }
                left = right
            }
            return .bool(true)
        case .and(let operands): return try firstOperand(operands, that: false, frame)
        case .or(let operands): return try firstOperand(operands, that: true, frame)
        case .not(let operand): return .bool(try !evaluate(operand, frame).isTrue)
        case .negative(let operand): return try negate(evaluate(operand, frame))
        case .positive(let operand): return try affirm(evaluate(operand, frame))
        case .conditional(let value, let test, let otherwise, let line):
            if try evaluate(test, frame).isTrue { return try evaluate(value, frame) }
            if let otherwise { return try evaluate(otherwise, frame) }
            return .undefined(
                "the inline if-expression on line \(line) evaluated to false and no else section was defined."
            )
        }
    }

    private func evaluate(_ expressions: [Expression], _ frame: Frame) throws -> [TemplateValue] {
        var values: [TemplateValue] = []
        values.reserveCapacity(expressions.count)
        for expression in expressions { values.append(try evaluate(expression, frame)) }
        return values
    }

    /// The first operand whose truth is `truth`, else the last.
    private func firstOperand(_ operands: [Expression], that truth: Bool, _ frame: Frame) throws
        -> TemplateValue
    {
        var value = TemplateValue.none
        for operand in operands {
            value = try evaluate(operand, frame)
            if value.isTrue == truth { return value }
        }
        return value
    }

    private func concatenate(_ operands: [Expression], _ frame: Frame) throws -> TemplateValue {
        var text = ""
        for operand in operands { text += try Representation.string(evaluate(operand, frame), budget) }
        try budget.charge(bytes: text.utf8.count)
        return .string(text)
    }

    private func follow(_ links: [Link], from base: TemplateValue, _ frame: Frame) throws -> TemplateValue {
        var value = base
        var index = 0
        while index < links.count {
            try budget.charge()
            switch links[index] {
            case .attribute(let name):
                // A method that is called at once needs no value of its own.
                if index + 1 < links.count, case .call(let arguments) = links[index + 1],
                    hasMethod(value, name)
                {
                    value = try callMethod(name, of: value, callArguments(arguments, frame))
                    index += 1
                } else {
                    value = try attribute(name, of: value)
                }
            case .item(let item): value = try self.item(evaluate(item, frame), of: value)
            case .slice(let start, let stop, let step):
                value = try slice(
                    value, start: start.map { try evaluate($0, frame) },
                    stop: stop.map { try evaluate($0, frame) },
                    step: step.map { try evaluate($0, frame) })
            case .call(let arguments): value = try call(value, callArguments(arguments, frame))
            case .filter(let name, let arguments):
                value = try applyFilter(name, to: value, callArguments(arguments, frame))
            case .test(let name, let arguments, let negated):
                let passed = try applyTest(name, to: value, callArguments(arguments, frame))
                value = .bool(passed != negated)
            }
            index += 1
        }
        return value
    }

    func callArguments(_ arguments: Arguments, _ frame: Frame) throws -> CallArguments {
        var passed = CallArguments(try evaluate(arguments.positional, frame))
        for (name, value) in arguments.keywords { passed.keywords.append((name, try evaluate(value, frame))) }
        if let list = arguments.list { passed.positional += try elements(of: evaluate(list, frame)) }
        if let expression = arguments.dict {
            guard case .dict(let dict) = try evaluate(expression, frame) else {
                throw Failure.type("argument after ** must be a mapping")
            }
            for (key, value) in zip(dict.keys, dict.values) {
                guard let name = key.text else { throw Failure.type("keywords must be strings") }
                if passed.keywords.contains(where: { $0.name == name }) {
                    throw Failure.type("got multiple values for keyword argument '\(name)'")
                }
                passed.keywords.append((name, value))
            }
        }
        return passed
    }

    func call(_ value: TemplateValue, _ arguments: CallArguments) throws -> TemplateValue {
        switch value {
        case .callable(let callable):
            switch callable.kind {
            case .function(let function): return try callFunction(function, arguments)
            case .method(let receiver, let name): return try callMethod(name, of: receiver, arguments)
            case .macro(let macro): return try callMacro(macro, arguments)
            case .joiner(let separator):
                _ = try arguments.positionalOnly(0...0, "joiner")
                defer { callable.position = 1 }
                return callable.position == 0 ? .emptyString : separator
            case .cycler: throw Failure.type("'Cycler' object is not callable")
            }
        case .loop(let state): return try recurse(state, arguments)
        case .undefined(let undefined): throw undefined.failure
        default: throw Failure.type("'\(value.typeName)' object is not callable")
        }
    }
}

extension Constant {
    var value: TemplateValue {
        switch self {
        case .none: .none
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .float(let value): .float(value)
        case .string(let text): .string(text)
        }
    }
}

extension Undefined {
    /// Names that begin with `_` and what the sandbox forbids say so.
    var failure: Failure {
        Failure(kind: message.hasSuffix("is unsafe.") ? .forbidden : .undefined, message: message)
    }
}
