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
        let pass = try ForwardPass(configuration, on: compute)
        for text in texts {
            let reference = try Self.logprobs(text, exact, halfCache: false, pass)
            let found = try Self.logprobs(text, stored, halfCache: true, pass)
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
        _ text: [Int], _ weights: ModelWeights, halfCache: Bool, _ pass: ForwardPass
    ) throws -> [[Double]] {
        let configuration = pass.configuration
        let cache = KeyValueCache(
            geometry: KeyValueGeometry(
                layers: configuration.layerCount, keyValueHeads: configuration.keyValueHeads,
                headSize: configuration.headSize, isHalf: halfCache))
        var rows: [[Double]] = []
        try pass.run(text, weights: weights, cache: cache, everyLogit: true) { _, logits in
            let largest = Double(logits.max() ?? 0)
            let normalizer = largest + log(logits.reduce(0.0) { $0 + exp(Double($1) - largest) })
            rows.append(logits.map { Double($0) - normalizer })
        }
        return rows
    }
}
