import Dispatch
import DoraText

/// Where entries of a conversation come from: a terminal with an editor, or lines of any other input.
///
/// `@unchecked Sendable`: what changes is private, written by `init` and then only within `next`, whose work runs on the
/// serial `queue`; `wait` and `close` use the terminal alone, a constant that is `Sendable` by itself.
final class ConversationReader: @unchecked Sendable {
    enum Event: Sendable, Equatable {
        case entry(ConversationInput.Entry)
        /// Ctrl-C where nothing was typed.
        case interrupted
        case ended
    }

    private let queue = DispatchQueue(label: "typing")
    private let terminal: InputTerminal?
    private var editor = LineEditor()
    private var keys = KeyReader()
    private var typed: [LineEditor.Key] = []
    private var input = ConversationInput()
    private var lines: LineFile?

    /// - Throws: `Prompt.Problem` when standard input cannot be read.
    init() throws(Prompt.Problem) {
        terminal = InputTerminal()
        if terminal == nil { lines = try LineFile(path: "-", maximumLine: RequestFile.maximumLine) }
    }

    /// Whether somebody types.
    var isTerminal: Bool { terminal != nil }

    func next() async throws -> Event {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { [self] in
                continuation.resume(
                    with: Result {
                        if let terminal { return entry(typedAt: terminal) }
                        return try entryOfLines()
                    })
            }
        }
    }

    /// From here on, up to the next entry, Ctrl-C is a signal.
    func wait() { terminal?.enter(.waiting) }

    /// Gives the terminal back.
    func close() { terminal?.leave() }

    private func entryOfLines() throws -> Event {
        while let line = try lines?.next() {
            guard case .line(let bytes) = line, let text = String(validating: bytes, as: UTF8.self) else {
                throw Prompt.Problem.badConversation("standard input: a line is no UTF-8, or too long")
            }
            if let entry = input.take(text) { return .entry(entry) }
        }
        return .ended
    }

    private func entry(typedAt terminal: InputTerminal) -> Event {
        terminal.enter(.editing)
        while true {
            switch edit(at: terminal) {
            case .line(let line): if let entry = input.take(line) { return .entry(entry) }
            case .interrupted(let wasEmpty):
                let wasOpen = input.isOpen
                input.drop()
                if wasEmpty && !wasOpen { return .interrupted }
            case .ended: return .ended
            case .editing: continue
            }
        }
    }

    /// One line, from its prompt to its end.
    private func edit(at terminal: InputTerminal) -> LineEditor.Outcome {
        let prompt = input.isOpen ? ". " : "> "
        var view = LineView(editor, prompt: prompt, size: terminal.size)
        terminal.write(view.drawing(over: nil))
        while true {
            if typed.isEmpty {
                let bytes = terminal.read()
                if bytes.isEmpty {
                    terminal.write("\r\n")
                    return .ended
                }
                typed = keys.take(bytes)
            }
            while !typed.isEmpty {
                let key = typed.removeFirst()
                let outcome = key == .enter ? accept(&view, prompt, terminal) : editor.take(key)
                switch outcome {
                case .editing: break
                case .line: return outcome
                case .interrupted:
                    terminal.write("^C" + view.leaving)
                    return outcome
                case .ended:
                    terminal.write(view.leaving)
                    return outcome
                }
                if key == .redraw { terminal.write("\u{1B}[2J\u{1B}[H") }
                if key == .suspend { terminal.suspend() }
                if typed.isEmpty || key == .redraw {
                    let new = LineView(editor, prompt: prompt, size: terminal.size)
                    let isFresh = key == .redraw || key == .suspend
                    terminal.write(new.drawing(over: isFresh ? nil : view))
                    view = new
                }
            }
        }
    }

    /// Shows the line as it is sent, and puts the cursor below.
    private func accept(
        _ view: inout LineView, _ prompt: String, _ terminal: InputTerminal
    ) -> LineEditor.Outcome {
        _ = editor.take(.end)
        let new = LineView(editor, prompt: prompt, size: terminal.size)
        terminal.write(new.drawing(over: view) + new.leaving)
        view = new
        return editor.take(.enter)
    }
}
