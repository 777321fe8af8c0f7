/// Python's `str` and `repr`.
struct Representation {
    private(set) var text = ""
    private let budget: Budget
    private var paid = 0
    /// As `pprint` does with dictionaries.
    private var sortsKeys = false

    private init(_ budget: Budget) { self.budget = budget }

    /// What `{{ value }}` prints.
    static func string(_ value: TemplateValue, _ budget: Budget) throws -> String {
        switch value {
        case .string(let text), .markup(let text): return text
        case .undefined: return ""
        case .int(let value): return String(value)
        default: return try quoted(value, budget)
        }
    }

    static func quoted(_ value: TemplateValue, _ budget: Budget) throws -> String {
        var representation = Representation(budget)
        try representation.append(value)
        return representation.text
    }

    /// Python's `pprint`, of what it writes on one line.
    static func pretty(_ value: TemplateValue, _ budget: Budget) throws -> String {
        var representation = Representation(budget)
        representation.sortsKeys = true
        try representation.append(value)
        if representation.text.unicodeScalars.count > 80 {
            throw Failure.type("pprint of more than 80 characters is not supported")
        }
        return representation.text
    }

    private mutating func append(_ value: TemplateValue) throws {
        try budget.charge()
        try budget.charge(growing: text.utf8.count, since: &paid)
        switch value {
        case .undefined: text += "Undefined"
        case .none: text += "None"
        case .bool(let value): text += value ? "True" : "False"
        case .int(let value): text += String(value)
        case .big(let value):
            try budget.charge(value.limbs.count * value.limbs.count / 16)
            text += value.description
        case .float(let value): text += FloatFormat.shortest(value)
        case .string(let string): text += Self.quote(string)
        case .markup(let string): text += "Markup(\(Self.quote(string)))"
        case .list(let list): try append(list.elements, "[", "]")
        case .tuple(let tuple): try append(tuple.elements, "(", tuple.elements.count == 1 ? ",)" : ")")
        case .dict(let dict): try append(dict)
        case .view(let view): try append(view.elements, view.part.rawValue + "([", "])")
        case .range(let range):
            text += "range(\(range.start), \(range.stop)" + (range.step == 1 ? ")" : ", \(range.step))")
        case .namespace(let namespace):
            text += "<Namespace "
            try append(namespace.attributes)
            text += ">"
        case .loop(let loop): text += "<LoopContext \(loop.index0 + 1)>"
        case .callable(let callable): append(callable)
        case .generator(let generator): text += "<\(generator.typeName) object>"
        }
    }

    private mutating func append(_ elements: [TemplateValue], _ open: String, _ close: String) throws {
        text += open
        for (index, element) in elements.enumerated() {
            if index > 0 { text += ", " }
            try append(nested: element)
        }
        text += close
    }

    private mutating func append(_ dict: TemplateDict) throws {
        text += "{"
        var items = Array(zip(dict.keys, dict.values))
        if sortsKeys, items.allSatisfy({ $0.0.text != nil }) {
            func scalars(_ key: TemplateValue) -> String.UnicodeScalarView { (key.text ?? "").unicodeScalars }
            items.sort { scalars($0.0).lexicographicallyPrecedes(scalars($1.0)) }
        }
        for (index, (key, value)) in items.enumerated() {
            if index > 0 { text += ", " }
            try append(nested: key)
            text += ": "
            try append(nested: value)
        }
        text += "}"
    }

    /// Inside a container a namespace's attributes are not spelled out: it might hold the container.
    private mutating func append(nested value: TemplateValue) throws {
        if case .namespace = value { text += "<Namespace>" } else { try append(value) }
    }

    private mutating func append(_ callable: Callable) {
        switch callable.kind {
        case .macro(let macro): text += macro.name.map { "<Macro '\($0)'>" } ?? "<Macro anonymous>"
        case .method(let receiver, let name):
            text += "<built-in method \(name) of \(receiver.typeName) object>"
        case .function(let function): text += "<function \(function.rawValue)>"
        case .joiner: text += "<Joiner>"
        case .cycler: text += "<Cycler>"
        }
    }

    /// Single quotes, unless the text has one and no double quote.
    static func quote(_ string: String) -> String {
        let quote: Unicode.Scalar =
            string.utf8.contains(UInt8(ascii: "'")) && !string.utf8.contains(UInt8(ascii: "\"")) ? "\"" : "'"
        var result = String.UnicodeScalarView()
        result.append(quote)
        for scalar in string.unicodeScalars {
            switch scalar {
            case quote, "\\":
                result.append("\\")
                result.append(scalar)
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            default:
                if scalar.isPrintable {
                    result.append(scalar)
                } else {
                    result.append(contentsOf: escape(scalar).unicodeScalars)
                }
            }
        }
        result.append(quote)
        return String(result)
    }

    static func escape(_ scalar: Unicode.Scalar) -> String {
        let value = scalar.value
        let (prefix, width) = value < 0x100 ? ("\\x", 2) : value < 0x10000 ? ("\\u", 4) : ("\\U", 8)
        return prefix + hexadecimal(value, width: width)
    }

    static func hexadecimal(_ value: UInt32, width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
