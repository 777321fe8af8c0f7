/// `tojson`: Python's `json.dumps` as transformers calls it.
struct JSONOutput {
    var ensuresASCII = false
    /// What a level of nesting is indented by; nil for everything on one line.
    var indent: String?
    var itemSeparator = ", "
    var keySeparator = ": "
    var sortsKeys = false
    let renderer: Renderer
    private(set) var text = ""
    private var paid = 0

    init(_ renderer: Renderer) { self.renderer = renderer }

    mutating func append(_ value: TemplateValue, level: Int = 0) throws {
        try renderer.budget.charge()
        try renderer.budget.charge(growing: text.utf8.count, since: &paid)
        switch value {
        case .none: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .int(let value): text += String(value)
        case .big(let value): text += value.description
        case .float(let value): text += Self.number(value)
        case .string(let string), .markup(let string): append(string)
        case .list(let list), .tuple(let list):
            try append("[", "]", count: list.elements.count, level: level) { output, index in
                try output.append(list.elements[index], level: level + 1)
            }
        case .dict(let dict):
            let items = try sortsKeys ? renderer.sorted(dict.items) { $0 } : dict.items
            try append("{", "}", count: items.count, level: level) { output, index in
                guard case .tuple(let pair) = items[index] else { return }
                output.append(try output.key(pair.elements[0]))
                output.text += output.keySeparator
                try output.append(pair.elements[1], level: level + 1)
            }
        default: throw Failure.type("Object of type \(value.typeName) is not JSON serializable")
        }
    }

    private mutating func append(
        _ open: String, _ close: String, count: Int, level: Int,
        element: (inout JSONOutput, Int) throws -> Void
    ) throws {
        text += open
        for index in 0..<count {
            if index > 0 { text += itemSeparator }
            try breakLine(level + 1)
            try element(&self, index)
        }
        if count > 0 { try breakLine(level) }
        text += close
    }

    private mutating func breakLine(_ level: Int) throws {
        guard let indent else { return }
        try renderer.budget.charge(bytes: indent.utf8.count * level)
        text += "\n"
        for _ in 0..<level { text += indent }
    }

    private func key(_ key: TemplateValue) throws -> String {
        switch key {
        case .string(let text), .markup(let text): return text
        case .none: return "null"
        case .bool(let value): return value ? "true" : "false"
        case .int(let value): return String(value)
        case .big(let value): return value.description
        case .float(let value): return Self.number(value)
        default: throw Failure.type("keys must be str, int, float, bool or None, not \(key.typeName)")
        }
    }

    private static func number(_ value: Double) -> String {
        value.isFinite
            ? FloatFormat.shortest(value) : value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
    }

    private mutating func append(_ string: String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{08}": text += "\\b"
            case "\u{0C}": text += "\\f"
            default:
                if scalar.value < 0x20 || ensuresASCII && scalar.value > 0x7E {
                    for unit in UTF16.encode(scalar) ?? .init() {
                        text += "\\u" + Representation.hexadecimal(UInt32(unit), width: 4)
                    }
                } else {
                    text.unicodeScalars.append(scalar)
                }
            }
        }
        text += "\""
    }
}

extension Renderer {
    func toJSON(_ value: TemplateValue, _ arguments: CallArguments) throws -> String {
        let values = try arguments.bound(to: ["ensure_ascii", "indent", "separators", "sort_keys"], "tojson")
        var output = JSONOutput(self)
        output.ensuresASCII = values[0]?.isTrue ?? false
        output.sortsKeys = values[3]?.isTrue ?? false
        if let indent = values[1], !indent.isNone {
            if let text = indent.text {
                output.indent = text
            } else {
                let width = max(try integer(indent, default: 0), 0)
                try budget.charge(bytes: width)
                output.indent = String(repeating: " ", count: width)
            }
            output.itemSeparator = ","
        }
        if let separators = values[2], !separators.isNone {
            let parts = try elements(of: separators)
            guard parts.count == 2, let item = parts[0].text, let key = parts[1].text else {
                throw Failure.type("separators are a pair of strings")
            }
            output.itemSeparator = item
            output.keySeparator = key
        }
        try output.append(value)
        return output.text
    }
}
