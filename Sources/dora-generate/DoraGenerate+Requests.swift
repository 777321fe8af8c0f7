import ArgumentParser
import DoraServe
import FoundationEssentials

/// Where there are many requests, from a file or from somebody at a terminal, each names its adapter.
extension DoraGenerate {
    /// - Throws: `ValidationError` for options that mean nothing in the way in which the command is used.
    func checkMode() throws {
        if files.jsonl != nil {
            if chat.interactive { throw ValidationError("--jsonl and --interactive exclude each other") }
            try refuse(promptOptions + turnOptions, with: "--jsonl", "each request says such things itself")
        } else if chat.interactive {
            try refuse(promptOptions, with: "--interactive", "turns are what is typed, and answers text")
        } else if options.adapters.count > 1 || options.adapterRoot != nil {
            throw ValidationError("several --adapter, and --adapter-root, need --jsonl or --interactive")
        }
        if options.adapters.count > 1, remote.connect != nil {
            throw ValidationError("with --connect one --adapter names the server's that answers by default")
        }
    }

    private func refuse(_ given: [String], with mode: String, _ reason: String) throws {
        guard let option = given.first else { return }
        throw ValidationError("\(option) does not go with \(mode), where \(reason)")
    }

    /// The options of one prompt and its answer that were given.
    private var promptOptions: [String] {
        [
            ("--prompt", prompt != nil), ("--prompt-file", promptFile != nil), ("--token-ids", tokenIDs),
            ("--no-special", noSpecial), ("--tokenize", tokenize), ("--logprobs", logprobs != nil),
            ("--score", score), ("--continuation", !continuation.isEmpty), ("--choice", !choice.isEmpty),
            ("--check", check), ("--json", json), ("--stats", stats),
        ].filter(\.1).map(\.0) + remote.operation.prefix(1)
    }

    /// Those of every turn of a conversation.
    private var turnOptions: [String] {
        [
            ("--max-tokens", maxTokens != nil), ("--stop", !stop.isEmpty), ("--stop-id", !stopID.isEmpty),
            ("--ignore-eos", ignoreEOS), ("--chat", chat.chat), ("--system", chat.system != nil),
            ("--render-chat", chat.renderChat),
        ].filter(\.1).map(\.0)
    }

    func converse() async throws {
        var turns = ConversationRun.Options()
        turns.system = chat.system
        turns.adapter = remote.connect == nil ? nil : options.adapter
        turns.maximumTokens = maxTokens ?? turns.maximumTokens
        turns.stops = stop
        turns.stopIDs = stopID
        turns.ignoresEOS = ignoreEOS
        try await ConversationRun(with: try await answerer()).run(turns)
    }

    func answerFile(_ input: String) async throws {
        let run = try FileRun(input: input, output: files.output, resumes: files.resume)
        if run.isFinished { return }
        try await run.run(by: try await answerer(), adapter: remote.connect == nil ? nil : options.adapter)
    }

    /// Who answers: a server, one of several, or an engine in this process.
    private func answerer() async throws -> any Answerer {
        if let connect = remote.connect {
            return try await ServerPool(
                ListenAddress.list(connect), token: try remote.token(), adapter: options.adapter)
        }
        let settings = try options.engineSettings(environment: ProcessInfo.processInfo.environment)
        return try LocalAnswerer(settings.model, settings.engine)
    }
}
