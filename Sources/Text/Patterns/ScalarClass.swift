/// The general categories that pre-tokenizers ask for, from one table instead of a property look-up per scalar.
enum ScalarClass: UInt8 {
    case letter, number, space, mark, other

    /// The reference's regular expressions know Unicode 16.0; what came later is unassigned to them.
    static let referenceVersion: Unicode.Version = (major: 16, minor: 0)

    /// One byte per scalar of the basic plane; surrogates are `other`. Takes about 2 ms once per process.
    private static let basicPlane: [ScalarClass] = (0..<0x10000).map { compute(UInt32($0)) }

    static func of(_ scalar: UInt32) -> ScalarClass {
        scalar < 0x10000 ? basicPlane[Int(scalar)] : compute(scalar)
    }

    private static func compute(_ value: UInt32) -> ScalarClass {
        guard let scalar = Unicode.Scalar(value) else { return .other }
        let properties = scalar.properties
        guard let age = properties.age, age <= referenceVersion else { return .other }
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            return .letter
        case .decimalNumber, .letterNumber, .otherNumber: return .number
        case .nonspacingMark, .spacingMark, .enclosingMark: return .mark
        default: return properties.isWhitespace ? .space : .other
        }
    }

    /// Whether a scalar is a number to the `Digits` step, which asks another library: one that knows Unicode 17.
    static func isNumeric(_ scalar: UInt32) -> Bool {
        if scalar < 0x1000 { return of(scalar) == .number }
        switch Unicode.Scalar(scalar)?.properties.generalCategory {
        case .decimalNumber, .letterNumber, .otherNumber: return true
        default: return false
        }
    }
}
