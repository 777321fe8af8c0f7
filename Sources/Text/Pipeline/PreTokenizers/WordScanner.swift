/// The three regular expressions that nearly all byte-level tokenizers split with, by hand: same matches, an
/// order of magnitude faster than a general engine. Each of them matches at every position of every text.
enum WordScanner: Sendable {
    case gpt2
    /// Llama-3 (three digits at most together) and Qwen (one).
    case llama3(digits: Int)

    static let gpt2Expression =
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    private static func llama3Expression(_ numbers: String) -> String {
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\#(numbers)| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    /// nil if the expression is none of the three.
    init?(expression: String) {
        switch expression {
        case Self.gpt2Expression: self = .gpt2
        case Self.llama3Expression(#"\p{N}{1,3}"#): self = .llama3(digits: 3)
        case Self.llama3Expression(#"\p{N}"#): self = .llama3(digits: 1)
        default: return nil
        }
    }

    /// The end of the match that begins at `start`, which must be below `end`.
    func end(of start: Int, in bytes: [UInt8], _ end: Int) -> Int {
        let text = Text(bytes: bytes, end: end)
        return switch self {
        case .gpt2: text.gpt2Match(start)
        case .llama3(let digits): text.llama3Match(start, digits: digits)
        }
    }
}

/// Steps over the scalars of a text.
private struct Text {
    let bytes: [UInt8]
    let end: Int

    private static let apostrophe = UInt8(ascii: "'")
    private static let blank = UInt8(ascii: " ")

    func gpt2Match(_ start: Int) -> Int {
        if bytes[start] == Self.apostrophe, let end = contraction(start + 1, anyCase: false) { return end }
        let body = bytes[start] == Self.blank ? start + 1 : start
        if body < end {
            let kind = kind(body)
            if kind != .space { return run(body, of: kind) }
        }
        return spaces(start)
    }

    func llama3Match(_ start: Int, digits: Int) -> Int {
        if bytes[start] == Self.apostrophe, let end = contraction(start + 1, anyCase: true) { return end }
        let kind = kind(start)
        let second = start + UTF8Bytes.length(lead: bytes[start])
        if kind == .letter { return run(second, of: .letter) }
        if kind == .number { return run(second, of: .number, atMost: digits - 1) }
        if !isLineBreak(start), second < end, self.kind(second) == .letter { return run(second, of: .letter) }
        let body = bytes[start] == Self.blank ? start + 1 : start
        if body < end, self.kind(body) == .other { return lineBreaks(run(body, of: .other)) }
        return lastLineBreak(start) ?? spaces(start)
    }

    /// Letter, number, space, or all else, marks included.
    private func kind(_ index: Int) -> ScalarClass {
        let kind = ScalarClass.of(UTF8Bytes.scalar(in: bytes, at: index).value)
        return kind == .mark ? .other : kind
    }

    private func isLineBreak(_ index: Int) -> Bool { bytes[index] == 0x0A || bytes[index] == 0x0D }

    /// The end of the run of one kind that begins at `start`, which may be the end of the text.
    private func run(_ start: Int, of kind: ScalarClass, atMost limit: Int = .max) -> Int {
        var index = start
        var count = 0
        while index < end, count < limit, self.kind(index) == kind {
            index += UTF8Bytes.length(lead: bytes[index])
            count += 1
        }
        return index
    }

    private func lineBreaks(_ start: Int) -> Int {
        var index = start
        while index < end, isLineBreak(index) { index += 1 }
        return index
    }

    /// `\s*[\r\n]+`: up to the last line break of the run of white space.
    private func lastLineBreak(_ start: Int) -> Int? {
        var index = run(start, of: .space)
        while index > start {
            index -= 1
            if isLineBreak(index) { return index + 1 }
        }
        return nil
    }

    /// `\s+(?!\S)|\s+`: a run of white space leaves its last character to the word that follows.
    private func spaces(_ start: Int) -> Int {
        let stop = run(start, of: .space)
        if stop == end { return stop }
        let last = UTF8Bytes.start(before: stop, in: bytes)
        return last > start ? last : stop
    }

    /// The end of `s t re ve m ll d` at `start`; regardless of case U+017F is an s.
    private func contraction(_ start: Int, anyCase: Bool) -> Int? {
        guard start < end else { return nil }
        if anyCase, bytes[start] == 0xC5, start + 1 < end, bytes[start + 1] == 0xBF { return start + 2 }
        let fold: UInt8 = anyCase ? 0x20 : 0
        let first = bytes[start] | fold
        let second = start + 1 < end ? bytes[start + 1] | fold : 0
        switch (first, second) {
        case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _), (UInt8(ascii: "d"), _):
            return start + 1
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return start + 2
        default: return nil
        }
    }
}
