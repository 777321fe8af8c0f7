/// What may follow `|`: jinja2's filters, with transformers' `tojson`.
enum Filter: String {
    case abs, attr, batch, capitalize, center, count, d, `default`, dictsort, e, escape, filesizeformat,
        first, float
    case forceescape, format, groupby, indent, int, items, join, last, length, list, lower, map, max, min,
        pprint
    case random, reject, rejectattr, replace, reverse, round, safe, select, selectattr, slice, sort, string
    case striptags, sum, title, tojson, trim, truncate, unique, upper, urlencode, urlize, wordcount, wordwrap,
        xmlattr
}

extension Renderer {
    func applyFilter(
        _ name: String, to value: TemplateValue, _ arguments: CallArguments
    ) throws -> TemplateValue {
        guard let filter = Filter(rawValue: name) else {
            throw Failure.type("No filter named '\(name)' found.")
        }
        try budget.charge()
        let result: TemplateValue
        if let text = try applyTextFilter(filter, value, arguments) {
            result = text
        } else if let number = try applyNumberFilter(filter, value, arguments) {
            result = number
        } else {
            result = try applySequenceFilter(filter, value, arguments)
        }
        if let text = result.text { try budget.charge(bytes: text.utf8.count) }
        return try budget.admit(result)
    }

    /// A parameter that must be an integer.
    func integer(_ value: TemplateValue?, default standard: Int) throws -> Int {
        guard let value else { return standard }
        if case .undefined(let undefined) = value { throw undefined.failure }
        guard let int = value.clampedInt else {
            throw Failure.type("'\(value.typeName)' object cannot be interpreted as an integer")
        }
        return int
    }

    private func applyNumberFilter(
        _ filter: Filter, _ value: TemplateValue, _ arguments: CallArguments
    ) throws -> TemplateValue? {
        let name = filter.rawValue
        switch filter {
        case .abs:
            _ = try arguments.positionalOnly(0...0, name)
            if case .float(let number) = value { return .float(number.magnitude) }
            if case .undefined(let undefined) = value { throw undefined.failure }
            guard let integer = value.integer else {
                throw Failure.type("bad operand type for abs(): '\(value.typeName)'")
            }
            return .integer(integer.magnitude)
        case .int:
            let values = try arguments.bound(to: ["default", "base"], name)
            let base = try integer(values[1], default: 10)
            if case .undefined(let undefined) = value { throw undefined.failure }
            return try NumberParsing.integer(value, base: base) ?? values[0] ?? .int(0)
        case .float:
            let values = try arguments.bound(to: ["default"], name)
            if case .undefined(let undefined) = value { throw undefined.failure }
            if let number = value.number {
                if value.isHuge { throw Failure.type("int too large to convert to float") }
                return .float(number)
            }
            return value.text.flatMap(NumberParsing.float).map { .float($0) } ?? values[0] ?? .float(0)
        case .round: return try round(value, arguments)
        case .filesizeformat:
            let binary = try arguments.bound(to: ["binary"], name)[0]?.isTrue ?? false
            guard let bytes = value.number ?? value.text.flatMap(NumberParsing.float) else {
                throw Failure.type("could not convert \(value.typeName) to float")
            }
            return .string(Self.fileSize(bytes, base: binary ? 1024 : 1000, binary: binary))
        default: return nil
        }
    }

    private func round(_ value: TemplateValue, _ arguments: CallArguments) throws -> TemplateValue {
        let values = try arguments.bound(to: ["precision", "method"], "round")
        let precision = try integer(values[0], default: 0)
        let method = values[1]?.text ?? "common"
        guard ["common", "ceil", "floor"].contains(method) else {
            throw Failure.type("method must be common, ceil or floor")
        }
        if case .undefined(let undefined) = value { throw undefined.failure }
        guard let number = value.number else {
            throw Failure.type("type \(value.typeName) doesn't define __round__ method")
        }
        if method == "common" {
            if let integer = value.integer {
                if precision >= 0 { return .integer(integer) }
                guard precision > -1000 else { return .int(0) }
                return .integer(Self.rounded(integer, digits: -precision))
            }
            guard number.isFinite, precision < 400 else { return value }
            if precision < 0 {
                guard precision > -400, let whole = BigInteger(truncating: number.magnitude) else {
                    return .float(0 * number)
                }
                let isAbove = whole.double != number.magnitude
                let rounded = Self.rounded(whole, digits: -precision, isAbove: isAbove).double
                return .float(number.sign == .minus ? -rounded : rounded)
            }
            return .float(Double(FloatFormat.fixed(number, precision: precision)) ?? number)
        }
        let scale = Mathematics.power(10, Double(precision))
        let scaled = precision >= 0 || value.integer == nil ? number * scale : number * scale
        guard scaled.isFinite else { throw Failure.type("cannot convert float infinity or NaN to integer") }
        let result = scaled.rounded(method == "ceil" ? .up : .down)
        return .float((result == 0 ? 0 : result) / scale)
    }

    /// To a multiple of 10^digits, halves to even.
    /// - Parameter isAbove: something below an integer's precision was cut off.
    private static func rounded(_ value: BigInteger, digits: Int, isAbove: Bool = false) -> BigInteger {
        var unit = BigInteger(1)
        for _ in 0..<digits { unit = unit * BigInteger(10) }
        var (quotient, rest) = value.flooredDivision(by: unit)
        let twice = rest + rest
        if unit < twice || (unit == twice && (quotient.isOdd || isAbove)) {
            quotient = quotient + BigInteger(1)
        }
        return quotient * unit
    }

    private static func fileSize(_ bytes: Double, base: Double, binary: Bool) -> String {
        if bytes == 1 { return "1 Byte" }
        if bytes < base { return "\(BigInteger(truncating: bytes)?.description ?? "0") Bytes" }
        let prefixes =
            binary
            ? ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
            : ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
        var unit = base
        for prefix in prefixes {
            unit *= base
            if bytes < unit || prefix.hasPrefix("Y") {
                return FloatFormat.fixed(base * bytes / unit, precision: 1) + " " + prefix
            }
        }
        return ""
    }
}
