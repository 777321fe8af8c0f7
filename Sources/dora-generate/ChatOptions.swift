import ArgumentParser
import DoraServe
import DoraText

/// The flags of conversations.
struct ChatOptions: ParsableArguments {
    @Flag(help: "The input is a conversation, which the model's chat template makes a prompt of.")
    var chat = false

    @Option(help: ArgumentHelp("With --chat: a system message to put first.", valueName: "text"))
    var system: String?

    @Flag(
        help:
            "With --chat: print the prompt that the template makes, and stop; needs only the tokenizer's files."
    )
    var applyTemplate = false

    @Flag(help: "Render JSON lines of templates and messages, for testing template engines; needs no model.")
    var renderChat = false

    func validate() throws {
        if !chat, system != nil || applyTemplate {
            throw ValidationError("--system and --apply-template need --chat")
        }
        if chat && renderChat { throw ValidationError("--chat and --render-chat exclude each other") }
    }
}
