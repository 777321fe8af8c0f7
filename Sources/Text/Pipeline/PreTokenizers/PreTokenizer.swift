/// A step that cuts normalized text into the pre-tokens across which nothing merges.
enum PreTokenizer: Sendable {
    case sequence([PreTokenizer])
    case whitespace
    case split(TextPattern, SplitBehavior, inverted: Bool)
    case digits(individually: Bool)
    case metaspace(Metaspace)
    case byteLevel(addsPrefixSpace: Bool, splitsWords: Bool)

    init(_ component: JSONComponent) throws(LoadError) {
        switch try component.string("type") {
        case "Sequence":
            var steps: [PreTokenizer] = []
            for step in try component.components("pretokenizers") { steps.append(try PreTokenizer(step)) }
            self = .sequence(steps)
        case "Split":
            guard let behavior = SplitBehavior(rawValue: try component.string("behavior")) else {
                throw component.error(.malformed, "behavior", expected: "Removed, Isolated or the like")
            }
            self = .split(
                try TextPattern(component.component("pattern")), behavior,
                inverted: try component.bool("invert"))
        case "WhitespaceSplit": self = .whitespace
        case "Digits": self = .digits(individually: try component.bool("individual_digits"))
        case "Metaspace": self = .metaspace(try Metaspace(component))
        case "ByteLevel":
            self = .byteLevel(
                addsPrefixSpace: try component.bool("add_prefix_space"),
                splitsWords: try component.bool("use_regex", absent: true))
        case let other: throw component.unsupported("type", "the pre-tokenizer \(other) is not supported")
        }
    }

    func apply(_ text: inout TextPieces) {
        switch self {
        case .sequence(let steps): for step in steps { step.apply(&text) }
        case .whitespace: Self.splitWhitespace(&text)
        case .split(let pattern, let behavior, let inverted):
            Self.split(&text, pattern, behavior, inverted: inverted)
        case .digits(let individually): Self.splitDigits(&text, individually: individually)
        case .metaspace(let metaspace): metaspace.apply(&text)
        case .byteLevel(let addsPrefixSpace, let splitsWords):
            if addsPrefixSpace { Self.addPrefixSpaces(&text) }
            if splitsWords { Self.split(&text, .words(.gpt2), .isolated, inverted: false) }
            Self.mapBytes(&text)
        }
    }

    private static func split(
        _ text: inout TextPieces, _ pattern: TextPattern, _ behavior: SplitBehavior, inverted: Bool
    ) {
        var spans: [SplitBehavior.Span] = []
        text.split { bytes, range, parts in
            spans.removeAll(keepingCapacity: true)
            pattern.spans(bytes, range, into: &spans)
            if inverted { spans = spans.map { ($0.range, !$0.isMatch) } }
            behavior.parts(of: spans, into: &parts)
        }
    }

    /// White space is dropped.
    private static func splitWhitespace(_ text: inout TextPieces) {
        text.split { bytes, range, parts in
            var start = range.lowerBound
            var index = start
            while index < range.upperBound {
                let (value, length) = UTF8Bytes.scalar(in: bytes, at: index)
                if ScalarClass.of(value) == .space {
                    parts.append(start..<index)
                    start = index + length
                }
                index += length
            }
            parts.append(start..<range.upperBound)
        }
    }

    private static func splitDigits(_ text: inout TextPieces, individually: Bool) {
        let behavior: SplitBehavior = individually ? .isolated : .contiguous
        text.split { bytes, range, parts in
            var spans: [SplitBehavior.Span] = []
            var index = range.lowerBound
            while index < range.upperBound {
                let (value, length) = UTF8Bytes.scalar(in: bytes, at: index)
                let isDigit = ScalarClass.isNumeric(value)
                if !isDigit, let last = spans.last, !last.isMatch {
                    spans[spans.count - 1].range = last.range.lowerBound..<index + length
                } else {
                    spans.append((index..<index + length, isDigit))
                }
                index += length
            }
            behavior.parts(of: spans, into: &parts)
        }
    }

    private static func addPrefixSpaces(_ text: inout TextPieces) {
        text.rewrite { bytes, piece, output in
            if !piece.range.isEmpty, bytes[piece.range.lowerBound] != UInt8(ascii: " ") {
                output.append(UInt8(ascii: " "))
            }
            output.append(contentsOf: bytes[piece.range])
        }
    }

    private static func mapBytes(_ text: inout TextPieces) {
        text.rewrite { bytes, piece, output in
            for byte in bytes[piece.range] { output.append(contentsOf: ByteAlphabet.spellings[Int(byte)]) }
        }
    }
}
