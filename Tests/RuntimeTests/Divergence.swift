import DoraLoader
import DoraRuntime
import DoraTensor

#if canImport(Glibc)
import Glibc
#endif

/// How far the predictions of stored weights are from exact ones, over the whole vocabulary.
struct Divergence {
    /// Mean Kullback-Leibler divergence per token.
    private(set) var mean = 0.0
    /// Mean entropy of the exact predictions, in nats.
    private(set) var entropy = 0.0
    private(set) var tokens = 0

    init(
        of stored: ModelWeights, from exact: ModelWeights, _ configuration: ModelConfiguration, texts: [[Int]]
    ) throws {
        let compute = try Compute(threads: 2)
        let exactPass = try ForwardPass(configuration, halfCache: false, on: compute)
        let storedPass = try ForwardPass(configuration, halfCache: true, on: compute)
        for text in texts {
            let reference = try Self.logprobs(text, exact, exactPass)
            let found = try Self.logprobs(text, stored, storedPass)
            for (p, q) in zip(reference, found) {
                for (exact, other) in zip(p, q) {
                    mean += exp(exact) * (exact - other)
                    entropy -= exp(exact) * exact
                }
                tokens += 1
            }
        }
        mean /= Double(tokens)
        entropy /= Double(tokens)
    }

    private static func logprobs(
        _ text: [Int], _ weights: ModelWeights, _ pass: ForwardPass
    ) throws -> [[Double]] {
        let cache = KeyValueCache(geometry: pass.geometry)
        var rows: [[Double]] = []
        for start in stride(from: 0, to: text.count, by: pass.chunk) {
            let tokens = text[start..<min(start + pass.chunk, text.count)]
            try pass.step([StepPart(weights: weights, cache: cache, tokens: tokens, logits: .all)]) {
                _, _, logits in
                let largest = Double(logits.max() ?? 0)
                let normalizer = largest + log(logits.reduce(0.0) { $0 + exp(Double($1) - largest) })
                rows.append(logits.map { Double($0) - normalizer })
            }
        }
        return rows
    }
}
