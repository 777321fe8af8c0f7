package import DoraRuntime
import DoraText

/// The objects of a stream, one for each of its events: what the choices say as it is made, their ends, the usage.
///
/// How they are framed, and what ends the stream, is the affair of the transport.
package struct OpenAIStream: Sendable {
    /// A choice while it grows.
    private struct Growing: Sendable {
        let start: EngineStart
        let tokens: OpenAITokens
        /// The members that its chunks begin with, written once.
        let head: [UInt8]
        var offsets: OpenAIOffsets
        /// Scalars of the text.
        var end = 0
        var reportedTokens = 0
        var hasPromptIDs = false
    }

    /// What a chunk adds to a choice.
    private struct Part {
        var text: String?
        var isFirst = false
        var logprobs: (_ line: inout JSONLine) -> Void = { $0.null() }
        var tokenIDs: [Int] = []
        var ended: OpenAIChoice?
    }

    package let request: OpenAIRequest
    private let stamp: OpenAIStamp
    private var choices: [Int: Growing] = [:]
    private var usage = OpenAIUsage()
    private var openChoices: Int
    /// The last object was an error; the others are of no use.
    package private(set) var hasFailed = false

    package init(_ request: OpenAIRequest, stamp: OpenAIStamp) {
        self.request = request
        self.stamp = stamp
        openChoices = request.prompts.count
    }

    /// Nothing follows.
    package var isDone: Bool { hasFailed || openChoices == 0 }

    /// - Returns: the JSON of chunks, each in one line; mostly one, or none.
    package mutating func take(_ event: EngineEvent, of index: Int) -> [[UInt8]] {
        if isDone { return [] }
        switch event {
        case .started(let start): return begin(start, index)
        case .piece(let text, let ids, let logprobs): return piece(text, ids, logprobs, index)
        case .finished(let reply) where reply.completion.finishReason == .cancelled: return fail(.cancelled)
        case .finished(let reply): return finish(reply, index)
        case .failed(let error): return fail(OpenAIError(error, for: request))
        }
    }

    private mutating func fail(_ error: OpenAIError) -> [[UInt8]] {
        hasFailed = true
        return [error.body]
    }

    private mutating func begin(_ start: EngineStart, _ index: Int) -> [[UInt8]] {
        var head = JSONLine()
        request.writeHead(stamp, isChunk: true, adapter: start.adapter, to: &head)
        let tokens = OpenAITokens(tokenizer: start.language.tokenizer, asIDs: request.spellsTokensAsIDs)
        let echo = request.echoes ? request.echo(index, start.prompt, tokens.tokenizer) : ""
        let end = echo.unicodeScalars.count
        choices[index] = Growing(
            start: start, tokens: tokens, head: head.bytes,
            offsets: OpenAIOffsets(tokens.tokenizer, from: end), end: end)
        switch request.endpoint {
        case .chat: return [chunk(Part(text: "", isFirst: true), index)]
        case .completions: return request.echoes ? [chunk(Part(text: echo), index)] : []
        }
    }

    private mutating func piece(
        _ text: String, _ ids: [Int], _ logprobs: [TokenLogprob], _ index: Int
    ) -> [[UInt8]] {
        guard var choice = choices[index] else { return [] }
        choice.reportedTokens += ids.count
        choice.end += text.unicodeScalars.count
        var part = Part(text: text, tokenIDs: ids)
        if request.logprobs != nil {
            switch request.endpoint {
            case .chat:
                let writer = OpenAIChatLogprobs(tokens: choice.tokens)
                part.logprobs = { writer.write(logprobs, to: &$0) }
            case .completions:
                var list = OpenAITextLogprobs(choice.tokens)
                for token in logprobs {
                    list.append(token, at: choice.offsets.take(token.id, end: choice.end))
                }
                part.logprobs = { list.write(to: &$0) }
            }
        }
        choices[index] = choice
        return [chunk(part, index)]
    }

    /// The end of a choice, with what of its tokens no piece showed; of the last also the usage.
    private mutating func finish(_ reply: EngineReply, _ index: Int) -> [[UInt8]] {
        guard var choice = choices[index] else { return [] }
        let ended = OpenAIChoice(request: request, index: index, reply: reply)
        var part = Part(
            tokenIDs: Array(reply.completion.tokenIDs.dropFirst(choice.reportedTokens)), ended: ended)
        if request.logprobs != nil {
            switch request.endpoint {
            case .chat:
                let rest = ended.chatLogprobs(from: choice.reportedTokens)
                let writer = OpenAIChatLogprobs(tokens: choice.tokens)
                if !rest.isEmpty { part.logprobs = { writer.write(rest, to: &$0) } }
            case .completions where choice.reportedTokens < reply.completion.logprobs.count:
                var list = OpenAITextLogprobs(choice.tokens)
                ended.append(from: choice.reportedTokens, to: &list, &choice.offsets, textEnd: choice.end)
                part.logprobs = { list.write(to: &$0) }
            case .completions: break
            }
        }
        usage.add(reply)
        openChoices -= 1
        var chunks = [chunk(part, index)]
        choices[index] = nil
        if openChoices == 0, request.includesUsage { chunks.append(usageChunk(choice.head)) }
        return chunks
    }

    private mutating func chunk(_ part: Part, _ index: Int) -> [UInt8] {
        guard let choice = choices[index] else { return [] }
        let promptIDs = request.returnsTokenIDs && !choice.hasPromptIDs ? choice.start.prompt : nil
        if promptIDs != nil { choices[index]?.hasPromptIDs = true }
        var line = JSONLine(capacity: choice.head.count + (part.text ?? "").utf8.count + 160)
        line.object { line in
            line.raw(choice.head)
            line.key("choices")
            line.array { line in
                line.object { line in write(part, promptIDs, index, to: &line) }
            }
            if request.includesUsage {
                line.key("usage")
                line.null()
            }
            if request.endpoint == .chat, let promptIDs {
                line.key("prompt_token_ids")
                line.value(promptIDs)
            }
            if let ended = part.ended { OpenAIRun([ended.reply]).write(stamp, to: &line) }
        }
        return line.bytes
    }

    private func write(_ part: Part, _ promptIDs: [Int]?, _ index: Int, to line: inout JSONLine) {
        line.key("index")
        line.value(index)
        switch request.endpoint {
        case .chat:
            line.key("delta")
            line.object { line in
                if part.isFirst {
                    line.key("role")
                    line.value("assistant")
                }
                if let text = part.text {
                    line.key("content")
                    line.value(text)
                }
            }
        case .completions:
            line.key("text")
            line.value(part.text ?? "")
        }
        line.key("logprobs")
        part.logprobs(&line)
        line.key("finish_reason")
        line.value(part.ended?.finishReason)
        part.ended?.writeStopReason(to: &line)
        guard request.returnsTokenIDs else { return }
        line.key("token_ids")
        line.value(part.tokenIDs)
        guard request.endpoint == .completions, let promptIDs else { return }
        line.key("prompt_token_ids")
        line.value(promptIDs)
    }

    private func usageChunk(_ head: [UInt8]) -> [UInt8] {
        var line = JSONLine()
        line.object { line in
            line.raw(head)
            line.key("choices")
            line.array { _ in }
            usage.write(stamp, to: &line)
        }
        return line.bytes
    }
}
