package import DoraLoader
package import DoraTensor
package import DoraText

/// Greedy decoding with one set of weights. One request at a time.
package final class Generator {
    package let context: Int
    private let weights: ModelWeights
    private let limits: RunningSequence.Limits
    private let tokenizer: (any Tokenizer)?
    private let pass: ForwardPass
    private let guesses: Int

    /// - Parameters:
    ///   - context: positions that a sequence may have; nil for the model's own maximum.
    ///   - guesses: in a step, at most.
    /// - Throws: `RuntimeError.contextTooLong`; `ComputeError` when memory runs out.
    package init(
        _ configuration: ModelConfiguration, weights: ModelWeights, eosIDs: [Int],
        tokenizer: (any Tokenizer)?,
        context: Int? = nil, keyValues: KeyValueFormat, secondTerms: SecondTerms = .peaks,
        chunk: Int = ForwardPass.defaultChunk, guesses: Int = 0, on compute: Compute
    ) throws {
        self.guesses = guesses
        self.context = try configuration.checkedContext(context)
        self.weights = weights
        self.tokenizer = tokenizer
        limits = RunningSequence.Limits(
            context: self.context, eosIDs: Set(eosIDs), recomputedLength: configuration.recomputedLength)
        pass = try ForwardPass(
            configuration, keyValues: keyValues, secondTerms: secondTerms, chunk: min(chunk, self.context),
            on: compute)
    }

    /// - Parameter emit: takes each piece of text (or, without a tokenizer, none) with its token; false stops.
    package func generate(
        _ request: GenerationRequest, emit: (_ id: Int, _ text: String) -> Bool = { _, _ in true }
    ) throws -> Completion {
        try request.check(
            vocabularySize: weights.vocabularySize, context: context, eosIDs: Array(limits.eosIDs))
        var sequence = request.running(
            on: pass.configuration, weights: weights, state: SequenceState(pass.geometry), limits: limits,
            tokenizer: tokenizer, width: { _ in RunningScore.mostBranches })
        let rotation = pass.configuration.rotation(ofLengths: [
            request.prompt.count, min(context, request.prompt.count &+ min(request.maximumTokens, context)),
        ])
        var speculation = Speculation(limit: rotation == nil ? 0 : guesses)
        var repeats = Likelihood()
        while !sequence.isFinished {
            let isDecoding = sequence.isDecoding
            let room = pass.chunk - sequence.pendingTokens
            if room > 0,
                let proposal = speculation.proposal(of: &sequence, by: nil, own: repeats, atMost: room)
            {
                let count = speculation.counts(of: [proposal], making: 1, beside: 0, room: room)[0]
                if count > 0 {
                    sequence.take(proposal.guess.first(count))
                } else {
                    speculation.reject(proposal, of: nil, own: &repeats)
                }
            }
            let parts = try sequence.nextParts(
                atMost: pass.share(of: sequence.pendingTokens), on: pass)
            let start = ContinuousClock.now
            try pass.step(parts) { part, token, logits in
                try sequence.accept(logits, part: part, token: token, emit: emit)
            }
            if isDecoding, let part = parts.first {
                speculation.record(
                    rows: part.tokens.count, seconds: (ContinuousClock.now - start).seconds)
            }
            if let settled = sequence.settleGuess() { speculation.settle(settled, of: nil, own: &repeats) }
        }
        return sequence.finish(emit: emit)
    }

    /// The log probability of each token, given those before it.
    package func score(_ request: ScoreRequest) throws -> Scores {
        try request.check(vocabularySize: weights.vocabularySize, context: context)
        var running = RunningScore(
            request, on: pass.configuration, weights: weights, state: SequenceState(pass.geometry),
            width: RunningScore.mostBranches)
        while !running.isFinished {
            let parts = try running.nextParts(atMost: pass.share(of: running.pendingTokens), on: pass)
            try pass.step(parts) { part, token, logits in
                try running.accept(logits, part: part, token: token) { _, _ in true }
            }
        }
        return running.result
    }
}
