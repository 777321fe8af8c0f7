/// The operations of OpenAI's API that make text.
package enum OpenAIEndpoint: String, CaseIterable, Sendable {
    case chat = "/v1/chat/completions"
    case completions = "/v1/completions"

    /// Nil for a path that is none of these. A final slash is of no meaning.
    package init?(path: String) {
        self.init(rawValue: path.hasSuffix("/") ? String(path.dropLast()) : path)
    }

    /// What the id of a reply begins with.
    var idPrefix: String {
        switch self {
        case .chat: "chatcmpl-"
        case .completions: "cmpl-"
        }
    }

    func objectName(isChunk: Bool) -> String {
        switch self {
        case .chat: isChunk ? "chat.completion.chunk" : "chat.completion"
        case .completions: "text_completion"
        }
    }
}
