import ArgumentParser
import DoraLoader
import DoraRuntime
import DoraServe
import DoraText
import FoundationEssentials

struct DoraGenerate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dora-generate",
        abstract: "Answer a prompt with a base model and a DoRA or LoRA adapter merged into it.",
        usage: """
            echo prompt | dora-generate [--model MODEL] [--adapter ADAPTER] [options]
            echo question | dora-generate --chat [--system TEXT] [options]
            dora-generate --adapter ADAPTER --check
            echo prompt | dora-generate --continuation TEXT --continuation TEXT [options]
            echo prompt | dora-generate --choice TEXT --choice TEXT [options]
            echo prompt | dora-generate --connect ADDRESS [--adapter NAME] [options]
            dora-generate --interactive [--system TEXT] [--adapter [NAME=]ADAPTER ...] [--connect ADDRESS]
            dora-generate --jsonl FILE [-o FILE] [--adapter [NAME=]ADAPTER ...] [--connect ADDRESS]
            dora-generate --connect ADDRESS[,ADDRESS...] adapters|stats|load NAME [PATH]|unload NAME
            """,
        discussion: """
            The completion, and nothing else, goes to standard output as it is made. Decoding is greedy. The prompt is \
            raw text; with --chat it is one turn of a user, or JSON if it begins with [ (messages) or { (an object with \
            messages, tools, …), and the model's own chat template makes the prompt.

            Exit status: 0 success (a closed pipe too), 64 wrong usage, 65 bad data, 66 missing input, \
            69 the server cannot be reached or is busy, 70 internal error, 130 Ctrl-C.
            """,
        version: Version.report)

    @OptionGroup var options: ModelOptions

    @OptionGroup(title: "Conversations") var chat: ChatOptions

    @OptionGroup(title: "Files of requests") var files: FileOptions

    @OptionGroup(title: "A server's client") var remote: RemoteOptions

    // Unconditional: a prompt may begin with a dash.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Prompt, taken as it is. Default: standard input.",
            discussion:
                "Standard input loses one final line feed, which echo adds; with --no-special nothing is lost.",
            valueName: "text"))
    var prompt: String?

    @Option(
        help: ArgumentHelp("File that holds the prompt, taken as it is.", valueName: "file"),
        completion: .file())
    var promptFile: String?

    @Option(help: "Most tokens to generate. Default: 256.")
    var maxTokens: Int?

    @Option(
        help: ArgumentHelp(
            "End the text before this string; may be given several times.",
            discussion: "A special token, as <|eot_id|>, ends it where the model makes that token.",
            valueName: "text"))
    var stop: [String] = []

    @Option(
        name: .customLong("stop-id"),
        help: ArgumentHelp("End the text at this token id; may be given several times.", valueName: "id"))
    var stopID: [Int] = []

    @Flag(name: .customLong("ignore-eos"), help: "Go on after an end-of-sequence token.")
    var ignoreEOS = false

    @Flag(name: .customLong("token-ids"), help: "The prompt is token ids between white space.")
    var tokenIDs = false

    @Flag(
        help:
            "Do not add the special tokens (BOS) that the tokenizer adds, and keep standard input's last line feed."
    )
    var noSpecial = false

    @Flag(help: "Print the prompt's token ids and stop; needs only the tokenizer's files.")
    var tokenize = false

    @Option(
        help: ArgumentHelp("With --json: log probabilities, and those of the K likeliest.", valueName: "k"))
    var logprobs: Int?

    @Flag(help: "Generate nothing; print the log probability of every prompt token after the first.")
    var score = false

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Generate nothing; print the log probability of this text behind the prompt. May be given several times.",
            discussion: "Its ids are those of the text alone, without special tokens; with --token-ids, ids.",
            valueName: "text"))
    var continuation: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Answer with one of these texts; may be given several times. --max-tokens means nothing then.",
            discussion: """
                The likeliest next token decides, as long as choices go on differently. With --json and --logprobs, the \
                log probability of each. Ids as for --continuation.
                """,
            valueName: "text"))
    var choice: [String] = []

    @Flag(help: "Load and merge only, and say what the adapter changes and what the warnings count.")
    var check = false

    @Flag(help: "Print one JSON object instead of text.")
    var json = false

    @Flag(help: "Print times, rates and peak memory to standard error.")
    var stats = false

    func validate() throws {
        if maximumTokens < 0 { throw ValidationError("--max-tokens must not be negative") }
        if let logprobs, !(0...1000).contains(logprobs) {
            throw ValidationError("--logprobs must be 0...1000")
        }
        try checkMode()
        if chat.chat && (tokenIDs || noSpecial) {
            throw ValidationError(
                "--token-ids and --no-special are about raw prompts, and --chat gives a conversation")
        }
        if stop.contains("") { throw ValidationError("--stop must not be empty") }
        if stopID.contains(where: { $0 < 0 }) { throw ValidationError("--stop-id must not be negative") }
        if prompt != nil && promptFile != nil {
            throw ValidationError("give the prompt by --prompt or by --prompt-file, not both")
        }
        if remote.connect != nil, tokenize || check || chat.applyTemplate || options.isGiven {
            throw ValidationError(
                "with --connect the server decides the model: only --adapter and what follows the prompt")
        }
        if [tokenize, isScoring, check, !choice.isEmpty].count(where: { $0 }) > 1 {
            throw ValidationError(
                "--tokenize, --check, --choice and --score or --continuation exclude each other")
        }
        if choice.count > 1024 { throw ValidationError("--choice can be given 1024 times") }
        if !choice.isEmpty, !stop.isEmpty || !stopID.isEmpty || ignoreEOS {
            throw ValidationError(
                "--stop, --stop-id and --ignore-eos are about a free text, not about a choice")
        }
        if isScoring, !stop.isEmpty || !stopID.isEmpty || ignoreEOS || stats {
            throw ValidationError(
                "--stop, --stop-id, --ignore-eos and --stats are about a text, not about scores")
        }
    }

    func run() async throws {
        try remote.check()
        ExitStatus.handleSignals()
        do {
            if chat.renderChat {
                var rendering = RenderChat()
                try rendering.run()
            } else if let input = files.jsonl {
                try await answerFile(input)
            } else if chat.interactive {
                try await converse()
            } else if let connect = remote.connect {
                try await RemoteGeneration(command: self, addresses: ListenAddress.list(connect)).run()
            } else {
                let settings = try options.settings(environment: ProcessInfo.processInfo.environment)
                try Generation(command: self, settings: settings).run()
            }
        } catch let error as ValidationError {
            throw error
        } catch let closed as Terminal.Closed where closed.isReaderGone {
            return
        } catch let error as ListenAddress.Malformed {
            throw ValidationError("--connect: \(error)")
        } catch {
            Terminal.note("dora-generate: \(error)")
            throw ExitCode(ExitStatus(error).rawValue)
        }
    }

    var maximumTokens: Int { maxTokens ?? 256 }

    /// Whether log probabilities are wanted instead of a text.
    var isScoring: Bool { score || !continuation.isEmpty }

    /// Nil to score the prompt itself.
    func readContinuations() throws -> [Prompt]? {
        if continuation.isEmpty { return nil }
        return try continuation.map {
            try Prompt(argument: $0, option: "--continuation", asTokenIDs: tokenIDs)
        }
    }

    /// Nil for a free text.
    func readChoices() throws -> [Prompt]? {
        if choice.isEmpty { return nil }
        return try choice.map { try Prompt(argument: $0, option: "--choice", asTokenIDs: tokenIDs) }
    }

    func readPrompt() throws -> Prompt {
        let source = prompt != nil ? "--prompt" : promptFile ?? "standard input"
        let given =
            if let prompt {
                try Prompt(argument: prompt, option: source, asTokenIDs: tokenIDs)
            } else {
                try Prompt(
                    bytes: Prompt.read(path: promptFile), source: source,
                    dropsFinalLineFeed: promptFile == nil && !noSpecial, asTokenIDs: tokenIDs)
            }
        guard chat.chat, case .text(let text) = given else { return given }
        return .chat(try Conversation(input: text, source: source, system: chat.system))
    }
}
