import DoraRuntime
import DoraText
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A conversation with somebody at a terminal, turn by turn. Each turn asks the whole conversation: whoever answers finds
/// the keys and values of its beginning again.
package final class ConversationRun: Sendable {
    /// What is asked of every turn.
    package struct Options: Sendable {
        package var system: String?
        /// Nil for whoever answers by default, empty for the base.
        package var adapter: String?
        package var maximumTokens = 2048
        package var stops: [String] = []
        package var stopIDs: [Int] = []
        package var ignoresEOS = false

        package init() {}
    }

    private let answerer: any Answerer
    private let reader: ConversationReader
    /// The answer that is coming.
    private let answering = Mutex<Task<JSONObject, any Error>?>(nil)

    /// - Throws: `Prompt.Problem` when standard input cannot be read.
    package init(with answerer: any Answerer) throws(Prompt.Problem) {
        self.answerer = answerer
        reader = try ConversationReader()
    }

    /// Returns when the conversation is over.
    /// - Throws: what the answerer throws when it is gone, `Terminal.Closed`.
    package func run(_ options: Options) async throws {
        defer { reader.close() }
        let interrupts = Interrupts { [self] in
            let isAnswering = answering.withLock { task in
                task?.cancel()
                return task != nil
            }
            if !isAnswering && !reader.isTerminal { _exit(ExitStatus.interrupted.rawValue) }
        }
        defer { interrupts.stop() }
        if reader.isTerminal { Terminal.note("a conversation; /help lists the commands, Ctrl-D ends it") }
        var options = options
        var messages: [JSONValue] = []
        var wasInterrupted = false
        var turn = 0
        while true {
            let event = try await reader.next()
            defer { wasInterrupted = event == .interrupted }
            switch event {
            case .ended: return
            case .interrupted:
                if wasInterrupted { return }
                Terminal.note("(Ctrl-C once more, or Ctrl-D, ends the conversation)")
            case .entry(.command(let name, let argument)):
                if name == "quit" || name == "exit" { return }
                try await perform(name, argument, &options, &messages)
            case .entry(.message(let text)):
                turn += 1
                reader.wait()
                let user = Self.message("user", text)
                let answer = try await answer(messages + [user], options, turn)
                // What was refused, or stopped before it began, is no part of the conversation.
                if let answer { messages += [user, Self.message("assistant", answer)] }
            }
        }
    }

    // MARK: Commands

    private static let help = """
        /adapter NAME   who answers from here on; "base" for the base alone
        /adapter        the adapters' names
        /system TEXT    what the model is told first; without a text, nothing
        /reset          begins anew
        /quit           ends, as does Ctrl-D
        A line that ends in \\ goes on in the next, and \"\"\" begins and ends a message of several lines.
        // begins a message that begins with /. Ctrl-C stops an answer.
        """

    private func perform(
        _ name: String, _ argument: String, _ options: inout Options, _ messages: inout [JSONValue]
    ) async throws {
        switch name {
        case "help": note(Self.help)
        case "reset": messages = []
        case "system": options.system = argument.isEmpty ? nil : argument
        case "adapter":
            let names = try await answerer.adapterNames()
            let wanted = argument.split(separator: "@").first.map(String.init)
            if argument.isEmpty {
                let current = options.adapter.map { $0.isEmpty ? "base" : $0 }
                for name in ["base"] + names { note((name == current ? "* " : "  ") + name) }
            } else if argument == "base", !names.contains("base") {
                options.adapter = ""
            } else if let wanted, names.contains(wanted) {
                options.adapter = argument
            } else {
                note("there is no adapter '\(argument)'; /adapter lists them")
            }
        default: note("there is no command /\(name); /help lists them, and // begins a message with a slash")
        }
    }

    private func note(_ text: String) {
        for line in text.split(separator: "\n") { Terminal.note(String(line).harmless) }
    }

    // MARK: Turns

    private static func message(_ role: String, _ text: String) -> JSONValue {
        .object(JSONObject([("role", .string(role)), ("content", .string(text))]))
    }

    private func request(_ messages: [JSONValue], _ options: Options) -> JSONObject {
        let system = options.system.map { [Self.message("system", $0)] } ?? []
        var members: [(key: String, value: JSONValue)] = [
            ("messages", .array(system + messages)), ("stream", .bool(true)),
            ("max_tokens", .int(options.maximumTokens)),
            ("stop", .array(options.stops.map(JSONValue.string))),
            ("stop_token_ids", .array(options.stopIDs.map(JSONValue.int))),
            ("ignore_eos", .bool(options.ignoresEOS)),
        ]
        if let adapter = options.adapter {
            members.append(("adapter", adapter.isEmpty ? .null : .string(adapter)))
        }
        return JSONObject(members)
    }

    /// Shows the answer as it comes; Ctrl-C ends it.
    /// - Returns: its text; nil if there is none.
    private func answer(
        _ messages: [JSONValue], _ options: Options, _ turn: Int
    ) async throws -> String? {
        let text = Mutex("")
        let request = self.request(messages, options)
        let task = Task { [answerer] in
            for try await line in answerer.answer(request, as: turn) {
                if line["done"]?.bool == true { return line }
                let piece = line["text"]?.string ?? ""
                text.withLock { $0 += piece }
                try Terminal.writeHarmless(piece)
            }
            throw CancellationError()
        }
        answering.withLock { $0 = task }
        let result = await task.result
        answering.withLock { $0 = nil }
        let made = text.withLock { $0 }
        switch result {
        case .success(let last):
            if let error = last["error"]?.object {
                note("\(error["code"]?.string ?? "error"): \(error["message"]?.string ?? "")")
                return nil
            }
            try Terminal.write("\n")
            if last["finish_reason"]?.string == "length" {
                note("(cut off; --max-tokens and the model's context say where)")
            }
            return last["text"]?.string ?? made
        case .failure(let error):
            guard error is CancellationError else { throw error }
            try Terminal.write("\n")
            note("(stopped)")
            return made.isEmpty ? nil : made
        }
    }
}
