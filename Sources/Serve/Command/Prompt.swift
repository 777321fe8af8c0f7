import DoraLoader
package import DoraRuntime
package import DoraText

#if canImport(Glibc)
import Glibc
#endif

/// A prompt as a user gives it: raw text, token ids, or a conversation.
package enum Prompt: Sendable, Equatable {
    case text(String)
    case tokenIDs([Int])
    /// A conversation, which the model's chat template makes a text of.
    case chat(Conversation)

    /// What is wrong with a prompt, before any model has seen it.
    package enum Problem: Error, Equatable, CustomStringConvertible {
        case notUTF8(source: String, offset: Int)
        case notAnID(String)
        case unreadable(String, reason: String)
        case noTokenizer(model: String)
        case badConversation(String)
        case noTemplate(model: String)
        case template(TemplateError)

        package var description: String {
            switch self {
            case .notUTF8(let source, let offset):
                "\(source): byte \(offset) is not valid UTF-8; convert the prompt to UTF-8"
            case .notAnID(let word):
                "'\(word)' is not a token id; with --token-ids the prompt is numbers between white space"
            case .unreadable(let path, let reason): "\(path): \(reason)"
            case .noTokenizer(let model):
                "\(model): there is neither tokenizer.json nor tokenizer.model; give ids with --token-ids"
            case .badConversation(let problem): problem.printable
            case .noTemplate(let model):
                "\(model): there is no chat template; give one with --chat-template, or a prompt as raw text"
            case .template(let error): "\(error)"
            }
        }
    }

    /// - Parameters:
    ///   - bytes: the whole input.
    ///   - source: its name in messages.
    ///   - dropsFinalLineFeed: `echo` ends its output with one that nobody means. A rendered template's last line feed is
    ///     part of the prompt: without it a chat model sees a turn that it was never trained on.
    package init(
        bytes: [UInt8], source: String, dropsFinalLineFeed: Bool, asTokenIDs: Bool
    ) throws(Problem) {
        let isEnded = dropsFinalLineFeed && bytes.last == UInt8(ascii: "\n")
        let content = isEnded ? bytes.dropLast() : bytes[...]
        guard let text = String(validating: content, as: UTF8.self) else {
            throw .notUTF8(source: source, offset: Self.firstInvalidByte(content))
        }
        try self.init(text: text, asTokenIDs: asTokenIDs)
    }

    /// - Parameter argument: text of the command line.
    package init(argument text: String, option: String, asTokenIDs: Bool) throws(Problem) {
        if text.unicodeScalars.contains("\u{FFFD}") { try Self.checkArguments(of: option) }
        try self.init(text: text, asTokenIDs: asTokenIDs)
    }

    private init(text: String, asTokenIDs: Bool) throws(Problem) {
        guard asTokenIDs else {
            self = .text(text)
            return
        }
        var ids: [Int] = []
        for word in text.split(whereSeparator: \.isWhitespace) {
            guard let id = Int(word) else { throw .notAnID(String(word)) }
            ids.append(id)
        }
        self = .tokenIDs(ids)
    }

    /// The model's token ids.
    ///
    /// Nothing is added to a conversation's: its template writes BOS where the model wants it.
    package func encoded(
        in language: Language, model: String, addingSpecialTokens: Bool
    ) throws(Problem) -> [Int] {
        let (text, adds): (String, Bool)
        switch self {
        case .tokenIDs(let ids): return ids
        case .text(let given): (text, adds) = (given, addingSpecialTokens)
        case .chat(let conversation):
            (text, adds) = (try Self.rendered(conversation, in: language, model), false)
        }
        guard let tokenizer = language.tokenizer else { throw .noTokenizer(model: model) }
        let ids = tokenizer.encode(text, addingSpecialTokens: adds)
        if ids.isEmpty, case .chat = self, let chat = language.chat { throw .template(chat.emptyPrompt) }
        return ids
    }

    /// The text that a conversation becomes.
    package static func rendered(
        _ conversation: Conversation, in language: Language, _ model: String
    ) throws(Problem) -> String {
        guard let chat = language.chat else { throw .noTemplate(model: model) }
        do { return try chat.prompt(for: conversation) } catch { throw .template(error) }
    }

    /// Reads standard input, or a file, to its end.
    package static func read(path: String?) throws(Problem) -> [UInt8] {
        let descriptor = path.map { open($0, O_RDONLY | O_CLOEXEC) } ?? STDIN_FILENO
        let name = path ?? "standard input"
        guard descriptor >= 0 else { throw .unreadable(name, reason: String(cString: strerror(errno))) }
        defer { if path != nil { close(descriptor) } }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count > 0 {
                bytes += buffer[..<count]
            } else if count == 0 {
                return bytes
            } else if errno != EINTR {
                throw .unreadable(name, reason: String(cString: strerror(errno)))
            }
        }
    }

    /// Swift hands arguments over with U+FFFD in the place of what is not UTF-8: the prompt would be another one.
    private static func checkArguments(of option: String) throws(Problem) {
        let prefix = Array("\(option)=".utf8)
        for argument in try read(path: "/proc/self/cmdline").split(separator: 0) {
            let text = argument.starts(with: prefix) ? argument.dropFirst(prefix.count) : argument
            if String(validating: text, as: UTF8.self) == nil {
                throw .notUTF8(source: option, offset: firstInvalidByte(text))
            }
        }
    }

    private static func firstInvalidByte(_ bytes: ArraySlice<UInt8>) -> Int {
        var low = 0
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        while case .scalarValue(let scalar) = decoder.decode(&iterator) { low += UTF8.width(scalar) }
        return low
    }
}
