import ArgumentParser
import DoraLoader
import DoraServe
import DoraText

/// One run of the command as a server's client: same flags, same output.
struct RemoteGeneration {
    let command: DoraGenerate
    let addresses: [ListenAddress]

    func run() async throws {
        let client = ServerClient(addresses, token: try command.remote.token())
        if let operation = command.remote.operation.first {
            try await perform(operation, Array(command.remote.operation.dropFirst()), client)
        } else if command.isScoring {
            try await score(client)
        } else {
            try await generate(client)
        }
    }

    private func score(_ client: ServerClient) async throws {
        let request = ScoreRequestLine(
            try command.readPrompt(), continuations: try command.readContinuations(),
            adapter: command.options.adapter, logprobs: command.logprobs,
            addsSpecialTokens: !command.noSpecial)
        let scores = RemoteScores(
            last: try await client.perform(request, adding: request.conversation).last)
        if command.json {
            try Terminal.write(try scores.jsonLine + "\n")
        } else {
            try Terminal.write(scores.lines(continuations: command.continuation).joined())
        }
    }

    private func generate(_ client: ServerClient) async throws {
        let request = GenerateLine(
            try command.readPrompt(), adapter: command.options.adapter, maximumTokens: command.maximumTokens,
            stops: command.stop, stopIDs: command.stopID, streams: !command.json,
            logprobs: command.logprobs, ignoresEOS: command.ignoreEOS,
            addsSpecialTokens: !command.noSpecial, choices: try command.readChoices())
        var separator = ""
        let (hello, last) = try await client.perform(request, adding: request.conversation) { line in
            if command.json || line["done"]?.bool == true { return }
            if let text = line["text"]?.string, !text.isEmpty {
                try Terminal.write(text)
            } else {
                for id in (line["token_ids"]?.array ?? []).compactMap(\.int) {
                    try Terminal.write(separator + "\(id)")
                    separator = " "
                }
            }
        }
        let reply = RemoteReply(hello: hello, last: last)
        if command.json {
            try Terminal.write(try reply.jsonLine + "\n")
        } else if reply.text == nil {
            try Terminal.write("\n")
        } else if reply.isEmptyForEOS(hasStops: !command.stop.isEmpty || !command.stopID.isEmpty) {
            Terminal.noteEmptyAnswer(isTemplated: command.noSpecial || command.tokenIDs || command.chat.chat)
        }
        if command.stats, let timing = last["timing"] {
            Terminal.note("-- statistics")
            Terminal.note(try timing.jsonLine)
        }
    }

    private func perform(_ operation: String, _ arguments: [String], _ client: ServerClient) async throws {
        var line = OperationLine(operation)
        line.name = arguments.first
        if operation == "load" {
            line.path = arguments.dropFirst().first
            line.replace = command.remote.replace
            line.pin = command.remote.pin
        } else if operation == "unload" {
            line.disable = command.remote.disable
        }
        try await client.performEverywhere(line) { last in
            try Terminal.write(try (last["result"] ?? .null).jsonLine + "\n")
        }
    }
}

/// The flags of a server's client.
struct RemoteOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Ask a running dora-serve (unix:PATH or tcp:HOST:PORT) instead of loading a model.",
            discussion: """
                --adapter then names one of its adapters; an empty name means the base. Of several servers, between \
                commas, each adapter has one that is asked first; the next one is when that is draining or gone. \
                Operations go to all of them, and print a line for each.
                """,
            valueName: "address"), completion: .addresses)
    var connect: String?

    @Option(
        help: ArgumentHelp("With --connect: file with the server's token.", valueName: "file"),
        completion: .file())
    var tokenFile: String?

    @Flag(help: "With load: take the place of the adapter of that name.")
    var replace = false

    @Flag(help: "With load: never evict the adapter.")
    var pin = false

    @Flag(help: "With unload: do not load it again when it is named.")
    var disable = false

    @Argument(
        help: ArgumentHelp(
            "With --connect: adapters, stats, ping, drain, load NAME [PATH] or unload NAME.",
            valueName: "operation"), completion: .operations)
    var operation: [String] = []

    func token() throws -> String? { try Self.token(in: tokenFile) }

    static func token(in file: String?) throws -> String? {
        try file.map { path in
            let text = String(decoding: try MappedFile.contents(of: path, atMost: 4096), as: UTF8.self)
            return String(text.reversed().drop { $0.isWhitespace }.reversed())
        }
    }

    /// Not `validate`, which is asked before the parser says which options it does not know: `--temperature 0` would be
    /// an operation called 0.
    func check() throws {
        guard connect != nil else {
            if let word = operation.first { throw ValidationError("'\(word)' needs --connect") }
            if tokenFile != nil || replace || pin || disable {
                throw ValidationError("--token-file, --replace, --pin and --disable need --connect")
            }
            return
        }
        guard let name = operation.first else { return }
        let counts: [String: ClosedRange<Int>] = [
            "adapters": 0...0, "stats": 0...0, "ping": 0...0, "drain": 0...0, "load": 1...2, "unload": 1...1,
        ]
        guard let count = counts[name] else { throw ValidationError("there is no operation '\(name)'") }
        guard count.contains(operation.count - 1) else {
            throw ValidationError("\(name): wrong number of arguments; see --help")
        }
    }
}
