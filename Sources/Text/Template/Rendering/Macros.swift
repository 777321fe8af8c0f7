extension Renderer {
    /// A call block: its body is what the called macro knows as `caller`.
    func runCall(
        _ callee: Located, _ arguments: Arguments, _ definition: MacroDefinition, _ frame: Frame
    ) throws {
        let caller = Macro(definition, name: nil, frame: frame)
        closures.append(frame)
        try at(callee.line, callee.range) {
            var passed = try callArguments(arguments, frame)
            passed.keywords.append(("caller", .callable(Callable(.macro(caller)))))
            let result = try call(evaluate(callee.expression, frame), passed)
            try write(Representation.string(result, budget))
        }
    }

    /// Python binds a macro's arguments as a function's; what the body asks for (`caller`, `kwargs`, `varargs`) takes
    /// the rest.
    func callMacro(_ macro: Macro, _ arguments: CallArguments) throws -> TemplateValue {
        let definition = macro.definition
        macroDepth += 1
        defer { macroDepth -= 1 }
        if macroDepth > budget.limits.macroDepth {
            throw Failure.limit("macros call each other more than \(budget.limits.macroDepth) deep")
        }
        let frame = enter(definition.scope, parent: macro.frame)
        var keywords = arguments.keywords
        func taken(_ name: Int) -> TemplateValue? {
            guard let place = keywords.firstIndex(where: { $0.name == tree.names[name] }) else { return nil }
            return keywords.remove(at: place).value
        }
        var given: [TemplateValue?] = []
        for (index, parameter) in definition.parameters.enumerated() {
            given.append(
                index < arguments.positional.count ? arguments.positional[index] : taken(parameter.name))
        }
        let title = macro.name.map { "'\($0)'" } ?? "None"
        if let caller = definition.caller {
            let value = taken(caller) ?? .none
            try store(value.isNone ? .undefined("No caller defined") : value, caller, frame)
        }
        if let name = definition.keywords {
            var dict = TemplateDict.Builder()
            for (keyword, value) in keywords { dict.set(keyword, value) }
            try store(budget.admit(.dict(dict.dict)), name, frame)
        } else if let keyword = keywords.first {
            throw Failure.type(
                keywords.contains { $0.name == "caller" }
                    ? "macro \(title) was invoked with two values for the special caller argument. "
                        + "This is most likely a bug."
                    : "macro \(title) takes no keyword argument '\(keyword.name)'")
        }
        if let rest = definition.rest {
            let more = Array(arguments.positional.dropFirst(definition.parameters.count))
            try store(budget.admit(.tuple(more)), rest, frame)
        } else if arguments.positional.count > definition.parameters.count {
            throw Failure.type(
                "macro \(title) takes not more than \(definition.parameters.count) argument(s)")
        }
        for (value, parameter) in zip(given, definition.parameters) {
            if let value {
                try store(value, parameter.name, frame)
            } else if let standard = parameter.defaultValue {
                try store(evaluate(standard, frame), parameter.name, frame)
            } else {
                let name = tree.names[parameter.name]
                try store(.undefined("parameter '\(name)' was not provided"), parameter.name, frame)
            }
        }
        let text = try captured { _ = try run(definition.body, frame) }
        return .string(text)
    }
}
