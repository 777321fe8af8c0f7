/// A step that rewrites text before it is cut into pre-tokens.
enum Normalizer: Sendable {
    case sequence([Normalizer])
    case composed(CanonicalForm)
    case compatible(CanonicalForm)
    case withoutAccents
    case prepend([UInt8])
    case replace(TextPattern, [UInt8])
    case lowercase
    case strip(left: Bool, right: Bool)
    case mapped(CharacterMap)
    case spaced(SpaceCleaning)

    init(_ component: JSONComponent) throws(LoadError) {
        switch try component.string("type") {
        case "Sequence":
            var steps: [Normalizer] = []
            for step in try component.components("normalizers") { steps.append(try Normalizer(step)) }
            self = .sequence(steps)
        case "NFC": self = .composed(.nfc)
        case "NFD": self = .composed(.nfd)
        case "NFKC": self = .compatible(.nfc)
        case "NFKD": self = .compatible(.nfd)
        case "StripAccents": self = .withoutAccents
        case "Prepend": self = .prepend(try component.bytes("prepend"))
        case "Replace":
            self = .replace(
                try TextPattern(component.component("pattern")), try component.bytes("content"))
        case "Lowercase": self = .lowercase
        case "Strip":
            self = .strip(left: try component.bool("strip_left"), right: try component.bool("strip_right"))
        case "Precompiled": self = .mapped(try CharacterMap(component))
        case "Nmt": self = .spaced(.nmt)
        case let other: throw component.unsupported("type", "the normalizer \(other) is not supported")
        }
    }

    /// The normalized text.
    func apply(_ text: [UInt8]) -> [UInt8] {
        switch self {
        case .sequence(let steps): return steps.reduce(text) { $1.apply($0) }
        case .composed(let form): return form.apply(text)
        case .compatible(let form): return form.apply(CompatibilityForm.apply(text))
        case .withoutAccents: return Self.withoutAccents(text)
        case .prepend(let prefix): return text.isEmpty ? text : prefix + text
        case .replace(let pattern, let content):
            var output: [UInt8] = []
            output.reserveCapacity(text.count)
            pattern.replace(text, text.indices, by: content, into: &output)
            return output
        case .lowercase: return Self.lowercase(text)
        case .mapped(let map): return map.apply(text)
        case .spaced(let cleaning): return cleaning.apply(text)
        case .strip(let left, let right): return Self.strip(text, left: left, right: right)
        }
    }

    /// Scalar by scalar, hence without the final sigma that a whole string would get.
    private static func lowercase(_ text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            output.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
        }
        return output
    }

    /// Without the marks that decomposition leaves behind their letters.
    private static func withoutAccents(_ text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let (value, length) = UTF8Bytes.scalar(in: text, at: index)
            if value < 0x300 || !CanonicalForm.isMark(value) {
                output.append(contentsOf: text[index..<index + length])
            }
            index += length
        }
        return output
    }

    private static func strip(_ text: [UInt8], left: Bool, right: Bool) -> [UInt8] {
        var start = 0
        var end = text.count
        while left, start < end, isSpace(text, start) { start += UTF8Bytes.length(lead: text[start]) }
        while right, end > start {
            let last = UTF8Bytes.start(before: end, in: text)
            guard isSpace(text, last) else { break }
            end = last
        }
        return Array(text[start..<end])
    }

    private static func isSpace(_ text: [UInt8], _ index: Int) -> Bool {
        ScalarClass.of(UTF8Bytes.scalar(in: text, at: index).value) == .space
    }
}
