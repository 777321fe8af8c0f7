import DoraLoader
import DoraRuntime
import DoraServe
import DoraText

/// One run of the command.
struct Generation {
    let command: DoraGenerate
    let settings: ModelSettings

    func run() throws {
        if command.tokenize || command.chat.applyTemplate {
            try printPrompt()
            return
        }
        // The prompt is read first: a mistake in it need not wait for the model.
        let prompt = command.check ? nil : try command.readPrompt()
        let continuations = try command.readContinuations()
        let choices = try command.readChoices()
        let model = try LoadedModel(settings, progress: Terminal.show)
        for warning in model.warnings { Terminal.note("warning: \(warning)") }
        guard let prompt else {
            let report = CheckReport(model)
            try Terminal.write(command.json ? try report.jsonLine + "\n" : report.text)
            return
        }
        if command.isScoring {
            let request = try ScoreRequest(
                prompt, continuations: continuations, top: command.logprobs ?? 0,
                addingSpecialTokens: !command.noSpecial, in: model.language, model: settings.model)
            try printScores(request, model)
            return
        }
        let ids = try prompt.encoded(
            in: model.language, model: settings.model, addingSpecialTokens: !command.noSpecial)
        try printCompletion(try request(ids, choices, model), try model.makeGenerator(), model)
    }

    private func request(
        _ ids: [Int], _ choices: [Prompt]?, _ model: LoadedModel
    ) throws -> GenerationRequest {
        if let choices {
            let choices = try Choices(choices, in: model.language, model: settings.model)
            return GenerationRequest(prompt: ids, choices: choices, logprobs: command.logprobs)
        }
        return GenerationRequest(
            prompt: ids, maximumTokens: command.maximumTokens, stops: command.stop, stopIDs: command.stopID,
            ignoresEOS: command.ignoreEOS, logprobs: command.logprobs)
    }

    /// What needs the tokenizer's files alone: the prompt's ids, or the text that a conversation becomes.
    private func printPrompt() throws {
        let languages = try Languages(
            ModelFiles(settings.model, tokenizer: settings.tokenizer), defaults: nil, vocabularySize: .max,
            chatTemplate: settings.chatTemplate)
        let folders = try settings.adapter.map { try AdapterSum($0).parts.map(\.folder) } ?? []
        let language = try languages.language(ofAdapterIn: folders, vocabularySize: .max)
        let prompt = try command.readPrompt()
        if command.chat.applyTemplate, case .chat(let conversation) = prompt {
            try Terminal.write(try Prompt.rendered(conversation, in: language, settings.model))
            return
        }
        let ids = try prompt.encoded(
            in: language, model: settings.model, addingSpecialTokens: !command.noSpecial)
        try Terminal.write(ids.map(String.init).joined(separator: " ") + "\n")
    }

    private func printScores(_ request: ScoreRequest, _ model: LoadedModel) throws {
        let reply = ScoreReply(try model.makeGenerator().score(request))
        if command.json {
            try Terminal.write(try reply.jsonLine + "\n")
        } else {
            try Terminal.write(reply.lines(continuations: command.continuation).joined())
        }
    }

    private func printCompletion(
        _ request: GenerationRequest, _ generator: Generator, _ model: LoadedModel
    ) throws {
        let printsIDs = model.tokenizer == nil
        var separator = ""
        var failure: Terminal.Closed?
        let completion = try generator.generate(request) { id, text in
            if command.json { return true }
            do throws(Terminal.Closed) {
                try Terminal.write(printsIDs ? separator + String(id) : text)
            } catch {
                failure = error
            }
            separator = " "
            return failure == nil
        }
        if let failure { throw failure }
        if command.json {
            let reply = Reply(
                prompt: request.prompt, completion: completion, hasLogprobs: command.logprobs != nil,
                loadTime: model.loadTime,
                mergeTime: model.mergeTime, model: settings.model, adapter: settings.adapter)
            try Terminal.write(try reply.jsonLine + "\n")
        } else if printsIDs {
            try Terminal.write("\n")
        } else if let first = completion.tokenIDs.first, completion.tokenIDs.count == 1,
            !command.ignoreEOS, model.language.eosIDs.contains(first)
        {
            Terminal.noteEmptyAnswer(isTemplated: command.noSpecial || command.tokenIDs || command.chat.chat)
        }
        if command.stats { printStatistics(prompt: request.prompt.count, completion, model) }
    }

    private func printStatistics(prompt: Int, _ completion: Completion, _ model: LoadedModel) {
        func rounded(_ value: Double) -> String { "\((value * 1000).rounded() / 1000)" }
        let prefill = completion.prefillTime.seconds
        let lines = [
            "load \(rounded(model.loadTime.seconds)) s, merge \(rounded(model.mergeTime.seconds)) s"
                + (model.merge.map { " (\($0.choice.form.rawValue))" } ?? ""),
            "prefill \(prompt) tokens in \(rounded(prefill)) s"
                + (prefill > 0 ? " (\(rounded(Double(prompt) / prefill)) tokens/s)" : ""),
            "decode \(completion.tokenIDs.count) tokens in \(rounded(completion.decodeTime.seconds)) s"
                + (completion.decodeRate.map { " (\(rounded($0)) tokens/s)" } ?? ""),
            "keys and values in \(model.keyValueFormat)",
            "matrices \(model.weights.matrixBytes) bytes, peak memory \(peakMemory().map { "\($0)" } ?? "?") bytes",
        ]
        for line in ["", "-- statistics"] + lines { Terminal.note(line) }
    }
}
