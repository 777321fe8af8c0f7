import DoraText

/// A completion while it grows.
struct GrowingCompletion {
    private let request: GenerationRequest
    private var detokenizer: Detokenizer?
    private var stops: StopStrings
    private(set) var completion = Completion()

    init(request: GenerationRequest, detokenizer: Detokenizer?) {
        self.request = request
        self.detokenizer = detokenizer
        stops = StopStrings(request.stops)
        completion.text = detokenizer == nil ? nil : ""
    }

    mutating func count(accepted: Int) { completion.acceptedTokens += accepted }

    mutating func record(_ id: Int, _ logits: UnsafeBufferPointer<Float>) {
        guard let top = request.logprobs else { return }
        completion.logprobs.append(Logits.probabilities(of: id, in: logits, top: top))
    }

    mutating func record(prompt id: Int, _ logits: UnsafeBufferPointer<Float>, top: Int) {
        completion.promptLogprobs.append(Logits.probabilities(of: id, in: logits, top: top))
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
            endByStopString()
        } else if !goesOn {
            completion.finishReason = .cancelled
        }
        return goesOn && !stops.isMet
    }

    /// Shows what was held back: half a character, or the start of a stop string.
    mutating func finish(emit: (Int, String) -> Bool) -> Completion {
        guard var last = detokenizer, let id = completion.tokenIDs.last else { return completion }
        let text = stops.append(last.finish()) + stops.finish()
        if stops.isMet { endByStopString() }
        if !text.isEmpty {
            completion.text?.append(text)
            _ = emit(id, text)
        }
        return completion
    }
    private mutating func endByStopString() {
        completion.finishReason = .stop
        completion.stopString = stops.met
    }
}
