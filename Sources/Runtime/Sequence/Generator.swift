package import DoraLoader
package import DoraTensor

/// Greedy decoding with one set of weights. One request at a time.
package final class Generator {
    package let context: Int
    private let weights: ModelWeights
    private let limits: RunningSequence.Limits
    private let tokenizer: (any Tokenizer)?
    private let pass: ForwardPass

    /// - Parameter context: positions that a sequence may have; nil for the model's own maximum.
    /// - Throws: `RuntimeError.contextTooLong`; `ComputeError` when memory runs out.
    package init(
        _ configuration: ModelConfiguration, weights: ModelWeights, eosIDs: [Int],
        tokenizer: (any Tokenizer)?,
        context: Int? = nil, halfCache: Bool, activations: ActivationPrecision = .auto,
        chunk: Int = ForwardPass.defaultChunk, on compute: Compute
    ) throws {
        self.context = try configuration.checkedContext(context)
        self.weights = weights
        self.tokenizer = tokenizer
        limits = RunningSequence.Limits(context: self.context, eosIDs: Set(eosIDs))
        pass = try ForwardPass(
            configuration, halfCache: halfCache, activations: activations, chunk: min(chunk, self.context),
            on: compute)
    }

    /// - Parameter emit: takes each piece of text (or, without a tokenizer, none) with its token; false stops.
    package func generate(
        _ request: GenerationRequest, emit: (_ id: Int, _ text: String) -> Bool = { _, _ in true }
    ) throws -> Completion {
        try check(request.prompt)
        var sequence = RunningSequence(
            request, weights: weights, cache: KeyValueCache(geometry: pass.geometry), limits: limits,
            tokenizer: tokenizer)
        while !sequence.isFinished {
            let part = sequence.nextPart(atMost: pass.chunk)
            try pass.step([part]) { _, _, logits in try sequence.accept(logits, emit: emit) }
        }
        return sequence.finish(emit: emit)
    }

    /// The log probability of every prompt token after the first, given those before it.
    package func score(_ prompt: [Int], top: Int = 0) throws -> [TokenLogprob] {
        try check(prompt)
        var scores: [TokenLogprob] = []
        let cache = KeyValueCache(geometry: pass.geometry)
        for start in stride(from: 0, to: prompt.count, by: pass.chunk) {
            let tokens = prompt[start..<min(start + pass.chunk, prompt.count)]
            let part = StepPart(weights: weights, cache: cache, tokens: tokens, logits: .all)
            try pass.step([part]) { _, index, logits in
                guard start + index + 1 < prompt.count else { return }
                _ = try Logits.greedy(logits)
                scores.append(Logits.probabilities(of: prompt[start + index + 1], in: logits, top: top))
            }
        }
        return scores
    }

    private func check(_ prompt: [Int]) throws(RuntimeError) {
        try GenerationRequest.check(
            prompt, vocabularySize: pass.configuration.vocabularySize, context: context)
    }
}
