import DoraRuntime
import DoraText

/// What a reply says of its run, and not of its request.
package struct OpenAIStamp: Sendable, Equatable {
    /// Behind `chatcmpl-` or `cmpl-`.
    package let id: String
    /// Unix time.
    package let created: Int
    /// Whether times are told, and what was found computed.
    package let tellsRun: Bool

    package init(id: String, created: Int) {
        self.id = id
        self.created = created
        tellsRun = true
    }

    private init(reproducible id: String) {
        self.id = id
        created = 0
        tellsRun = false
    }

    /// The same request gets the same bytes.
    package static func reproducible(id: String) -> OpenAIStamp { OpenAIStamp(reproducible: id) }
}

extension OpenAIRequest {
    /// The members that the objects of a reply begin with.
    func writeHead(
        _ stamp: OpenAIStamp, isChunk: Bool, adapter: AdapterIdentity?, to line: inout JSONLine
    ) {
        line.key("id")
        line.value(endpoint.idPrefix + stamp.id)
        line.key("object")
        line.value(endpoint.objectName(isChunk: isChunk))
        line.key("created")
        line.value(stamp.created)
        line.key("model")
        line.value(model ?? adapter?.name ?? baseName)
        line.key("system_fingerprint")
        line.value("dora-\(Version.current)-\(adapter?.description ?? "base")")
    }
}

/// Tokens of all choices.
struct OpenAIUsage: Sendable {
    var prompt = 0
    var cached = 0
    var completion = 0
    var accepted = 0

    mutating func add(_ reply: EngineReply) {
        prompt += reply.promptTokens
        cached += reply.cachedTokens
        completion += reply.completion.tokenIDs.count
        accepted += reply.completion.acceptedTokens
    }

    func write(_ stamp: OpenAIStamp, to line: inout JSONLine) {
        line.key("usage")
        line.object { line in
            line.key("prompt_tokens")
            line.value(prompt)
            line.key("completion_tokens")
            line.value(completion)
            line.key("total_tokens")
            line.value(prompt + completion)
            guard stamp.tellsRun else { return }
            line.key("prompt_tokens_details")
            line.object { line in
                line.key("cached_tokens")
                line.value(cached)
            }
            line.key("completion_tokens_details")
            line.object { line in
                line.key("accepted_prediction_tokens")
                line.value(accepted)
            }
        }
    }
}

/// What OpenAI's API has no place for: `dora`, which generation answered, and how long that took.
struct OpenAIRun: Sendable {
    private let adapter: AdapterIdentity?
    private var queue = Duration.zero
    private var merge = Duration.zero
    private var prefill = Duration.zero
    private var decode = Duration.zero

    /// - Parameter replies: of one request, made side by side.
    init(_ replies: [EngineReply]) {
        adapter = replies.first?.adapter
        for reply in replies {
            queue = max(queue, reply.queueTime)
            merge = max(merge, reply.mergeTime)
            prefill = max(prefill, reply.completion.prefillTime)
            decode = max(decode, reply.completion.decodeTime)
        }
    }

    /// As the header `Server-Timing` spells times, in milliseconds.
    var serverTiming: String {
        times.map { name, time in "\(name);dur=\((time.seconds * 1e6).rounded() / 1e3)" }
            .joined(separator: ", ")
    }

    private var times: [(name: String, time: Duration)] {
        [("queue", queue), ("merge", merge), ("prefill", prefill), ("decode", decode)]
    }

    func write(_ stamp: OpenAIStamp, to line: inout JSONLine) {
        line.key("dora")
        line.object { line in
            line.key("adapter")
            line.value(adapter?.description)
            guard stamp.tellsRun else { return }
            line.key("timing")
            line.object { line in
                for (name, time) in times {
                    line.key(name)
                    line.value(time.seconds)
                }
            }
        }
    }
}
