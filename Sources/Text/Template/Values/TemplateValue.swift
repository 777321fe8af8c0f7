/// What a template computes with: Python's values, as far as templates see them. Copies are values, except for the
/// four that Python shares by reference and templates observe: generators, namespaces, loops and callables.
enum TemplateValue {
    case undefined(Undefined)
    case none
    case bool(Bool)
    case int(Int)
    /// An integer that `Int` does not hold.
    case big(BigInteger)
    case float(Double)
    case string(String)
    /// Text that `safe` or `escape` marked as HTML: joining it with plain text escapes the text.
    case markup(String)
    case list(TemplateList)
    case tuple(TemplateList)
    case dict(TemplateDict)
    case view(DictView)
    case range(TemplateRange)
    case generator(Generator)
    case namespace(Namespace)
    case loop(LoopState)
    case callable(Callable)
}

/// The elements of a list or a tuple, and how deep values nest in them.
struct TemplateList {
    let elements: [TemplateValue]
    let depth: Int

    init(_ elements: [TemplateValue]) {
        self.elements = elements
        var depth = 0
        for element in elements { depth = max(depth, element.depth) }
        self.depth = depth + 1
    }
}

/// Why a value is undefined, in the words of the error that using it raises.
final class Undefined {
    let message: String

    init(_ message: String) { self.message = message }
    convenience init(name: String) { self.init("'\(name)' is undefined") }
}

/// `dict.keys()`, `dict.values()` or `dict.items()`: iterable and counted, but no sequence.
final class DictView {
    enum Part: String { case keys = "dict_keys", values = "dict_values", items = "dict_items" }
    let part: Part
    let dict: TemplateDict

    init(_ part: Part, of dict: TemplateDict) {
        self.part = part
        self.dict = dict
    }

    var elements: [TemplateValue] {
        switch part {
        case .keys: dict.keys
        case .values: dict.values
        case .items: dict.items
        }
    }
}

final class TemplateRange {
    let start: Int, stop: Int, step: Int
    let count: Int

    /// - Parameter step: not zero.
    init(start: Int, stop: Int, step: Int) {
        self.start = start
        self.stop = stop
        self.step = step
        let (low, high, width) = step > 0 ? (start, stop, step.magnitude) : (stop, start, step.magnitude)
        let distance = UInt(bitPattern: high) &- UInt(bitPattern: low)
        count = low < high ? Int(clamping: (distance - 1) / width + 1) : 0
    }

    func element(_ index: Int) -> TemplateValue { .int(start &+ index &* step) }
    var elements: [TemplateValue] { (0..<count).map(element) }
}

/// Elements that can be walked over once. They are computed when they are first asked for, so that a filter's
/// error appears where its result is used.
final class Generator {
    let typeName: String
    /// How deep values nest in what the elements are computed from.
    let depth: Int
    private var pending: ((Renderer) throws -> [TemplateValue])?
    private var elements: [TemplateValue] = []
    private var position = 0

    init(
        typeName: String = "generator", from source: TemplateValue,
        _ elements: @escaping (Renderer) throws -> [TemplateValue]
    ) {
        self.typeName = typeName
        depth = source.depth + 1
        pending = elements
    }

    func next(_ renderer: Renderer) throws -> TemplateValue? {
        try load(renderer)
        guard position < elements.count else { return nil }
        position += 1
        return elements[position - 1]
    }

    func rest(_ renderer: Renderer) throws -> [TemplateValue] {
        try load(renderer)
        let rest = position == 0 ? elements : Array(elements[position...])
        clear()
        return rest
    }

    func clear() {
        pending = nil
        elements = []
        position = 0
    }

    private func load(_ renderer: Renderer) throws {
        guard let pending else { return }
        self.pending = nil
        elements = try pending(renderer)
    }
}

/// `namespace(…)`: the only thing that a template can change.
final class Namespace {
    var attributes: TemplateDict

    init(_ attributes: TemplateDict) { self.attributes = attributes }
}

/// Something that can be called.
final class Callable {
    enum Kind {
        case function(GlobalFunction)
        case method(receiver: TemplateValue, name: String)
        case macro(Macro)
        case joiner(separator: TemplateValue)
        case cycler([TemplateValue])
    }
    let kind: Kind
    /// How often a joiner was called; where a cycler stands.
    var position = 0

    init(_ kind: Kind) { self.kind = kind }
}

extension TemplateValue {
    static var emptyString: TemplateValue { .string("") }

    static func undefined(_ message: String) -> TemplateValue { .undefined(Undefined(message)) }
    static func list(_ elements: [TemplateValue]) -> TemplateValue { .list(TemplateList(elements)) }
    static func tuple(_ elements: [TemplateValue]) -> TemplateValue { .tuple(TemplateList(elements)) }

    static func integer(_ value: BigInteger) -> TemplateValue {
        if let int = value.int { .int(int) } else { .big(value) }
    }

    /// How deep lists and dictionaries nest in the value. Bounded where values are built, so that printing,
    /// comparing and freeing them cannot exhaust the stack.
    var depth: Int {
        switch self {
        case .list(let list), .tuple(let list): list.depth
        case .dict(let dict): dict.depth
        case .view(let view): view.dict.depth + 1
        case .generator(let generator): generator.depth
        case .loop(let loop): loop.nesting
        case .callable(let callable):
            switch callable.kind {
            case .method(let receiver, _): receiver.depth + 1
            case .cycler(let items): (items.map(\.depth).max() ?? 0) + 1
            case .joiner(let separator): separator.depth + 1
            default: 0
            }
        default: 0
        }
    }

    var isUndefined: Bool { if case .undefined = self { true } else { false } }
    var isNone: Bool { if case .none = self { true } else { false } }

    /// The characters of a string, marked or not.
    var text: String? {
        switch self {
        case .string(let text), .markup(let text): text
        default: nil
        }
    }

    /// Python counts booleans among the integers.
    var integer: BigInteger? {
        switch self {
        case .bool(let value): BigInteger(value ? 1 : 0)
        case .int(let value): BigInteger(value)
        case .big(let value): value
        default: nil
        }
    }

    var smallInt: Int? {
        switch self {
        case .bool(let value): value ? 1 : 0
        case .int(let value): value
        default: nil
        }
    }

    /// An index or a count, those beyond `Int` at its ends.
    var clampedInt: Int? {
        if case .big(let value) = self { return value.isNegative ? .min : .max }
        return smallInt
    }

    var number: Double? {
        if case .float(let value) = self { return value }
        if case .int(let value) = self { return Double(value) }
        return integer?.double
    }

    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let value): value
        case .int(let value): value != 0
        case .big: true
        case .float(let value): value != 0
        case .string(let text), .markup(let text): !text.isEmpty
        case .list(let list), .tuple(let list): !list.elements.isEmpty
        case .dict(let dict): dict.count > 0
        case .view(let view): view.dict.count > 0
        case .range(let range): range.count > 0
        case .generator, .namespace, .callable: true
        case .loop: true
        }
    }

    /// The name of the value's class in Python, for messages.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .int, .big: "int"
        case .float: "float"
        case .string: "str"
        case .markup: "Markup"
        case .list: "list"
        case .tuple: "tuple"
        case .dict: "dict"
        case .view(let view): view.part.rawValue
        case .range: "range"
        case .generator(let generator): generator.typeName
        case .namespace: "Namespace"
        case .loop: "LoopContext"
        case .callable(let callable):
            switch callable.kind {
            case .function: "function"
            case .method: "builtin_function_or_method"
            case .macro: "Macro"
            case .joiner: "Joiner"
            case .cycler: "Cycler"
            }
        }
    }

    var objectName: String { isNone ? "None" : typeName + " object" }
}
