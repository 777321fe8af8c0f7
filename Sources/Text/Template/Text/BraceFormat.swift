/// `format.format(…)`: Python's replacement fields.
struct BraceFormat {
    private let arguments: CallArguments
    private let isMarkup: Bool
    private let renderer: Renderer
    private var automatic = 0

    static func apply(_ format: String, _ arguments: CallArguments, isMarkup: Bool, _ renderer: Renderer)
        throws -> String
    {
        var formatter = BraceFormat(arguments: arguments, isMarkup: isMarkup, renderer: renderer)
        return try formatter.run(format, nesting: 0)
    }

    private init(arguments: CallArguments, isMarkup: Bool, renderer: Renderer) {
        self.arguments = arguments
        self.isMarkup = isMarkup
        self.renderer = renderer
    }

    private mutating func run(_ format: String, nesting: Int) throws -> String {
        if nesting > 1 { throw Failure.type("Max string recursion exceeded") }
        var result = ""
        var rest = Substring(format).unicodeScalars
        while let scalar = rest.popFirst() {
            switch scalar {
            case "{" where rest.first == "{", "}" where rest.first == "}":
                rest.removeFirst()
                result.unicodeScalars.append(scalar)
            case "{": result += try field(&rest, nesting: nesting)
            case "}": throw Failure.type("Single '}' encountered in format string")
            default: result.unicodeScalars.append(scalar)
            }
            try renderer.budget.charge(bytes: result.utf8.count >> 4)
        }
        return result
    }

    private mutating func field(_ rest: inout Substring.UnicodeScalarView, nesting: Int) throws -> String {
        var body = String.UnicodeScalarView()
        var depth = 1
        while let scalar = rest.popFirst() {
            if scalar == "{" { depth += 1 }
            if scalar == "}" { depth -= 1 }
            if depth == 0 { break }
            body.append(scalar)
        }
        if depth > 0 { throw Failure.type("expected '}' before end of string") }
        // Inside of brackets neither `:` nor `!` ends the name.
        var inBrackets = false
        let end = body.firstIndex { scalar in
            if scalar == "[" { inBrackets = true }
            if scalar == "]" { inBrackets = false }
            return !inBrackets && (scalar == ":" || scalar == "!")
        }
        let name = String(body[..<(end ?? body.endIndex)])
        var spec = end.map { body[$0...] } ?? Substring("").unicodeScalars
        var conversion: Unicode.Scalar?
        if spec.first == "!" {
            spec.removeFirst()
            conversion = spec.popFirst()
            if conversion == nil || !(spec.isEmpty || spec.first == ":") {
                throw Failure.type("expected ':' after conversion specifier")
            }
        }
        if spec.first == ":" { spec.removeFirst() }
        var value = try lookUp(name)
        let budget = renderer.budget
        switch conversion {
        case "s": value = .string(try Representation.string(value, budget))
        case "r", "a": value = .string(try Representation.quoted(value, budget))
        case nil: break
        case let other?: throw Failure.type("Unknown conversion specifier '\(other)'")
        }
        let text = try formatted(value, run(String(spec), nesting: nesting + 1))
        return isMarkup && !value.isMarkup ? HTML.escape(text) : text
    }

    private mutating func lookUp(_ name: String) throws -> TemplateValue {
        var rest = Substring(name).unicodeScalars
        let first = String(rest.prefix { $0 != "." && $0 != "[" })
        rest = rest.dropFirst(first.unicodeScalars.count)
        var value: TemplateValue
        if first.isEmpty || first.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            let place = first.isEmpty ? automatic : Int(first) ?? .max
            if first.isEmpty { automatic += 1 }
            guard place < arguments.positional.count else {
                throw Failure.type("Replacement index \(place) out of range for positional args tuple")
            }
            value = arguments.positional[place]
        } else {
            guard let found = arguments.keywords.first(where: { $0.name == first }) else {
                throw Failure.type(Representation.quote(first))
            }
            value = found.value
        }
        while let mark = rest.popFirst() {
            if mark == "." {
                let part = String(rest.prefix { $0 != "." && $0 != "[" })
                if part.isEmpty { throw Failure.type("Empty attribute in format string") }
                rest = rest.dropFirst(part.unicodeScalars.count)
                value = try renderer.attribute(part, of: value)
            } else {
                let part = String(rest.prefix { $0 != "]" })
                rest = rest.dropFirst(part.unicodeScalars.count)
                if rest.popFirst() == nil { throw Failure.type("Missing ']' in format string") }
                if part.isEmpty { throw Failure.type("Empty attribute in format string") }
                value = try renderer.item(Int(part).map { .int($0) } ?? .string(part), of: value)
            }
        }
        return value
    }

    private func formatted(_ value: TemplateValue, _ spec: String) throws -> String {
        if spec.isEmpty { return try Representation.string(value, renderer.budget) }
        let (format, type) = try parse(spec)
        func unknown() -> Failure {
            Failure.type(
                "Unknown format code '\(type.map(String.init) ?? "")' for object of type '\(value.typeName)'")
        }
        switch value {
        case .string(let text), .markup(let text):
            if let type, type != "s" { throw unknown() }
            let cut = format.precision.map { String(text.unicodeScalars.prefix($0)) } ?? text
            return format.padded(cut, standard: "<")
        case .int, .big, .bool:
            guard let integer = value.integer else { throw unknown() }
            switch type {
            case nil, "d", "n": return format.integer(integer, radix: 10)
            case "b": return format.integer(integer, radix: 2, prefix: "0b")
            case "o": return format.integer(integer, radix: 8, prefix: "0o")
            case "x": return format.integer(integer, radix: 16, prefix: "0x")
            case "X": return format.integer(integer, radix: 16, prefix: "0X", uppercase: true)
            case "c":
                guard let scalar = integer.int.flatMap(UInt32.init(exactly:)).flatMap(Unicode.Scalar.init)
                else { throw unknown() }
                return format.padded(String(scalar), standard: "<")
            case "e", "E", "f", "F", "g", "G", "%": return format.float(integer.double, type: type ?? "f")
            default: throw unknown()
            }
        case .float(let number):
            switch type {
            case nil:
                let text: String
                if let precision = format.precision {
                    let general = FloatFormat.general(number.magnitude, precision: precision)
                    text = general.utf8.allSatisfy { (0x30...0x39).contains($0) } ? general + ".0" : general
                } else {
                    text = FloatFormat.shortest(number.magnitude)
                }
                return format.float(text, isNegative: number.sign == .minus)
            case "e", "E", "f", "F", "g", "G", "%", "n": return format.float(number, type: type ?? "f")
            default: throw unknown()
            }
        default: throw Failure.type("unsupported format string passed to \(value.typeName).__format__")
        }
    }

    /// `[[fill]align][sign][#][0][width][grouping][.precision][type]`
    private func parse(_ spec: String) throws -> (NumberFormat, Unicode.Scalar?) {
        var format = NumberFormat()
        var rest = Array(spec.unicodeScalars)[...]
        func isAlignment(_ scalar: Unicode.Scalar?) -> Bool {
            scalar == "<" || scalar == ">" || scalar == "=" || scalar == "^"
        }
        if isAlignment(rest.dropFirst().first), let fill = rest.first {
            format.fill = fill
            format.alignment = rest.dropFirst().first
            rest = rest.dropFirst(2)
        } else if isAlignment(rest.first) {
            format.alignment = rest.popFirst()
        }
        if let sign = rest.first, sign == "+" || sign == "-" || sign == " " {
            format.sign = sign
            rest.removeFirst()
        }
        if rest.first == "#" {
            format.alternate = true
            rest.removeFirst()
        }
        if rest.first == "0" {
            if format.alignment == nil {
                format.fill = "0"
                format.alignment = "="
            }
            rest.removeFirst()
        }
        func number(_ limit: Int) throws -> Int? {
            var value: Int?
            while let digit = rest.first, ("0"..."9").contains(digit) {
                rest.removeFirst()
                value = (value ?? 0) * 10 + Int(digit.value) - 48
                if let value, value > limit { throw Failure.limit("a field is wider than \(limit)") }
            }
            return value
        }
        format.width = try number(NumberFormat.maximumWidth) ?? 0
        if let separator = rest.first, separator == "," || separator == "_" {
            format.grouping = separator
            rest.removeFirst()
        }
        if rest.first == "." {
            rest.removeFirst()
            guard let precision = try number(NumberFormat.maximumPrecision) else {
                throw Failure.type("Format specifier missing precision")
            }
            format.precision = precision
        }
        if rest.count > 1 { throw Failure.type("Invalid format specifier '\(spec)'") }
        return (format, rest.first)
    }
}
