/// Python's comparisons.
extension Renderer {
    func compare(_ comparison: ComparisonOperator, _ left: TemplateValue, _ right: TemplateValue) throws
        -> Bool
    {
        switch comparison {
        case .equal: try equal(left, right)
        case .notEqual: try !equal(left, right)
        case .contained: try contains(right, left)
        case .notContained: try !contains(right, left)
        case .less: try precedes(left, right, "<")
        case .greater: try precedes(right, left, ">", reversed: true)
        case .lessOrEqual: try notAfter(left, right, "<=")
        case .greaterOrEqual: try notAfter(right, left, ">=", reversed: true)
        }
    }

    func equal(_ left: TemplateValue, _ right: TemplateValue) throws -> Bool {
        try budget.charge()
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.int(let a), .int(let b)): return a == b
        case (.bool(let a), .bool(let b)): return a == b
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            guard a.elements.count == b.elements.count else { return false }
            for (x, y) in zip(a.elements, b.elements) where try !equal(x, y) { return false }
            return true
        case (.dict(let a), .dict(let b)):
            guard a.count == b.count else { return false }
            for (key, value) in zip(a.keys, a.values) {
                guard let hashed = DictKey(key), let other = b[hashed], try equal(value, other) else {
                    return false
                }
            }
            return true
        case (.range(let a), .range(let b)):
            return a.count == b.count
                && (a.count == 0 || a.start == b.start && (a.count == 1 || a.step == b.step))
        case (.view(let a), .view(let b)):
            if a.part != b.part || a.part == .values { return a === b }
            guard a.dict.count == b.dict.count else { return false }
            for element in a.elements where try !contains(right, element) { return false }
            return true
        case (.namespace(let a), .namespace(let b)): return a === b
        case (.loop(let a), .loop(let b)): return a === b
        case (.generator(let a), .generator(let b)): return a === b
        case (.callable(let a), .callable(let b)):
            if case .method(let x, let m) = a.kind, case .method(let y, let n) = b.kind {
                return try m == n && equal(x, y)
            }
            if case .function(let f) = a.kind, case .function(let g) = b.kind { return f == g }
            return a === b
        default:
            if let a = left.text, let b = right.text {
                if a.utf8.count != b.utf8.count { return false }
                try budget.charge(a.utf8.count >> 6)
                return a.hasSameBytes(as: b)
            }
            return order(left, right) == .some(.same)
        }
    }

    private enum Order { case before, same, after, unordered }

    /// How two numbers compare; nil if they are not numbers.
    private func order(_ left: TemplateValue, _ right: TemplateValue) -> Order? {
        if let a = left.integer, let b = right.integer { return a < b ? .before : a == b ? .same : .after }
        guard let a = left.number, let b = right.number else { return nil }
        if a.isNaN || b.isNaN { return .unordered }
        // An integer and a float compare exactly.
        if let integer = left.integer, let whole = BigInteger(truncating: b) {
            if integer != whole { return integer < whole ? .before : .after }
            let fraction = b - b.rounded(.towardZero)
            return fraction > 0 ? .before : fraction < 0 ? .after : .same
        }
        if right.integer != nil, a.isFinite {
            switch order(right, left) {
            case .before: return .after
            case .after: return .before
            case let other: return other
            }
        }
        return a < b ? .before : a == b ? .same : .after
    }

    /// `left < right`.
    func precedes(
        _ left: TemplateValue, _ right: TemplateValue, _ symbol: String = "<", reversed: Bool = false
    ) throws -> Bool {
        try budget.charge()
        if let order = order(left, right) { return order == .before }
        if let a = left.text, let b = right.text {
            try budget.charge(min(a.utf8.count, b.utf8.count) >> 6)
            return a.precedes(b)
        }
        if let (a, b) = sequences(left, right) {
            for (x, y) in zip(a, b) where try !equal(x, y) {
                return try precedes(x, y, symbol, reversed: reversed)
            }
            return a.count < b.count
        }
        throw unordered(left, right, symbol, reversed)
    }

    /// `left <= right`.
    private func notAfter(
        _ left: TemplateValue, _ right: TemplateValue, _ symbol: String, reversed: Bool = false
    ) throws -> Bool {
        try budget.charge()
        if let order = order(left, right) { return order == .before || order == .same }
        if let a = left.text, let b = right.text {
            try budget.charge(min(a.utf8.count, b.utf8.count) >> 6)
            return !b.precedes(a)
        }
        if let (a, b) = sequences(left, right) {
            for (x, y) in zip(a, b) where try !equal(x, y) {
                return try notAfter(x, y, symbol, reversed: reversed)
            }
            return a.count <= b.count
        }
        throw unordered(left, right, symbol, reversed)
    }

    private func sequences(_ left: TemplateValue, _ right: TemplateValue) -> (
        [TemplateValue], [TemplateValue]
    )? {
        switch (left, right) {
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)): (a.elements, b.elements)
        default: nil
        }
    }

    private func unordered(
        _ left: TemplateValue, _ right: TemplateValue, _ symbol: String, _ reversed: Bool
    ) -> Failure {
        for case .undefined(let undefined) in [left, right] { return undefined.failure }
        let (first, second) = reversed ? (right, left) : (left, right)
        return Failure.type(
            "'\(symbol)' not supported between instances of '\(first.typeName)' and '\(second.typeName)'")
    }

    /// `element in container`.
    func contains(_ container: TemplateValue, _ element: TemplateValue) throws -> Bool {
        try budget.charge()
        switch container {
        case .string(let text), .markup(let text):
            guard let part = element.text else {
                throw Failure.type("'in <string>' requires string as left operand, not \(element.typeName)")
            }
            try budget.charge((text.utf8.count + part.utf8.count) >> 3)
            return SubstringSearch(Array(part.utf8)).first(in: Array(text.utf8)) != nil
        case .dict(let dict):
            if let name = element.text { return dict[name] != nil }
            guard let hashed = DictKey(element) else {
                throw Failure.type("unhashable type: '\(element.typeName)'")
            }
            return dict[hashed] != nil
        case .range(let range):
            guard let number = element.number, let place = Int(exactly: number) else { return false }
            guard range.count > 0 else { return false }
            let (low, high) = range.step > 0 ? (range.start, range.stop - 1) : (range.stop + 1, range.start)
            let distance = range.step > 0 ? place &- range.start : range.start &- place
            return (low...high).contains(place) && UInt(bitPattern: distance) % range.step.magnitude == 0
        case .generator(let generator):
            while let next = try generator.next(self) { if try equal(next, element) { return true } }
            return false
        case .list, .tuple, .view, .undefined, .loop:
            for candidate in try elements(of: container) where try equal(candidate, element) { return true }
            return false
        default: throw Failure.type("argument of type '\(container.typeName)' is not iterable")
        }
    }

    /// A stable sort by keys, as Python's `sorted`.
    func sorted(
        _ elements: [TemplateValue], reversed: Bool = false, by key: (TemplateValue) throws -> TemplateValue
    ) throws -> [TemplateValue] {
        let keyed = try elements.map { (key: try key($0), value: $0) }
        try budget.charge(elements.count)
        if elements.count > 1 {
            // Python compares neighbours even where the order is decided already: so do incomparable ones fail.
            _ = try precedes(keyed[1].key, keyed[0].key)
        }
        let order = try keyed.indices.sorted { a, b in
            if try precedes(keyed[reversed ? b : a].key, keyed[reversed ? a : b].key) { return true }
            if try precedes(keyed[reversed ? a : b].key, keyed[reversed ? b : a].key) { return false }
            return a < b
        }
        return order.map { keyed[$0].value }
    }
}
