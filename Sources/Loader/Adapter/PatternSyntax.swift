/// The syntax tree of a regular expression as Python's `re` writes it.
indirect enum PatternSyntax: Sendable {
    case scalars(PatternScalars)
    case sequence([PatternSyntax])
    case alternatives([PatternSyntax])
    /// `maximum` is nil for "any number". Greed does not matter where only the fact of a match does.
    case repeated(PatternSyntax, minimum: Int, maximum: Int?)
    case assertion(Assertion)
    case look(PatternSyntax, behind: Bool, negated: Bool)

    enum Assertion: Sendable {
        case start, end, wordBoundary, noWordBoundary
    }
}

/// A set of Unicode scalars: what one position of a pattern accepts.
struct PatternScalars: Sendable {
    private(set) var ranges: [ClosedRange<UInt32>] = []
    var isNegated = false

    /// `.`: all but the line feed.
    static let anything = PatternScalars(ranges: [10...10], isNegated: true)
    static let digits = PatternScalars(ranges: [48...57])
    static let space = PatternScalars(ranges: [9...13, 32...32])
    static let word = PatternScalars(ranges: [48...57, 65...90, 95...95, 97...122])

    init(ranges: [ClosedRange<UInt32>] = [], isNegated: Bool = false) {
        self.ranges = ranges
        self.isNegated = isNegated
    }

    init(_ scalar: UnicodeScalar) {
        ranges = [scalar.value...scalar.value]
    }

    func contains(_ scalar: UnicodeScalar) -> Bool {
        ranges.contains { $0.contains(scalar.value) } != isNegated
    }

    mutating func insert(_ range: ClosedRange<UInt32>) {
        ranges.append(range)
    }

    /// - Precondition: the other set is not negated, or this one is empty and takes it over.
    mutating func formUnion(_ other: PatternScalars) {
        if other.isNegated {
            ranges += other.complement
        } else {
            ranges += other.ranges
        }
    }

    private var complement: [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
            next = max(next, range.upperBound + 1)
        }
        return result + [next...0x10FFFF]
    }
}
