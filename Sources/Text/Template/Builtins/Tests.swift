/// What may follow `is`.
enum ValueTest: String {
    case odd, even, divisibleby, defined, undefined, filter, test, none, boolean, `false`, `true`, integer,
        float
    case lower, upper, string, mapping, number, sequence, iterable, callable, sameas, escaped, `in`
    case equalSign = "==", eq, equalto, notEqualSign = "!=", ne, greaterSign = ">", gt, greaterthan, ge
    case greaterOrEqualSign = ">=", lessSign = "<", lt, lessthan, lessOrEqualSign = "<=", le

    /// How many arguments the test takes.
    var argumentCount: Int {
        switch self {
        case .divisibleby, .sameas, .in, .equalSign, .eq, .equalto, .notEqualSign, .ne, .greaterSign, .gt,
            .greaterthan, .ge, .greaterOrEqualSign, .lessSign, .lt, .lessthan, .lessOrEqualSign, .le:
            1
        default: 0
        }
    }

    var comparison: ComparisonOperator? {
        switch self {
        case .equalSign, .eq, .equalto: .equal
        case .notEqualSign, .ne: .notEqual
        case .greaterSign, .gt, .greaterthan: .greater
        case .greaterOrEqualSign, .ge: .greaterOrEqual
        case .lessSign, .lt, .lessthan: .less
        case .lessOrEqualSign, .le: .lessOrEqual
        case .in: .contained
        default: nil
        }
    }
}

extension Renderer {
    func applyTest(_ name: String, to value: TemplateValue, _ arguments: CallArguments) throws -> Bool {
        guard let test = ValueTest(rawValue: name) else {
            throw Failure.type("No test named '\(name)' found.")
        }
        var values = arguments.positional
        if test.argumentCount == 1, values.isEmpty, let keyword = arguments.keywords.first,
            ["num", "other", "seq"].contains(keyword.name)
        {
            values = [keyword.value]
        } else if let keyword = arguments.keywords.first {
            throw Failure.type("test '\(name)' got an unexpected keyword argument '\(keyword.name)'")
        }
        guard values.count == test.argumentCount else {
            throw Failure.type(
                "test '\(name)' takes \(test.argumentCount) argument(s) but \(values.count) were given")
        }
        if let comparison = test.comparison { return try compare(comparison, value, values[0]) }
        switch test {
        case .odd, .even: return try equal(calculate(.modulo, value, .int(2)), .int(test == .odd ? 1 : 0))
        case .divisibleby: return try equal(calculate(.modulo, value, values[0]), .int(0))
        case .sameas: return try isSame(value, values[0])
        case .filter, .test:
            guard DictKey(value) != nil else { throw Failure.type("unhashable type: '\(value.typeName)'") }
            if test == .test { return value.text.map { ValueTest(rawValue: $0) != nil } ?? false }
            return value.text.map { Filter(rawValue: $0) != nil } ?? false
        case .lower:
            let text = try Representation.string(value, budget)
            return PythonText.hasCase(text) { $0.isLowercase }
        case .upper:
            let text = try Representation.string(value, budget)
            return PythonText.hasCase(text) { $0.isUppercase }
        default: return Self.isOfKind(test, value)
        }
    }

    private static func isOfKind(_ test: ValueTest, _ value: TemplateValue) -> Bool {
        switch (test, value) {
        case (.undefined, .undefined), (.none, .none), (.boolean, .bool), (.true, .bool(true)),
            (.false, .bool(false)), (.integer, .int), (.integer, .big), (.float, .float), (.mapping, .dict),
            (.string, .string), (.string, .markup), (.escaped, .markup), (.number, .int), (.number, .big),
            (.number, .float), (.number, .bool), (.callable, .callable), (.callable, .undefined),
            (.callable, .loop):
            if case .callable(let callable) = value, case .cycler = callable.kind { return false }
            return true
        case (.defined, .undefined): return false
        case (.defined, _): return true
        case (.sequence, .string), (.sequence, .markup), (.sequence, .list), (.sequence, .tuple),
            (.sequence, .dict), (.sequence, .range), (.sequence, .undefined):
            return true
        case (.iterable, .string), (.iterable, .markup), (.iterable, .list), (.iterable, .tuple),
            (.iterable, .dict), (.iterable, .range), (.iterable, .undefined), (.iterable, .view),
            (.iterable, .generator), (.iterable, .loop):
            return true
        default: return false
        }
    }

    /// Python's `is`, as far as values without an identity have one.
    private func isSame(_ left: TemplateValue, _ right: TemplateValue) throws -> Bool {
        switch (left, right) {
        case (.none, .none): true
        case (.bool(let a), .bool(let b)): a == b
        case (.int(let a), .int(let b)): a == b
        case (.string(let a), .string(let b)): a.hasSameBytes(as: b)
        case (.undefined(let a), .undefined(let b)): a === b
        case (.float(let a), .float(let b)): a == b
        case (.namespace, .namespace), (.loop, .loop), (.generator, .generator), (.callable, .callable):
            try equal(left, right)
        default: false
        }
    }
}
