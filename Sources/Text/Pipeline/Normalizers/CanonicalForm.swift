// The standard library normalizes strings to compare them; this is the one place that asks it for the result.
// The alternative, Foundation, brings 40 MB of ICU for the same.
@_spi(_Unicode) import Swift

/// Unicode's canonical composition and decomposition, at the Unicode version of the reference.
enum CanonicalForm: Sendable {
    case nfc, nfd

    /// The reference's tables are of Unicode 9.0. To it a scalar that came later has neither a combining class
    /// nor a composition: such a scalar is a barrier between two texts that are normalized each for itself.
    private static let referenceVersion: Unicode.Version = (major: 9, minor: 0)

    /// Three Tibetan vowel signs look like base characters and decompose to marks. The standard library takes
    /// them for the start of a new cluster and leaves marks before them where they are; it must see the parts.
    private static let hiddenMarks: [Unicode.Scalar: String] = [
        "\u{F73}": "\u{F71}\u{F72}", "\u{F75}": "\u{F71}\u{F74}", "\u{F81}": "\u{F71}\u{F80}",
    ]

    func apply(_ text: [UInt8]) -> [UInt8] {
        guard text.contains(where: { $0 >= firstLeadThatChanges }) else { return text }
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var segment = String.UnicodeScalarView()
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            if let parts = Self.hiddenMarks[scalar] {
                segment.append(contentsOf: parts.unicodeScalars)
            } else if scalar.value < 0x300 || isKnown(scalar) {
                segment.append(scalar)
            } else {
                flush(&segment, into: &output)
                output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.CodeUnits())
            }
        }
        flush(&segment, into: &output)
        return output
    }

    /// Below U+0300 nothing composes with what stands before it; decomposition begins at U+00C0.
    private var firstLeadThatChanges: UInt8 { self == .nfc ? 0xCC : 0xC3 }

    /// Two Vedic signs became letters later, and a Sharada one a mark.
    static func isMark(_ value: UInt32) -> Bool {
        if value == 0x1CF2 || value == 0x1CF3 { return true }
        if value == 0x111C9 { return false }
        guard ScalarClass.of(value) == .mark, let age = Unicode.Scalar(value)?.properties.age else {
            return false
        }
        return age <= referenceVersion
    }

    private func isKnown(_ scalar: Unicode.Scalar) -> Bool {
        guard let age = scalar.properties.age else { return false }
        return age <= Self.referenceVersion
    }

    private func flush(_ segment: inout String.UnicodeScalarView, into output: inout [UInt8]) {
        if segment.isEmpty { return }
        let text = String(segment)
        switch self {
        case .nfc:
            for scalar in text._nfc { output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.CodeUnits()) }
        case .nfd:
            for scalar in text._nfd { output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.CodeUnits()) }
        }
        segment = String.UnicodeScalarView()
    }
}

extension UTF8 {
    fileprivate typealias CodeUnits = UTF8.EncodedScalar
}
