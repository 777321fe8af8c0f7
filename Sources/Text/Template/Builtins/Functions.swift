/// What templates can call by name: jinja2's globals in the sandbox, and transformers' own.
enum GlobalFunction: String {
    case range, dict, namespace, cycler, joiner, lipsum
    case raiseException = "raise_exception"
    case strftimeNow = "strftime_now"
}

extension Renderer {
    func callFunction(_ function: GlobalFunction, _ arguments: CallArguments) throws -> TemplateValue {
        switch function {
        case .raiseException:
            let message = try arguments.bound(to: ["message"], required: 1, function.rawValue)[0] ?? .none
            throw Failure(kind: .raised, message: try Representation.string(message, budget))
        case .strftimeNow:
            let format = try arguments.bound(to: ["format"], required: 1, function.rawValue)[0] ?? .none
            guard let format = format.text else {
                throw Failure.type("strftime() argument 1 must be str, not \(format.typeName)")
            }
            return .string(try clock.format(format))
        case .range: return try range(arguments)
        case .dict: return try budget.admit(.dict(dictionary(arguments)))
        case .namespace:
            let namespace = Namespace(TemplateDict())
            for (key, value) in try items(of: dictionary(arguments)) {
                guard let name = key.text else { throw Failure.type("a namespace's attributes have names") }
                try namespace.set(name, value, budget)
            }
            namespaces.append(namespace)
            return .namespace(namespace)
        case .cycler:
            let items = try arguments.positionalOnly(0...Int.max, "cycler")
            if items.isEmpty { throw Failure.type("at least one item has to be provided") }
            return try budget.admit(.callable(Callable(.cycler(items))))
        case .joiner:
            let separator = try arguments.bound(to: ["sep"], "joiner")[0] ?? .string(", ")
            return try budget.admit(.callable(Callable(.joiner(separator: separator))))
        case .lipsum: throw Failure.type("lipsum() is not supported: a prompt must not be random")
        }
    }

    private func items(of dict: TemplateDict) -> [(TemplateValue, TemplateValue)] {
        Array(zip(dict.keys, dict.values))
    }

    /// `dict(mapping or pairs, name=value, …)`.
    private func dictionary(_ arguments: CallArguments) throws -> TemplateDict {
        if arguments.positional.count > 1 {
            throw Failure.type("dict expected at most 1 argument, got \(arguments.positional.count)")
        }
        var builder = TemplateDict.Builder()
        if case .dict(let dict)? = arguments.positional.first {
            builder = TemplateDict.Builder(dict)
        } else if let pairs = arguments.positional.first {
            for pair in try elements(of: pairs) {
                let parts = try elements(of: pair)
                guard parts.count == 2 else {
                    throw Failure.type(
                        "dictionary update sequence element has length \(parts.count); 2 is required")
                }
                try builder.set(parts[0], parts[1])
            }
        }
        for (name, value) in arguments.keywords { builder.set(name, value) }
        return builder.dict
    }

    private func range(_ arguments: CallArguments) throws -> TemplateValue {
        let values = try arguments.positionalOnly(1...3, "range").map { value in
            guard let int = value.clampedInt else {
                if case .undefined(let undefined) = value { throw undefined.failure }
                throw Failure.type("'\(value.typeName)' object cannot be interpreted as an integer")
            }
            return int
        }
        let step = values.count > 2 ? values[2] : 1
        if step == 0 { throw Failure.type("range() arg 3 must not be zero") }
        let range = TemplateRange(
            start: values.count > 1 ? values[0] : 0, stop: values.count > 1 ? values[1] : values[0],
            step: step)
        if range.count > budget.limits.rangeCount {
            throw Failure.limit(
                "Range too big. The sandbox blocks ranges larger than MAX_RANGE (\(budget.limits.rangeCount))."
            )
        }
        return .range(range)
    }
}
