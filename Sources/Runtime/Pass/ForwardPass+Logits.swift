import DoraLoader
import DoraTensor

extension ForwardPass {
    /// The head, a few rows at a time, whichever sequences they belong to. They are all that is left of the step.
    func readLogits(
        _ parts: [StepPart], _ wanted: WantedRows,
        _ body: (_ part: Int, _ token: Int, _ logits: UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        let headInput = memory.headInput
        for start in stride(from: 0, to: wanted.count, by: Self.logitRows) {
            let some = wanted.places[start..<min(start + Self.logitRows, wanted.count)]
            var heads: [StepRows] = []
            for (index, place) in some.enumerated() {
                let weights = parts[place.part].weights
                apply(
                    weights.finalNorm, to: memory.residual.row(start + index),
                    count: configuration.hiddenSize, into: headInput.row(index))
                heads.append(StepRows(weights: weights, rows: index..<index + 1))
            }
            headInput.refill(tokens: some.count)
            let widest = heads.map(\.weights.vocabularySize).max() ?? 0
            if logits.columns < widest { logits = try Rows(Self.logitRows, widest) }
            try product.multiply(
                headInput, parts: heads, into: [BatchProduct.Target(logits) { $0.head }])
            for (index, place) in some.enumerated() {
                let count = heads[index].weights.vocabularySize
                finish(logits.row(index), count: count)
                try body(
                    place.part, place.token, UnsafeBufferPointer(start: logits.row(index), count: count))
            }
        }
    }

    /// Scales and caps.
    private func finish(_ logits: UnsafeMutablePointer<Float>, count: Int) {
        if let factor = configuration.scales.logits { compute.scale(logits, by: factor, count: count) }
        if let cap = configuration.scales.finalCap { compute.softCap(logits, to: cap, count: count) }
    }
}
