import DoraRuntime
import DoraText

/// The answer to one prompt, in the terms of the API.
struct OpenAIChoice {
    let request: OpenAIRequest
    let index: Int
    let reply: EngineReply

    private var completion: Completion { reply.completion }

    /// `stop` or `length`: clients go on where they see the second.
    var finishReason: String { completion.finishReason == .stop ? "stop" : "length" }

    /// The last token, if it ended the text without being shown.
    private var end: Int? {
        guard completion.finishReason == .stop, completion.stopString == nil, completion.choice == nil else {
            return nil
        }
        return completion.tokenIDs.last
    }

    /// The stop string or id that ended the text; null for an EOS.
    func writeStopReason(to line: inout JSONLine) {
        line.key("stop_reason")
        if let stop = completion.stopString { return line.value(stop) }
        guard let end, request.ignoresEOS || reply.language?.eosIDs.contains(end) != true else {
            return line.null()
        }
        if request.stopIDs.contains(end) { return line.value(end) }
        line.value(request.stops.first { reply.language?.tokenizer?.specialID(of: $0) == end })
    }

    var tokens: OpenAITokens {
        OpenAITokens(tokenizer: reply.language?.tokenizer, asIDs: request.spellsTokensAsIDs)
    }

    /// Of the tokens from `first` on. A chat's last one is left out if the text does not show it.
    func chatLogprobs(from first: Int = 0) -> ArraySlice<TokenLogprob> {
        let shown = end == nil ? completion.logprobs[...] : completion.logprobs.dropLast()
        return shown.dropFirst(first)
    }

    /// - Parameters:
    ///   - first: of the completion's tokens.
    ///   - offsets: behind those before.
    ///   - textEnd: scalars of the text.
    func append(
        from first: Int = 0, to list: inout OpenAITextLogprobs, _ offsets: inout OpenAIOffsets, textEnd: Int
    ) {
        let all = completion.logprobs
        for (place, token) in all.enumerated().dropFirst(first) {
            let isEnd = end != nil && place == all.count - 1
            let offset = isEnd ? textEnd : offsets.take(token.id, end: textEnd)
            list.append(token, at: offset, isEnd: isEnd)
        }
    }

    func write(to line: inout JSONLine) {
        line.object { line in
            line.key("index")
            line.value(index)
            switch request.endpoint {
            case .chat:
                line.key("message")
                line.object { line in
                    line.key("role")
                    line.value("assistant")
                    line.key("content")
                    line.value(completion.text ?? "")
                    line.key("refusal")
                    line.null()
                }
                line.key("logprobs")
                if request.logprobs == nil {
                    line.null()
                } else {
                    OpenAIChatLogprobs(tokens: tokens).write(chatLogprobs(), to: &line)
                }
            case .completions: writeText(to: &line)
            }
            line.key("finish_reason")
            line.value(finishReason)
            writeStopReason(to: &line)
            guard request.returnsTokenIDs else { return }
            line.key("token_ids")
            line.value(completion.tokenIDs)
            guard request.endpoint == .completions else { return }
            line.key("prompt_token_ids")
            line.value(reply.prompt)
        }
    }

    private func writeText(to line: inout JSONLine) {
        let prompt = request.echoes ? request.echo(index, reply.prompt, tokens.tokenizer) : ""
        let text = prompt + (completion.text ?? "")
        line.key("text")
        line.value(text)
        line.key("logprobs")
        guard request.logprobs != nil else { return line.null() }
        var list = OpenAITextLogprobs(tokens)
        let promptEnd = prompt.unicodeScalars.count
        if request.echoes, let first = reply.prompt.first {
            var offsets = OpenAIOffsets(tokens.tokenizer)
            list.append(first: first, at: offsets.take(first, end: promptEnd))
            for token in reply.scores?.lists.first ?? completion.promptLogprobs {
                list.append(token, at: offsets.take(token.id, end: promptEnd))
            }
        }
        var offsets = OpenAIOffsets(tokens.tokenizer, from: promptEnd)
        append(to: &list, &offsets, textEnd: text.unicodeScalars.count)
        list.write(to: &line)
    }
}

extension OpenAIRequest {
    /// A prompt as text: as it was given, or what its ids decode to.
    func echo(_ index: Int, _ ids: [Int], _ tokenizer: (any Tokenizer)?) -> String {
        if case .text(let text) = prompts[index] { return text }
        return tokenizer?.decode(ids, skippingSpecialTokens: true) ?? ""
    }
}
