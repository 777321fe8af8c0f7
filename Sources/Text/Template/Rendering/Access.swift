/// Attributes, items and slices, as jinja2's sandbox gives them: what is not there is undefined.
extension Renderer {
    /// `value.name`: an attribute, else the item of that name.
    func attribute(_ name: String, of value: TemplateValue) throws -> TemplateValue {
        if let attribute = try property(name, of: value) { return attribute }
        if case .dict(let dict) = value, let item = dict[name] { return item }
        return try missing(name, of: value)
    }

    /// `value[key]`: an item, else the attribute of that name.
    func item(_ key: TemplateValue, of value: TemplateValue) throws -> TemplateValue {
        switch value {
        case .dict(let dict):
            if let name = key.text {
                if let item = dict[name] { return item }
            } else if let hashed = DictKey(key), let item = dict[hashed] {
                return item
            }
        case .list(let list), .tuple(let list):
            if let index = key.smallInt {
                let place = index < 0 ? index + list.elements.count : index
                if list.elements.indices.contains(place) { return list.elements[place] }
            }
        case .string(let text), .markup(let text):
            if let index = key.smallInt {
                let place = index < 0 ? index + text.codePointCount : index
                try budget.charge(text.utf8.count >> 6)
                if let character = text.codePoint(at: place) { return value.sameKind(character) }
            }
        case .range(let range):
            if let index = key.smallInt {
                let place = index < 0 ? index + range.count : index
                if (0..<range.count).contains(place) { return range.element(place) }
            }
        case .undefined(let undefined): throw undefined.failure
        default: break
        }
        if let name = key.text {
            if let attribute = try property(name, of: value) { return attribute }
            return try missing(name, of: value)
        }
        let quoted = try Representation.quoted(key, budget)
        return .undefined("\(value.objectName) has no element \(quoted)")
    }

    private func missing(_ name: String, of value: TemplateValue) throws -> TemplateValue {
        .undefined("'\(value.objectName)' has no attribute \(Representation.quote(name))")
    }

    /// What Python's `getattr` finds. What the sandbox hides is undefined, and says so when it is used.
    private func property(_ name: String, of value: TemplateValue) throws -> TemplateValue? {
        if case .undefined(let undefined) = value {
            throw undefined.failure
        }
        if name.utf8.first == UInt8(ascii: "_") {
            if Self.objectAttributes.contains(name) { return unsafe(name, value) }
            if case .namespace(let namespace) = value, namespace.attributes[name] != nil {
                return unsafe(name, value)
            }
            return nil
        }
        switch value {
        case .loop(let state): return try attribute(name, of: state)
        case .namespace(let namespace): return namespace.attributes[name]
        case .range(let range):
            switch name {
            case "start": return .int(range.start)
            case "stop": return .int(range.stop)
            case "step": return .int(range.step)
            default: break
            }
        case .int, .big, .bool:
            switch name {
            case "real", "numerator": return value.integer.map { .integer($0) }
            case "imag": return .int(0)
            case "denominator": return .int(1)
            default: break
            }
        case .float(let number):
            if name == "real" { return .float(number) }
            if name == "imag" { return .float(0) }
        case .callable(let callable):
            if let attribute = callable.attribute(name, names: tree.names) { return attribute }
        case .list, .dict:
            if Self.mutators(value).contains(name) { return unsafe(name, value) }
        case .tuple(let tuple) where tuple.elements.count == 2:
            // A group of `groupby` is a named tuple, and looks like any other pair here.
            if name == "grouper" { return tuple.elements[0] }
            if name == "list", case .list = tuple.elements[1] { return tuple.elements[1] }
        default: break
        }
        return hasMethod(value, name)
            ? try budget.admit(.callable(Callable(.method(receiver: value, name: name)))) : nil
    }

    private func unsafe(_ name: String, _ value: TemplateValue) -> TemplateValue {
        .undefined("access to attribute '\(name)' of '\(value.typeName)' object is unsafe.")
    }

    private static func mutators(_ value: TemplateValue) -> Set<String> {
        if case .dict = value { return ["clear", "pop", "popitem", "setdefault", "update"] }
        return ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"]
    }

    /// What every Python object has.
    private static let objectAttributes: Set<String> = [
        "__class__", "__contains__", "__delattr__", "__dir__", "__doc__", "__eq__", "__format__", "__ge__",
        "__getattribute__", "__getitem__", "__getstate__", "__gt__", "__hash__", "__init__",
        "__init_subclass__",
        "__iter__", "__le__", "__len__", "__lt__", "__ne__", "__new__", "__reduce__", "__reduce_ex__",
        "__repr__",
        "__setattr__", "__sizeof__", "__str__", "__subclasshook__",
    ]

    /// `value[start:stop:step]`.
    func slice(
        _ value: TemplateValue, start: TemplateValue?, stop: TemplateValue?, step: TemplateValue?
    ) throws -> TemplateValue {
        func bound(_ value: TemplateValue?) throws -> Int? {
            guard let value, !value.isNone else { return nil }
            guard let int = value.clampedInt else {
                throw Failure.type("slice indices must be integers or None or have an __index__ method")
            }
            return int
        }
        let count: Int
        switch value {
        case .list(let list), .tuple(let list): count = list.elements.count
        case .string(let text), .markup(let text):
            try budget.charge(text.utf8.count >> 3)
            count = text.codePointCount
        case .range(let range): count = range.count
        case .undefined(let undefined): throw undefined.failure
        case .dict: throw Failure.type("unhashable type: 'slice'")
        default: throw Failure.type("'\(value.typeName)' object is not subscriptable")
        }
        let stride = try bound(step) ?? 1
        if stride == 0 { throw Failure.type("slice step cannot be zero") }
        let places = Slice(start: try bound(start), stop: try bound(stop), step: stride, count: count)
        switch value {
        case .list(let list): return try budget.admit(.list(places.indices.map { list.elements[$0] }))
        case .tuple(let list): return try budget.admit(.tuple(places.indices.map { list.elements[$0] }))
        case .string(let text), .markup(let text): return value.sameKind(places.apply(to: text, count: count))
        case .range(let range):
            let first = range.start &+ places.first &* range.step
            let end = range.start &+ places.end &* range.step
            return .range(TemplateRange(start: first, stop: end, step: range.step &* stride))
        default: return value
        }
    }
}

/// The places that a slice selects from a sequence of `count`, by Python's rules.
private struct Slice {
    let first: Int
    /// Where the slice ends, as far as the sequence goes.
    let end: Int
    let step: Int
    let indices: [Int]

    init(start: Int?, stop: Int?, step: Int, count: Int) {
        func clamped(_ value: Int) -> Int {
            let place = value < 0 ? (value == .min ? -1 : value + count) : value
            return step > 0 ? min(max(place, 0), count) : min(max(place, -1), count - 1)
        }
        first = start.map(clamped) ?? (step > 0 ? 0 : count - 1)
        end = stop.map(clamped) ?? (step > 0 ? count : -1)
        self.step = step
        indices = (step > 0 ? first < end : first > end) ? Array(stride(from: first, to: end, by: step)) : []
    }

    func apply(to text: String, count: Int) -> String {
        guard let last = indices.last, let start = indices.first else { return "" }
        if step == 1 {
            let view = text.unicodeScalars
            if count == text.utf8.count {
                let from = text.utf8.index(text.startIndex, offsetBy: start)
                let to = text.utf8.index(from, offsetBy: last + 1 - start)
                return String(text[from..<to])
            }
            let from = view.index(view.startIndex, offsetBy: start)
            return String(view[from..<view.index(from, offsetBy: last + 1 - start)])
        }
        let scalars = Array(text.unicodeScalars)
        return String(indices.map { scalars[$0] })
    }
}

extension TemplateValue {
    /// A string, marked as this one is.
    func sameKind(_ text: String) -> TemplateValue {
        if case .markup = self { .markup(text) } else { .string(text) }
    }
}

extension Callable {
    func attribute(_ name: String, names: [String]) -> TemplateValue? {
        switch kind {
        case .macro(let macro):
            switch name {
            case "name": return macro.name.map { .string($0) } ?? TemplateValue.none
            case "arguments": return .tuple(macro.definition.parameters.map { .string(names[$0.name]) })
            case "caller": return .bool(macro.definition.caller != nil)
            case "catch_kwargs": return .bool(macro.definition.keywords != nil)
            case "catch_varargs": return .bool(macro.definition.rest != nil)
            default: return nil
            }
        case .cycler(let items): return name == "current" ? items[position % items.count] : nil
        default: return nil
        }
    }
}
