/// Runs a `DecoderPlan` token by token.
struct StreamingDecoder: Sendable {
    private var steps: [TokenStepState]
    private let fusion: DecoderPlan.Fusion
    private var isFirst = true
    private var lossy = LossyUTF8()
    private var tail: TextTail

    init(_ plan: DecoderPlan) {
        steps = plan.tokenSteps.map(TokenStepState.init)
        fusion = plan.fusion
        tail = TextTail(plan.textSteps)
    }

    mutating func append(_ token: [UInt8], into text: inout [UInt8]) {
        push(token, from: 0, into: &text)
    }

    mutating func finish(into text: inout [UInt8]) {
        for index in steps.indices {
            for token in steps[index].flush() { push(token, from: index + 1, into: &text) }
        }
        var rest: [UInt8] = []
        lossy.finish(into: &rest)
        tail.append(rest, into: &text)
        tail.finish(into: &text)
    }

    private mutating func push(_ token: [UInt8], from first: Int, into text: inout [UInt8]) {
        if first < steps.count {
            for result in steps[first].apply(token) { push(result, from: first + 1, into: &text) }
            return
        }
        switch fusion {
        case .plain: tail.append(token, into: &text)
        case .spaced: tail.append(isFirst ? token : [UInt8(ascii: " ")] + token, into: &text)
        case .byteLevel:
            var bytes: [UInt8] = []
            if !ByteAlphabet.decode(token[...], into: &bytes) { bytes = token }
            var settled: [UInt8] = []
            lossy.append(bytes, into: &settled)
            tail.append(settled, into: &text)
        }
        isFirst = false
    }
}

/// One step on tokens and what it remembers of those before.
private struct TokenStepState: Sendable {
    let step: DecoderPlan.TokenStep
    /// The bytes of the byte tokens since the last other token. They wait for the end of their run: only then is
    /// it known whether the run is valid or each of its tokens becomes one U+FFFD.
    private var run: [UInt8] = []
    private var isFirst = true

    init(_ step: DecoderPlan.TokenStep) { self.step = step }

    /// The tokens that now follow instead of `token`.
    mutating func apply(_ token: [UInt8]) -> [[UInt8]] {
        defer { isFirst = false }
        switch step {
        case .byteFallback:
            if let byte = ByteToken.byte(token) {
                run.append(byte)
                return []
            }
            return flush() + [token]
        default: return [step.applied(to: token, isFirst: isFirst)]
        }
    }

    mutating func flush() -> [[UInt8]] {
        if run.isEmpty { return [] }
        defer { run.removeAll() }
        if UTF8Bytes.firstFlaw(in: run) == nil { return [run] }
        return Array(repeating: UTF8Bytes.replacement, count: run.count)
    }
}

extension DecoderPlan.TokenStep {
    /// The step on one whole token.
    func applied(to token: [UInt8], isFirst: Bool) -> [UInt8] {
        switch self {
        case .byteFallback:
            guard let byte = ByteToken.byte(token) else { return token }
            return byte < 0x80 ? [byte] : UTF8Bytes.replacement
        case .strip(let strip): return strip.applied(to: token)
        case .replace(let pattern, let content):
            var output: [UInt8] = []
            pattern.replace(token, token.indices, by: content, into: &output)
            return output
        case .metaspace(let replacement, let dropsFirst):
            var output: [UInt8] = []
            let space = dropsFirst && isFirst ? [] : [UInt8(ascii: " ")]
            TextPattern.literal(replacement).replace(token, token.indices, by: space, into: &output)
            return output
        }
    }
}

extension DecoderPlan.Strip {
    func applied(to token: [UInt8]) -> [UInt8] {
        var rest = token[...]
        var left = start
        while left > 0, rest.starts(with: content) {
            rest = rest.dropFirst(content.count)
            left -= 1
        }
        // The reference looks at the last characters of the whole token, those cut at the start included.
        var kept = token[...]
        var right = stop
        while right > 0, kept.count >= content.count, kept.suffix(content.count).elementsEqual(content) {
            kept = kept.dropLast(content.count)
            right -= 1
        }
        return Array(rest.prefix(max(0, kept.endIndex - rest.startIndex)))
    }
}
