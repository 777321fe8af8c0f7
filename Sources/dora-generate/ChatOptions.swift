import ArgumentParser
import DoraServe
import DoraText

/// The flags of conversations.
struct ChatOptions: ParsableArguments {
    @Flag(help: "The input is a conversation, which the model's chat template makes a prompt of.")
    var chat = false

    @Flag(
        help: ArgumentHelp(
            "A conversation at a terminal, turn by turn; /help there lists its commands.",
            discussion: "Of other input each line is a turn."))
    var interactive = false

    @Option(
        help: ArgumentHelp(
            "With --chat or --interactive: a system message to put first.", valueName: "text"))
    var system: String?

    @Flag(
        help:
            "With --chat: print the prompt that the template makes, and stop; needs only the tokenizer's files."
    )
    var applyTemplate = false

    @Flag(help: "Render JSON lines of templates and messages, for testing template engines; needs no model.")
    var renderChat = false

    func validate() throws {
        if !chat, applyTemplate { throw ValidationError("--apply-template needs --chat") }
        if !chat, !interactive, system != nil {
            throw ValidationError("--system needs --chat or --interactive")
        }
        if interactive, applyTemplate || renderChat {
            throw ValidationError("--interactive answers, and --apply-template and --render-chat do not")
        }
        if chat && renderChat { throw ValidationError("--chat and --render-chat exclude each other") }
    }
}
