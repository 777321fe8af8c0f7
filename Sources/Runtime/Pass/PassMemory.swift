import DoraLoader
import DoraTensor

/// The scratch rows of a forward pass.
struct PassMemory {
    let residual: Rows
    let normed: Activations
    /// Queries, keys and values of a token behind each other.
    let projections: Rows
    let attended: Activations
    /// What the feed-forward network's gate makes of its input: in the model's fused matrix the gate and the other half,
    /// else that half alone.
    let up: Rows
    let gated: Activations
    let projected: Rows
    let headInput: Activations

    /// - Parameters:
    ///   - tokens: most of a step.
    ///   - logits: most rows of logits.
    init(
        _ configuration: ModelConfiguration, tokens: Int, logits: Int, secondTerms: SecondTerms
    ) throws(ComputeError) {
        func rows(_ count: Int, _ columns: Int) throws(ComputeError) -> Activations {
            try Activations(capacity: count, columns: columns, secondTerms: secondTerms)
        }
        let (hidden, intermediate) = (configuration.hiddenSize, configuration.intermediateSize)
        let attention = configuration.attentionHeads * configuration.headSize
        residual = try Rows(tokens, hidden)
        normed = try rows(tokens, hidden)
        projections = try Rows(tokens, attention + 2 * configuration.keyValueHeads * configuration.headSize)
        attended = try rows(tokens, attention)
        up = try Rows(tokens, configuration.has(.gateUp) ? 2 * intermediate : intermediate)
        gated = try rows(tokens, intermediate)
        projected = try Rows(tokens, hidden)
        headInput = try rows(logits, hidden)
    }
}
