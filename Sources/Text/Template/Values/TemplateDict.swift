/// A dictionary in the order of its keys' first appearance, as Python's. Keys that are equal in Python
/// (`1`, `1.0`, `True`) are one key. Immutable once built.
struct TemplateDict {
    private final class Storage {
        let keys: [TemplateValue]
        let values: [TemplateValue]
        /// Made for dictionaries too large to search one by one.
        let index: [DictKey: Int]
        let depth: Int

        init(keys: [TemplateValue], values: [TemplateValue], index: [DictKey: Int]) {
            self.keys = keys
            self.values = values
            self.index = index
            var depth = 0
            for value in values { depth = max(depth, value.depth) }
            for key in keys { depth = max(depth, key.depth) }
            self.depth = depth + 1
        }
    }

    /// Builds a dictionary: a later value of a key replaces the earlier one in its place.
    struct Builder {
        private(set) var keys: [TemplateValue] = []
        private(set) var values: [TemplateValue] = []
        private var index: [DictKey: Int] = [:]

        init() {}

        init(_ dict: TemplateDict) {
            self.init()
            for (key, value) in zip(dict.keys, dict.values) {
                if let hashed = DictKey(key) { set(hashed, key, value) }
            }
        }

        /// - Throws: a type error if the key is a list or a dictionary, or has one in it.
        mutating func set(_ key: TemplateValue, _ value: TemplateValue) throws {
            guard let hashed = DictKey(key) else { throw Failure.type("unhashable type: '\(key.typeName)'") }
            set(hashed, key, value)
        }

        mutating func set(_ name: String, _ value: TemplateValue) {
            set(.text(Array(name.utf8)), .string(name), value)
        }

        private mutating func set(_ hashed: DictKey, _ key: TemplateValue, _ value: TemplateValue) {
            if let position = index[hashed] {
                values[position] = value
            } else {
                index[hashed] = keys.count
                keys.append(key)
                values.append(value)
            }
        }

        var dict: TemplateDict { TemplateDict(Storage(keys: keys, values: values, index: index)) }
    }

    private let storage: Storage

    private init(_ storage: Storage) { self.storage = storage }
    init() { storage = Storage(keys: [], values: [], index: [:]) }

    var keys: [TemplateValue] { storage.keys }
    var values: [TemplateValue] { storage.values }
    var count: Int { storage.keys.count }
    var depth: Int { storage.depth }
    var items: [TemplateValue] { zip(keys, values).map { .tuple([$0, $1]) } }

    subscript(name: String) -> TemplateValue? {
        if count <= 8 {
            for (position, key) in storage.keys.enumerated() {
                if let text = key.text, text.hasSameBytes(as: name) { return storage.values[position] }
            }
            return nil
        }
        return storage.index[.text(Array(name.utf8))].map { storage.values[$0] }
    }

    subscript(key: DictKey) -> TemplateValue? { storage.index[key].map { storage.values[$0] } }
}

/// A hashable value, equal where Python's are.
enum DictKey: Hashable {
    case none, undefined
    case int(Int)
    case big([UInt32], Bool)
    case float(Double)
    case text([UInt8])
    case tuple([DictKey])
    case object(ObjectIdentifier)

    /// Nil for a list or a dictionary, which have no hash, and for tuples of tuples of more than 4,096 values.
    init?(_ value: TemplateValue) {
        var remaining = 4096
        self.init(value, &remaining)
    }

    private init?(_ value: TemplateValue, _ remaining: inout Int) {
        remaining -= 1
        if remaining < 0 { return nil }
        switch value {
        case .undefined: self = .undefined
        case .none: self = .none
        case .bool(let value): self = .int(value ? 1 : 0)
        case .int(let value): self = .int(value)
        case .big(let value): self = .big(value.limbs, value.isNegative)
        case .float(let value):
            if let int = Int(exactly: value) {
                self = .int(int)
            } else if value.rounded() == value, let whole = BigInteger(truncating: value) {
                self = .big(whole.limbs, whole.isNegative)
            } else {
                self = .float(value)
            }
        case .string(let text), .markup(let text): self = .text(Array(text.utf8))
        case .tuple(let tuple):
            var keys: [DictKey] = []
            for element in tuple.elements {
                guard let key = DictKey(element, &remaining) else { return nil }
                keys.append(key)
            }
            self = .tuple(keys)
        case .list, .dict, .view: return nil
        case .range(let range): self = .object(ObjectIdentifier(range))
        case .generator(let generator): self = .object(ObjectIdentifier(generator))
        case .namespace(let namespace): self = .object(ObjectIdentifier(namespace))
        case .loop(let loop): self = .object(ObjectIdentifier(loop))
        case .callable(let callable): self = .object(ObjectIdentifier(callable))
        }
    }
}
