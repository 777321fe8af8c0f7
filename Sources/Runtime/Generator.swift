package import DoraLoader
package import DoraTensor

/// What to generate from a prompt.
package struct GenerationRequest: Sendable {
    package var prompt: [Int]
    package var maximumTokens: Int
    package var stops: [String]
    package var ignoresEOS: Bool
    /// How many alternatives to report per token; nil for no log probabilities.
    package var logprobs: Int?

    package init(
        prompt: [Int], maximumTokens: Int = 256, stops: [String] = [], ignoresEOS: Bool = false,
        logprobs: Int? = nil
    ) {
        self.prompt = prompt
        self.maximumTokens = maximumTokens
        self.stops = stops
        self.ignoresEOS = ignoresEOS
        self.logprobs = logprobs
    }
}

package struct Completion: Sendable {
    package enum FinishReason: String, Sendable {
        /// An EOS id or a stop string.
        case stop
        /// The maximum of tokens, or the end of the context.
        case length
        /// The caller did not want more.
        case cancelled
    }

    /// The EOS that ended the text included.
    package internal(set) var tokenIDs: [Int] = []
    /// Nil without a tokenizer.
    package internal(set) var text: String?
    package internal(set) var logprobs: [TokenLogprob] = []
    package internal(set) var finishReason = FinishReason.length
    package internal(set) var prefillTime = Duration.zero
    package internal(set) var decodeTime = Duration.zero
}

/// Greedy decoding with one set of weights. One request at a time.
package final class Generator {
    package let context: Int
    private let weights: ModelWeights
    private let eosIDs: Set<Int>
    private let tokenizer: (any Tokenizer)?
    private let pass: ForwardPass
    private let geometry: KeyValueGeometry

    /// - Parameter context: positions that a sequence may have; nil for the model's own maximum.
    /// - Throws: `RuntimeError.contextTooLong`; `ComputeError` when memory runs out.
    package init(
        _ configuration: ModelConfiguration, weights: ModelWeights, eosIDs: [Int],
        tokenizer: (any Tokenizer)?,
        context: Int? = nil, halfCache: Bool, chunk: Int = ForwardPass.defaultChunk, on compute: Compute
    ) throws {
        let maximum = configuration.maximumPositions
        if let context, context > maximum { throw RuntimeError.contextTooLong(context, maximum: maximum) }
        self.context = context ?? maximum
        self.weights = weights
        self.eosIDs = Set(eosIDs)
        self.tokenizer = tokenizer
        pass = try ForwardPass(configuration, chunk: min(chunk, self.context), on: compute)
        geometry = KeyValueGeometry(
            layers: configuration.layerCount, keyValueHeads: configuration.keyValueHeads,
            headSize: configuration.headSize, isHalf: halfCache)
    }

    /// - Parameter emit: takes each piece of text (or, without a tokenizer, none) with its token; false stops.
    package func generate(
        _ request: GenerationRequest, emit: (_ id: Int, _ text: String) -> Bool = { _, _ in true }
    ) throws -> Completion {
        try check(request.prompt)
        var output = Output(request: request, detokenizer: tokenizer?.makeDetokenizer())
        let cache = KeyValueCache(geometry: geometry)
        let clock = ContinuousClock()
        var next = request.prompt
        while output.completion.tokenIDs.count < request.maximumTokens {
            guard cache.count + next.count <= context else { break }
            let isPrompt = cache.count == 0
            var id = 0
            let time = try clock.measure {
                try pass.run(next, weights: weights, cache: cache) { _, logits in
                    id = try Logits.greedy(logits)
                    output.record(id, logits)
                }
            }
            if isPrompt { output.completion.prefillTime = time } else { output.completion.decodeTime += time }
            let isEnd = !request.ignoresEOS && eosIDs.contains(id)
            if !output.accept(id, isEnd: isEnd, emit: emit) { break }
            next = [id]
        }
        return output.finish(emit: emit)
    }

    /// The log probability of every prompt token after the first, given those before it.
    package func score(_ prompt: [Int], top: Int = 0) throws -> [TokenLogprob] {
        try check(prompt)
        var scores: [TokenLogprob] = []
        try pass.run(prompt, weights: weights, cache: KeyValueCache(geometry: geometry), everyLogit: true) {
            index, logits in
            guard index + 1 < prompt.count else { return }
            _ = try Logits.greedy(logits)
            scores.append(Logits.probabilities(of: prompt[index + 1], in: logits, top: top))
        }
        return scores
    }

    private func check(_ prompt: [Int]) throws(RuntimeError) {
        let size = pass.configuration.vocabularySize
        guard !prompt.isEmpty else { throw .emptyPrompt }
        if let id = prompt.first(where: { $0 < 0 || $0 >= size }) {
            throw .tokenOutOfRange(id: id, vocabularySize: size)
        }
        guard prompt.count <= context else { throw .promptTooLong(tokens: prompt.count, context: context) }
    }
}

/// A completion while it grows.
private struct Output {
    let request: GenerationRequest
    var detokenizer: Detokenizer?
    var stops: StopStrings
    var completion = Completion()

    init(request: GenerationRequest, detokenizer: Detokenizer?) {
        self.request = request
        self.detokenizer = detokenizer
        stops = StopStrings(request.stops)
        completion.text = detokenizer == nil ? nil : ""
    }

    mutating func record(_ id: Int, _ logits: UnsafeBufferPointer<Float>) {
        guard let top = request.logprobs else { return }
        completion.logprobs.append(Logits.probabilities(of: id, in: logits, top: top))
    }

    /// Takes a token; false when it was the last.
    mutating func accept(_ id: Int, isEnd: Bool, emit: (Int, String) -> Bool) -> Bool {
        completion.tokenIDs.append(id)
        if isEnd {
            completion.finishReason = .stop
            return false
        }
        let text = stops.append(detokenizer?.append(id) ?? "")
        completion.text?.append(text)
        let goesOn = emit(id, text)
        if stops.isMet {
            completion.finishReason = .stop
        } else if !goesOn {
            completion.finishReason = .cancelled
        }
        return goesOn && !stops.isMet
    }

    /// Shows what was held back: half a character, or the start of a stop string.
    mutating func finish(emit: (Int, String) -> Bool) -> Completion {
        guard var last = detokenizer, let id = completion.tokenIDs.last else { return completion }
        let text = stops.append(last.finish()) + stops.finish()
        if stops.isMet { completion.finishReason = .stop }
        if !text.isEmpty {
            completion.text?.append(text)
            _ = emit(id, text)
        }
        return completion
    }
}
