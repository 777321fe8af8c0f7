/// `continue_final_message`: a marker goes behind the last message's content, and the prompt is cut there.
enum ChatContinuation {
    private static let marker = "CONTINUE_FINAL_MESSAGE_TAG "
    private static let trimmedMarker = "CONTINUE_FINAL_MESSAGE_TAG"

    /// Marks the last message, and answers its text.
    static func mark(_ messages: inout [JSONValue], _ template: ChatTemplate) throws(TemplateError) -> String
    {
        guard let last = messages.last?.object else {
            throw template.refused("continue_final_message is set, and there is no message")
        }
        guard let content = last["content"], content != .null else {
            throw template.refused(
                "continue_final_message is set, and the final message has no content to continue")
        }
        switch content {
        case .string(let text):
            messages[messages.count - 1] = .object(last.replacing("content", with: .string(text + marker)))
            return text
        case .array(let parts):
            for (index, part) in parts.enumerated().reversed() {
                guard let object = part.object, let text = object["text"]?.string else { continue }
                var parts = parts
                parts[index] = .object(object.replacing("text", with: .string(text + marker)))
                messages[messages.count - 1] = .object(last.replacing("content", with: .array(parts)))
                return text
            }
            fallthrough
        default:
            throw template.refused(
                "continue_final_message is set, and the final message has no text to continue")
        }
    }

    static func cut(_ text: String, after final: String, _ template: ChatTemplate) throws(TemplateError)
        -> String
    {
        let bytes = Array(text.utf8)
        let holdsFinal = SubstringSearch(Array(PythonText.strip(final).utf8)).first(in: bytes) != nil
        guard holdsFinal, let place = SubstringSearch(Array(trimmedMarker.utf8)).last(in: bytes) else {
            throw template.refused(
                "continue_final_message is set, and the template does not write the final message as it is")
        }
        let head = String(decoding: bytes[..<place], as: UTF8.self)
        // A template that trims messages took the marker's blank, and the message's own with it.
        return bytes[place...].starts(with: marker.utf8) ? head : PythonText.strip(head, nil, .right)
    }
}
