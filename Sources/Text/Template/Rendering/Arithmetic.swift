/// Python's arithmetic: integers of any size, floor division, strings and lists that add and repeat.
extension Renderer {
    func calculate(
        _ operation: ArithmeticOperator, _ left: TemplateValue, _ right: TemplateValue
    ) throws -> TemplateValue {
        try budget.charge()
        if case .undefined(let undefined) = left { throw undefined.failure }
        if operation == .modulo, let format = left.text {
            let values: PercentFormat.Values =
                if case .tuple(let tuple) = right { .list(tuple.elements) } else { .single(right) }
            return left.sameKind(try PercentFormat.apply(format, values, isMarkup: left.isMarkup, self))
        }
        if case .undefined(let undefined) = right { throw undefined.failure }
        if case .int(let a) = left, case .int(let b) = right, let result = fast(operation, a, b) {
            return result
        }
        if operation == .add, let sum = try joined(left, right) { return sum }
        if operation == .multiply {
            if let count = right.clampedInt, let product = try repeated(left, count) { return product }
            if let count = left.clampedInt, let product = try repeated(right, count) { return product }
        }
        if let a = left.integer, let b = right.integer { return try calculate(operation, a, b) }
        if let a = left.number, let b = right.number {
            if left.isHuge || right.isHuge { throw Failure.type("int too large to convert to float") }
            return try calculate(operation, a, b)
        }
        if operation == .add, left.text != nil {
            throw Failure.type("can only concatenate str (not \"\(right.typeName)\") to str")
        }
        if operation == .add, case .list = left {
            throw Failure.type("can only concatenate list (not \"\(right.typeName)\") to list")
        }
        throw Failure.type(
            "unsupported operand type(s) for \(operation.rawValue): '\(left.typeName)' and '\(right.typeName)'"
        )
    }

    private func fast(_ operation: ArithmeticOperator, _ a: Int, _ b: Int) -> TemplateValue? {
        let (value, overflow): (Int, Bool)
        switch operation {
        case .add: (value, overflow) = a.addingReportingOverflow(b)
        case .subtract: (value, overflow) = a.subtractingReportingOverflow(b)
        case .multiply: (value, overflow) = a.multipliedReportingOverflow(by: b)
        default: return nil
        }
        return overflow ? nil : .int(value)
    }

    private func joined(_ left: TemplateValue, _ right: TemplateValue) throws -> TemplateValue? {
        switch (left, right) {
        case (.string(let a), .string(let b)):
            try budget.charge(bytes: a.utf8.count + b.utf8.count)
            return .string(a + b)
        case (.list(let a), .list(let b)):
            try budget.charge(a.elements.count + b.elements.count)
            return try budget.admit(.list(a.elements + b.elements))
        case (.tuple(let a), .tuple(let b)):
            try budget.charge(a.elements.count + b.elements.count)
            return try budget.admit(.tuple(a.elements + b.elements))
        default:
            guard let a = left.text, let b = right.text else { return nil }
            try budget.charge(bytes: a.utf8.count + b.utf8.count)
            return .markup((left.isMarkup ? a : HTML.escape(a)) + (right.isMarkup ? b : HTML.escape(b)))
        }
    }

    private func repeated(_ value: TemplateValue, _ count: Int) throws -> TemplateValue? {
        let count = max(count, 0)
        func checked(_ size: Int) throws {
            let (total, overflow) = size.multipliedReportingOverflow(by: count)
            try budget.charge(bytes: overflow ? .max : total)
        }
        switch value {
        case .string(let text), .markup(let text):
            try checked(text.utf8.count)
            return value.sameKind(String(repeating: text, count: text.isEmpty ? 0 : count))
        case .list(let list), .tuple(let list):
            try checked(list.elements.count * 16)
            var elements: [TemplateValue] = []
            if !list.elements.isEmpty { for _ in 0..<count { elements += list.elements } }
            if case .list = value { return try budget.admit(.list(elements)) }
            return try budget.admit(.tuple(elements))
        default: return nil
        }
    }

    private func calculate(_ operation: ArithmeticOperator, _ a: BigInteger, _ b: BigInteger) throws
        -> TemplateValue
    {
        try budget.charge(1 + a.limbs.count * b.limbs.count / 8)
        switch operation {
        case .add: return try bounded(a + b)
        case .subtract: return try bounded(a - b)
        case .multiply: return try bounded(a * b)
        case .divide:
            if b.isZero { throw Failure.type("division by zero") }
            return .float(try quotient(a, b))
        case .floorDivide, .modulo:
            if b.isZero { throw Failure.type("integer division or modulo by zero") }
            try budget.charge(b.limbs.count < 2 ? a.limbs.count : a.bitWidth * b.limbs.count / 4)
            let (quotient, remainder) = a.flooredDivision(by: b)
            return .integer(operation == .modulo ? remainder : quotient)
        case .power:
            if b.isNegative {
                if a.isZero { throw Failure.type("0.0 cannot be raised to a negative power") }
                return try power(a.double, b.double)
            }
            if a.magnitude == BigInteger(1) { return .integer(a.isNegative && b.isOdd ? a : BigInteger(1)) }
            if a.isZero { return .int(b.isZero ? 1 : 0) }
            guard let exponent = b.int, exponent <= budget.limits.integerBits,
                a.bitWidth * exponent <= budget.limits.integerBits + a.bitWidth
            else { throw Failure.limit("an integer is longer than \(budget.limits.integerBits) bits") }
            var result = BigInteger(1)
            for _ in 0..<exponent {
                try budget.charge(1 + result.limbs.count / 8)
                result = result * a
            }
            return try bounded(result)
        }
    }

    private func bounded(_ value: BigInteger) throws -> TemplateValue {
        if value.bitWidth > budget.limits.integerBits {
            throw Failure.limit("an integer is longer than \(budget.limits.integerBits) bits")
        }
        return .integer(value)
    }

    /// The nearest double to a quotient of integers.
    private func quotient(_ a: BigInteger, _ b: BigInteger) throws -> Double {
        if a.bitWidth <= 53, b.bitWidth <= 53 { return a.double / b.double }
        // Enough bits of the quotient, and whether anything is left, to round once.
        let shift = 66 - (a.bitWidth - b.bitWidth)
        let scaled = shift >= 0 ? a.magnitude.shiftedLeft(by: shift) : a.magnitude
        let divisor = shift >= 0 ? b.magnitude : b.magnitude.shiftedLeft(by: -shift)
        try budget.charge(scaled.bitWidth * divisor.limbs.count / 4)
        var (result, rest) = scaled.flooredDivision(by: divisor)
        if !rest.isZero, !result.isOdd { result = result + BigInteger(1) }
        let value = Double(sign: .plus, exponent: -shift, significand: result.double)
        if value.isInfinite { throw Failure.type("integer division result too large for a float") }
        return a.isNegative != b.isNegative ? -value : value
    }

    private func calculate(_ operation: ArithmeticOperator, _ a: Double, _ b: Double) throws -> TemplateValue
    {
        switch operation {
        case .add: return .float(a + b)
        case .subtract: return .float(a - b)
        case .multiply: return .float(a * b)
        case .divide:
            if b == 0 { throw Failure.type("float division by zero") }
            return .float(a / b)
        case .floorDivide, .modulo:
            if b == 0 {
                throw Failure.type(operation == .modulo ? "float modulo" : "float floor division by zero")
            }
            // CPython's float_divmod.
            var remainder = a.truncatingRemainder(dividingBy: b)
            var quotient = (a - remainder) / b
            if remainder != 0 {
                if (b < 0) != (remainder < 0) {
                    remainder += b
                    quotient -= 1
                }
            } else {
                remainder = b < 0 ? -0.0 : 0.0
            }
            if operation == .modulo { return .float(remainder) }
            if quotient == 0 { return .float(a / b < 0 ? -0.0 : 0.0) }
            let floor = quotient.rounded(.down)
            return .float(quotient - floor > 0.5 ? floor + 1 : floor)
        case .power: return try power(a, b)
        }
    }

    private func power(_ a: Double, _ b: Double) throws -> TemplateValue {
        if a == 0, b < 0 { throw Failure.type("0.0 cannot be raised to a negative power") }
        if a < 0, b.rounded() != b, b.isFinite { throw Failure.type("complex numbers are not supported") }
        let result = Mathematics.power(a, b)
        if result.isInfinite, a.isFinite, b.isFinite {
            throw Failure.type("(34, 'Numerical result out of range')")
        }
        return .float(result)
    }

    func negate(_ value: TemplateValue) throws -> TemplateValue {
        if case .undefined(let undefined) = value { throw undefined.failure }
        if case .float(let number) = value { return .float(-number) }
        guard let integer = value.integer else {
            throw Failure.type("bad operand type for unary -: '\(value.typeName)'")
        }
        return .integer(-integer)
    }

    func affirm(_ value: TemplateValue) throws -> TemplateValue {
        if case .undefined(let undefined) = value { throw undefined.failure }
        if case .float = value { return value }
        guard let integer = value.integer else {
            throw Failure.type("bad operand type for unary +: '\(value.typeName)'")
        }
        return .integer(integer)
    }
}

extension TemplateValue {
    var isMarkup: Bool { if case .markup = self { true } else { false } }

    /// An integer beyond the range of doubles.
    var isHuge: Bool { if case .big(let value) = self { value.double.isInfinite } else { false } }
}
