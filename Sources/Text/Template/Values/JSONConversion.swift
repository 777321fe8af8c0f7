extension TemplateValue {
    /// A document's value as Python's `json.loads` gives it: the order of keys is kept, `1` is no `1.0`, and
    /// integers have any size.
    init(_ json: JSONValue) {
        switch json {
        case .null: self = .none
        case .bool(let value): self = .bool(value)
        case .number(let number): self.init(number)
        case .string(let text): self = .string(text)
        case .array(let elements): self = .list(elements.map { TemplateValue($0) })
        case .object(let object):
            var dict = TemplateDict.Builder()
            for (key, value) in object.members { dict.set(key, TemplateValue(value)) }
            self = .dict(dict.dict)
        }
    }

    private init(_ number: JSONNumber) {
        let isInteger = number.text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-") }
        if isInteger {
            if let int = Int(number.text) {
                self = .int(int)
            } else if number.text.utf8.count > NumberLiteral.maximumDigits {
                // Python reads no such number; as text it costs nothing and prints the same.
                self = .string(number.text)
            } else if let big = BigInteger(number.text) {
                self = .integer(big)
            } else {
                self = .none
            }
        } else {
            self = .float(number.double ?? (number.text.hasPrefix("-") ? -.infinity : .infinity))
        }
    }
}
