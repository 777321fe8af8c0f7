import DoraLoader
import DoraRuntime
import Logging

extension ServerState {
    /// One line for a request that has ended; never what was asked or answered.
    func log(_ event: EngineEvent, connection: Int, id: RequestID?) {
        var metadata: Logger.Metadata = ["connection": "\(connection)"]
        if let id { metadata["id"] = "\(id.quoted)" }
        switch event {
        case .started, .piece: return
        case .failed(let error):
            metadata["code"] = "\(error.code)"
            metadata["problem"] = "\(error.message.quoted)"
            logger.info("request refused", metadata: metadata)
        case .finished(let reply):
            metadata.merge(reply.metadata) { $1 }
            logger.info("request", metadata: metadata)
        }
    }
}

extension EngineReply {
    /// What a log says of it.
    var metadata: Logger.Metadata {
        var metadata: Logger.Metadata = [
            "adapter": "\(adapter?.description ?? "base")", "prompt_tokens": "\(promptTokens)",
            "cached_tokens": "\(cachedTokens)", "tokens": "\(completion.tokenIDs.count)",
            "finish": "\(completion.finishReason.rawValue)",
        ]
        if let scores { metadata["scored"] = "\(scores.request.scoredTokens)" }
        for (name, time) in [
            ("queue", queueTime), ("merge", mergeTime), ("prefill", completion.prefillTime),
            ("decode", completion.decodeTime),
        ] { metadata["\(name)_s"] = "\((time.seconds * 1e4).rounded() / 1e4)" }
        return metadata
    }
}

extension Logger {
    /// One line; the modules or tensors that it is about, for those who debug.
    func log(_ notice: LoadWarning, metadata: Logger.Metadata = [:]) {
        warning("\(notice.summary.quoted)", metadata: metadata)
        for detail in notice.details { debug("\(detail.quoted)", metadata: metadata) }
    }

    /// What became of an adapter.
    func log(_ notice: AdapterNotice) {
        switch notice {
        case .loaded(let identity, let content, let bytes, let seconds, let warnings):
            info(
                "adapter loaded",
                metadata: [
                    "adapter": "\(identity)", "digest": "\(content.digest.prefix(12))",
                    "form": "\(content.form.rawValue)", "bytes": "\(bytes)",
                    "merge_s": "\((seconds * 1e3).rounded() / 1e3)",
                ])
            for warning in warnings { log(warning, metadata: ["adapter": "\(identity)"]) }
        case .failed(let name, let error):
            warning(
                "adapter refused", metadata: ["adapter": "\(name)", "problem": "\(error.message.quoted)"])
        case .crowded(let budget, let merged, let factored):
            self.notice(
                "merged adapters do not all fit in --memory: --adapter-form factored would keep more of them",
                metadata: [
                    "memory": "\(budget)", "merged_bytes": "\(merged)", "factored_bytes": "\(factored)",
                ])
        case .evicted(let identity): info("adapter evicted", metadata: ["adapter": "\(identity)"])
        case .freed(let identity): info("adapter freed", metadata: ["adapter": "\(identity)"])
        }
    }
}

extension RequestID {
    /// As it stands in a line of the log.
    fileprivate var quoted: String {
        switch self {
        case .string(let text): text.quoted
        case .int(let number): "\(number)"
        }
    }
}

extension String {
    /// In quotes, not too long, and without what could pass for another field or another line.
    var quoted: String {
        let limit = 500
        let shown = unicodeScalars.prefix(limit).map { $0.escaped(asASCII: false) }.joined()
        return "\"\(shown)\(unicodeScalars.dropFirst(limit).isEmpty ? "" : "…")\""
    }
}
