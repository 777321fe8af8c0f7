package import DoraLoader
package import DoraRuntime
package import DoraTensor
package import DoraText

#if canImport(Glibc)
import Glibc
#endif

/// How far the predictions of stored weights are from exact ones, over the whole vocabulary.
package struct Divergence {
    /// Mean Kullback-Leibler divergence of the stored predictions from the exact ones, nats per predicted token.
    package private(set) var mean = 0.0
    /// Mean entropy of the exact predictions, in nats.
    package private(set) var entropy = 0.0
    /// exp of the mean negative log probability of the texts' own tokens.
    package private(set) var exactPerplexity = 0.0
    package private(set) var storedPerplexity = 0.0
    package private(set) var tokens = 0
    /// Tokens of which both predict the same one first.
    package private(set) var equalTokens = 0

    /// - Parameters:
    ///   - storedSettings: how the stored weights' keys, values and activations are held; `exactSettings` the same of
    ///     the exact ones'.
    ///   - texts: token ids; the first of each text is not predicted.
    package init(
        of stored: ModelWeights, _ storedSettings: ModelSettings, from exact: ModelWeights,
        _ exactSettings: ModelSettings, _ configuration: ModelConfiguration, texts: [[Int]],
        on compute: Compute
    ) throws {
        let exactPass = try Self.pass(configuration, exactSettings, on: compute)
        let storedPass = try Self.pass(configuration, storedSettings, on: compute)
        var (exactLoss, storedLoss) = (0.0, 0.0)
        for text in texts {
            let reference = try Self.logprobs(text.dropLast(), exact, exactPass)
            let found = try Self.logprobs(text.dropLast(), stored, storedPass)
            for (target, (p, q)) in zip(text.dropFirst(), zip(reference, found)) {
                for (exact, other) in zip(p, q) {
                    mean += exp(exact) * (exact - other)
                    entropy -= exp(exact) * exact
                }
                exactLoss -= p[target]
                storedLoss -= q[target]
                if p.indices.max(by: { p[$0] < p[$1] }) == q.indices.max(by: { q[$0] < q[$1] }) {
                    equalTokens += 1
                }
                tokens += 1
            }
        }
        mean /= Double(tokens)
        entropy /= Double(tokens)
        exactPerplexity = exp(exactLoss / Double(tokens))
        storedPerplexity = exp(storedLoss / Double(tokens))
    }

    /// The paragraphs of a text, each a text of its own: special tokens, its lines, then `end`.
    package static func paragraphs(_ text: String, _ tokenizer: any Tokenizer, end: Int?) -> [[Int]] {
        text.split(separator: "\n\n").map { paragraph in
            // Not the line end of the file, which would be a token.
            let lines = paragraph.split(separator: "\n").joined(separator: "\n")
            return tokenizer.encode(lines, addingSpecialTokens: true) + [end].compactMap { $0 }
        }
    }

    private static func pass(
        _ configuration: ModelConfiguration, _ settings: ModelSettings, on compute: Compute
    ) throws -> ForwardPass {
        try ForwardPass(
            configuration, keyValues: settings.keyValueFormat, secondTerms: settings.activations.secondTerms,
            on: compute)
    }

    private static func logprobs(
        _ text: ArraySlice<Int>, _ weights: ModelWeights, _ pass: ForwardPass
    ) throws -> [[Double]] {
        var state = SequenceState(pass.geometry)
        var rows: [[Double]] = []
        for start in stride(from: 0, to: text.count, by: pass.chunk) {
            let tokens = text[start..<min(start + pass.chunk, text.count)]
            let part = try StepPart(
                weights: weights, extending: &state, by: tokens, logits: .all, in: pass.heap)
            try pass.step([part]) { _, _, logits in
                let largest = Double(logits.max() ?? 0)
                let normalizer = largest + log(logits.reduce(0.0) { $0 + exp(Double($1) - largest) })
                rows.append(logits.map { Double($0) - normalizer })
            }
        }
        return rows
    }
}
