/// What somebody types in a conversation, put together from lines.
struct ConversationInput: Equatable {
    enum Entry: Equatable {
        case message(String)
        case command(String, argument: String)
    }

    private static let fence = "\"\"\""

    private var lines: [String] = []
    private var isFenced = false

    /// Whether an entry has begun.
    var isOpen: Bool { isFenced || !lines.isEmpty }

    /// Nil while more lines belong to it, and for a blank one.
    ///
    /// A line that ends in a backslash goes on; what stands between `"""` and `"""` is one message, line feeds and all.
    mutating func take(_ line: String) -> Entry? {
        if isFenced { return takeFenced(line) }
        if lines.isEmpty, line.hasPrefix(Self.fence) {
            isFenced = true
            return takeFenced(String(line.dropFirst(Self.fence.count)), isFirst: true)
        }
        if line.hasSuffix("\\") {
            lines.append(String(line.dropLast()))
            return nil
        }
        let isFirst = lines.isEmpty
        let text = (lines + [line]).joined(separator: "\n")
        lines = []
        if text.allSatisfy(\.isWhitespace) { return nil }
        return isFirst ? Self.entry(text) : .message(text)
    }

    /// Forgets what has begun.
    mutating func drop() { self = ConversationInput() }

    private mutating func takeFenced(_ line: String, isFirst: Bool = false) -> Entry? {
        guard line.hasSuffix(Self.fence) else {
            if !(isFirst && line.isEmpty) { lines.append(line) }
            return nil
        }
        let last = String(line.dropLast(Self.fence.count))
        let text = (lines + (last.isEmpty && !lines.isEmpty ? [] : [last])).joined(separator: "\n")
        self = ConversationInput()
        return text.allSatisfy(\.isWhitespace) ? nil : .message(text)
    }

    /// `/word` is a command, `//` the beginning of a message with a slash.
    private static func entry(_ text: String) -> Entry {
        guard text.hasPrefix("/"), !text.contains("\n") else { return .message(text) }
        if text.hasPrefix("//") { return .message(String(text.dropFirst())) }
        let words = text.dropFirst().split(maxSplits: 1, whereSeparator: \.isWhitespace)
        let rest = (words.count > 1 ? words[1] : "").drop(while: \.isWhitespace)
        let argument = String(rest.reversed().drop(while: \.isWhitespace).reversed())
        return .command(words.first.map(String.init) ?? "", argument: argument)
    }
}
