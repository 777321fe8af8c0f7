/// `format % values`: printf's formatting, as Python has it.
struct PercentFormat {
    enum Values {
        /// A tuple's elements, used one after the other.
        case list([TemplateValue])
        case single(TemplateValue)
    }

    private let values: Values
    private let isMarkup: Bool
    private let renderer: Renderer
    private var used = 0
    private var usesMapping = false
    private var rest: Substring.UnicodeScalarView

    static func apply(_ format: String, _ values: Values, isMarkup: Bool, _ renderer: Renderer) throws
        -> String
    {
        var formatter = PercentFormat(
            values: values, isMarkup: isMarkup, renderer: renderer, rest: Substring(format).unicodeScalars)
        return try formatter.run()
    }

    private init(values: Values, isMarkup: Bool, renderer: Renderer, rest: Substring.UnicodeScalarView) {
        self.values = values
        self.isMarkup = isMarkup
        self.renderer = renderer
        self.rest = rest
    }

    private mutating func run() throws -> String {
        var result = ""
        while let scalar = rest.popFirst() {
            if scalar != "%" {
                result.unicodeScalars.append(scalar)
                continue
            }
            result += try directive()
            try renderer.budget.charge(bytes: result.utf8.count)
        }
        let isUsed: Bool
        switch values {
        case .list(let list): isUsed = used >= list.count || usesMapping
        case .single(let value):
            let isMapping =
                switch value {
                case .dict, .list, .range, .undefined: true
                default: false
                }
            isUsed = used > 0 || usesMapping || isMapping
        }
        if !isUsed { throw Failure.type("not all arguments converted during string formatting") }
        return result
    }

    private mutating func next() throws -> TemplateValue {
        defer { used += 1 }
        switch values {
        case .list(let list):
            if used < list.count { return list[used] }
        case .single(let value):
            if used == 0 { return value }
        }
        throw Failure.type("not enough arguments for format string")
    }

    private mutating func directive() throws -> String {
        var key: TemplateValue?
        if rest.first == "(" {
            rest.removeFirst()
            var name = ""
            var depth = 1
            while let scalar = rest.popFirst() {
                if scalar == "(" { depth += 1 }
                if scalar == ")" { depth -= 1 }
                if depth == 0 { break }
                name.unicodeScalars.append(scalar)
            }
            if depth > 0 { throw Failure.type("incomplete format key") }
            guard case .single(.dict(let dict)) = values else {
                throw Failure.type("format requires a mapping")
            }
            guard let value = dict[name] else { throw Failure.type(Representation.quote(name)) }
            key = value
            usesMapping = true
        }
        var format = NumberFormat()
        var zero = false
        var left = false
        flags: while let flag = rest.first {
            switch flag {
            case "-": left = true
            case "+": format.sign = "+"
            case " ": if format.sign != "+" { format.sign = " " }
            case "#": format.alternate = true
            case "0": zero = true
            default: break flags
            }
            rest.removeFirst()
        }
        if let width = try count(limit: NumberFormat.maximumWidth) {
            format.width = width.magnitude == UInt(Int.max) ? 0 : Int(width.magnitude)
            if width < 0 { left = true }
        }
        if rest.first == "." {
            rest.removeFirst()
            format.precision = max(try count(limit: NumberFormat.maximumPrecision) ?? 0, 0)
        }
        while let length = rest.first, "hlL".unicodeScalars.contains(length) { rest.removeFirst() }
        guard let type = rest.popFirst() else { throw Failure.type("incomplete format") }
        if left { format.alignment = "<" }
        if type == "%" { return "%" }
        let value = if let key { key } else { try next() }
        if zero, !left, !"srac".unicodeScalars.contains(type) {
            format.fill = "0"
            format.alignment = "="
        }
        return try formatted(value, type, format)
    }

    /// Digits, or `*` for the next value.
    private mutating func count(limit: Int) throws -> Int? {
        if rest.first == "*" {
            rest.removeFirst()
            guard let count = try next().smallInt else { throw Failure.type("* wants int") }
            if count.magnitude > limit { throw Failure.limit("a field is wider than \(limit)") }
            return count
        }
        var count: Int?
        while let digit = rest.first, ("0"..."9").contains(digit) {
            rest.removeFirst()
            count = (count ?? 0) * 10 + Int(digit.value) - 48
            if let count, count > limit { throw Failure.limit("a field is wider than \(limit)") }
        }
        return count
    }

    private func formatted(_ value: TemplateValue, _ type: Unicode.Scalar, _ format: NumberFormat) throws
        -> String
    {
        switch type {
        case "s", "r", "a":
            var text =
                type == "s"
                ? try Representation.string(value, renderer.budget)
                : try Representation.quoted(value, renderer.budget)
            if type == "a" {
                text = text.unicodeScalars.reduce(into: "") {
                    $0 += $1.isASCII ? String($1) : Representation.escape($1)
                }
            }
            if isMarkup, !value.isMarkup { text = HTML.escape(text) }
            if let precision = format.precision { text = String(text.unicodeScalars.prefix(precision)) }
            return format.padded(text, standard: ">")
        case "c":
            if let text = value.text, text.unicodeScalars.count == 1 {
                return format.padded(text, standard: ">")
            }
            guard let code = value.smallInt, let scalar = UInt32(exactly: code).flatMap(Unicode.Scalar.init)
            else {
                throw Failure.type("%c requires int or char")
            }
            return format.padded(String(scalar), standard: ">")
        case "d", "i", "u":
            var number = value.integer
            if number == nil, case .float(let float) = value { number = BigInteger(truncating: float) }
            guard let number else {
                throw undefinedFailure(value)
                    ?? Failure.type("%\(type) format: a real number is required, not \(value.typeName)")
            }
            return format.integer(number, radix: 10)
        case "x", "X", "o":
            guard let number = value.integer else {
                throw undefinedFailure(value)
                    ?? Failure.type("%\(type) format: an integer is required, not \(value.typeName)")
            }
            let prefix = type == "o" ? "0o" : type == "x" ? "0x" : "0X"
            return format.integer(number, radix: type == "o" ? 8 : 16, prefix: prefix, uppercase: type == "X")
        case "e", "E", "f", "F", "g", "G":
            guard let number = value.number, !value.isHuge else {
                throw undefinedFailure(value) ?? Failure.type("must be real number, not \(value.typeName)")
            }
            return format.float(number, type: type)
        default: throw Failure.type("unsupported format character '\(type)'")
        }
    }

    private func undefinedFailure(_ value: TemplateValue) -> Failure? {
        if case .undefined(let undefined) = value { undefined.failure } else { nil }
    }
}
