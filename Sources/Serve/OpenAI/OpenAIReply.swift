package import DoraRuntime
package import DoraText

/// The body that answers a request: `chat.completion` or `text_completion`.
package struct OpenAIReply: Sendable {
    let request: OpenAIRequest
    let stamp: OpenAIStamp
    /// To each prompt.
    let replies: [EngineReply]

    /// Nil for the base.
    package var adapter: AdapterIdentity? { replies.first?.adapter }
    /// Fields that had no effect.
    package var ignored: [String] { replies.first?.language.map(request.ignored) ?? request.ignored }

    var run: OpenAIRun { OpenAIRun(replies) }

    package func write(to line: inout JSONLine) {
        line.object { line in
            request.writeHead(stamp, isChunk: false, adapter: adapter, to: &line)
            line.key("choices")
            line.array { line in
                for (index, reply) in replies.enumerated() {
                    OpenAIChoice(request: request, index: index, reply: reply).write(to: &line)
                }
            }
            var usage = OpenAIUsage()
            for reply in replies { usage.add(reply) }
            usage.write(stamp, to: &line)
            if request.returnsTokenIDs, request.endpoint == .chat {
                line.key("prompt_token_ids")
                line.value(replies.first?.prompt ?? [])
            }
            run.write(stamp, to: &line)
        }
    }
}

/// What answers a request in one piece.
package enum OpenAIAnswer: Sendable {
    case reply(OpenAIReply)
    case failure(OpenAIError)

    package var status: Int {
        switch self {
        case .reply: 200
        case .failure(let error): error.status.rawValue
        }
    }

    package func write(to line: inout JSONLine) {
        switch self {
        case .reply(let reply): reply.write(to: &line)
        case .failure(let error): error.write(to: &line)
        }
    }

    package var body: [UInt8] {
        var line = JSONLine()
        write(to: &line)
        return line.bytes
    }
}

/// The answers to a request's prompts, until the last of them is there.
///
/// Whoever sends the work of each prompt to the engine hands its events over here.
package struct OpenAIGathering: Sendable {
    package let request: OpenAIRequest
    private let stamp: OpenAIStamp
    private var results: [Result<EngineReply, EngineError>?]

    package init(_ request: OpenAIRequest, stamp: OpenAIStamp) {
        self.request = request
        self.stamp = stamp
        results = Array(repeating: nil, count: request.prompts.count)
    }

    /// - Returns: the answer, once. If prompts failed, it is the failure of the first of these.
    package mutating func take(_ event: EngineEvent, of index: Int) -> OpenAIAnswer? {
        switch event {
        case .started, .piece: return nil
        case .finished(let reply): results[index] = .success(reply)
        case .failed(let error): results[index] = .failure(error)
        }
        let known = results.compactMap(\.self)
        guard known.count == results.count else { return nil }
        var replies: [EngineReply] = []
        for result in known {
            switch result {
            case .success(let reply): replies.append(reply)
            case .failure(let error): return .failure(OpenAIError(error, for: request))
            }
        }
        if replies.contains(where: { $0.completion.finishReason == .cancelled }) {
            return .failure(.cancelled)
        }
        return .reply(OpenAIReply(request: request, stamp: stamp, replies: replies))
    }
}
