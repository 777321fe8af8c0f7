/// The decoder steps after the tokens are fused. Stripping the start, all that known tokenizers do here, streams;
/// any other step sees the whole text, which then waits for its end.
struct TextTail: Sendable {
    private enum Mode: Sendable {
        case pass
        /// So many leading `content` may still be dropped.
        case strip(content: [UInt8], left: Int)
        case whole([DecoderPlan.TokenStep])
    }

    private var mode: Mode
    private var held: [UInt8] = []

    init(_ steps: [DecoderPlan.TokenStep]) {
        mode = .whole(steps)
        if steps.isEmpty { mode = .pass }
        if steps.count == 1, case .strip(let strip) = steps[0], strip.stop == 0 {
            mode = .strip(content: strip.content, left: strip.start)
        }
    }

    /// `part` ends on a character's boundary.
    mutating func append(_ part: [UInt8], into text: inout [UInt8]) {
        switch mode {
        case .pass: text.append(contentsOf: part)
        case .whole: held.append(contentsOf: part)
        case .strip(let content, var left):
            var rest = part[...]
            while left > 0, rest.starts(with: content) {
                rest = rest.dropFirst(content.count)
                left -= 1
            }
            text.append(contentsOf: rest)
            if left == 0 || !rest.isEmpty {
                mode = .pass
            } else {
                mode = .strip(content: content, left: left)
            }
        }
    }

    mutating func finish(into text: inout [UInt8]) {
        guard case .whole(let steps) = mode else { return }
        text.append(contentsOf: steps.reduce(held) { $1.applied(to: $0, isFirst: true) })
        held.removeAll()
    }
}
