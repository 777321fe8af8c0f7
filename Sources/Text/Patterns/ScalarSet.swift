/// The scalars that one place of a regular expression admits.
struct ScalarSet: Sendable {
    enum Item: Sendable {
        case range(ClosedRange<UInt32>)
        /// A set of general categories, by the bits of `GeneralCategories`.
        case categories(UInt32)
        case space
        /// Word characters. Outside brackets the reference asks another table, by which `² ³ ¹ ¼ ½ ¾` are some.
        case word(inBrackets: Bool)
    }

    private static let latinFractions: [UInt32] = [0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE]

    private var items: [(item: Item, isNegated: Bool)] = []
    private var isNegated = false
    private var foldsCase = false
    /// Whether each ASCII scalar is in the set.
    private var ascii: (UInt64, UInt64) = (0, 0)

    init(_ items: [(item: Item, isNegated: Bool)], isNegated: Bool = false, foldsCase: Bool = false) {
        self.items = items
        self.isNegated = isNegated
        self.foldsCase = foldsCase
        for value in 0..<UInt32(64) {
            if find(value) { ascii.0 |= 1 << UInt64(value) }
            if find(value + 64) { ascii.1 |= 1 << UInt64(value) }
        }
    }

    init(_ item: Item, isNegated: Bool = false, foldsCase: Bool = false) {
        self.init([(item, isNegated)], foldsCase: foldsCase)
    }

    func contains(_ value: UInt32) -> Bool {
        if value < 64 { return ascii.0 >> UInt64(value) & 1 != 0 }
        if value < 128 { return ascii.1 >> UInt64(value - 64) & 1 != 0 }
        return find(value)
    }

    private func find(_ value: UInt32) -> Bool {
        let isListed = lists(value) || (foldsCase && Self.otherCases(value).contains(where: lists))
        return isListed != isNegated
    }

    private func lists(_ value: UInt32) -> Bool {
        items.contains { item, isNegated in
            let isIn =
                switch item {
                case .range(let range): range.contains(value)
                case .categories(let mask): GeneralCategories.bit(of: value) & mask != 0
                case .space: ScalarClass.of(value) == .space
                case .word(let inBrackets):
                    GeneralCategories.isWord(value) || (!inBrackets && Self.latinFractions.contains(value))
                }
            return isIn != isNegated
        }
    }

    /// The scalars that are the same as an ASCII letter regardless of case.
    private static func otherCases(_ value: UInt32) -> [UInt32] {
        switch value {
        case 0x41...0x5A, 0x61...0x7A:
            let other = value ^ 0x20
            if other | 0x20 == 0x73 { return [other, 0x17F] }
            return other | 0x20 == 0x6B ? [other, 0x212A] : [other]
        case 0x17F: return [0x53, 0x73]
        case 0x212A: return [0x4B, 0x6B]
        default: return []
        }
    }
}

/// Unicode's general categories as bits, at the Unicode version of the reference's regular expressions.
enum GeneralCategories {
    /// In the order of the bits; a one-letter name stands for all that begin with it.
    private static let names = [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf",
        "Po",
        "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
    ]

    private static let longNames = [
        "letter": "L", "mark": "M", "number": "N", "punctuation": "P", "punct": "P", "symbol": "S",
        "separator": "Z",
        "other": "C",
    ]

    /// The mask of a category by its name, as in `\p{Lu}`.
    static func mask(_ name: String) -> UInt32? {
        let name = longNames[name.lowercased()] ?? name
        var mask: UInt32 = 0
        for (bit, category) in names.enumerated() where category == name || category.prefix(1) == name {
            mask |= 1 << UInt32(bit)
        }
        return mask == 0 ? nil : mask
    }

    /// By scalar of the basic plane: the index of its bit.
    private static let basicPlane: [UInt8] = (0..<0x10000).map { index(UInt32($0)) }

    static func bit(of value: UInt32) -> UInt32 {
        1 << UInt32(value < 0x10000 ? basicPlane[Int(value)] : index(value))
    }

    /// Letters and other alphabetics, marks, decimal digits and connectors.
    static func isWord(_ value: UInt32) -> Bool {
        let mark: UInt32 = 0b111 << 5, digit: UInt32 = 1 << 8, connector: UInt32 = 1 << 11
        let bit = bit(of: value)
        if bit & (mark | digit | connector) != 0 { return true }
        guard bit != 1 << 29, let scalar = Unicode.Scalar(value) else { return false }
        return scalar.properties.isAlphabetic
    }

    private static func index(_ value: UInt32) -> UInt8 {
        guard let scalar = Unicode.Scalar(value) else { return 27 }
        // Unicode 17 made it an other letter.
        if value == 0x295 { return 1 }
        guard let age = scalar.properties.age, age <= ScalarClass.referenceVersion else {
            return scalar.properties.generalCategory == .privateUse ? 28 : 29
        }
        return switch scalar.properties.generalCategory {
        case .uppercaseLetter: 0
        case .lowercaseLetter: 1
        case .titlecaseLetter: 2
        case .modifierLetter: 3
        case .otherLetter: 4
        case .nonspacingMark: 5
        case .spacingMark: 6
        case .enclosingMark: 7
        case .decimalNumber: 8
        case .letterNumber: 9
        case .otherNumber: 10
        case .connectorPunctuation: 11
        case .dashPunctuation: 12
        case .openPunctuation: 13
        case .closePunctuation: 14
        case .initialPunctuation: 15
        case .finalPunctuation: 16
        case .otherPunctuation: 17
        case .mathSymbol: 18
        case .currencySymbol: 19
        case .modifierSymbol: 20
        case .otherSymbol: 21
        case .spaceSeparator: 22
        case .lineSeparator: 23
        case .paragraphSeparator: 24
        case .control: 25
        case .format: 26
        case .surrogate: 27
        case .privateUse: 28
        default: 29
        }
    }
}
