/// Why a request cannot be answered.
package enum RuntimeError: Error, Equatable, CustomStringConvertible {
    case emptyPrompt
    case promptTooLong(tokens: Int, context: Int)
    case tokenOutOfRange(id: Int, vocabularySize: Int)
    case stopOutOfRange(id: Int, vocabularySize: Int)
    case emptyContinuation(Int)
    case continuationTooLong(Int, tokens: Int, context: Int)
    case continuationOutOfRange(Int, id: Int, vocabularySize: Int)
    case emptyChoice(Int)
    case choiceTooLong(Int, tokens: Int, context: Int)
    case choiceOutOfRange(Int, id: Int, vocabularySize: Int)
    case equalChoices(Int, Int)
    case endlessChoice(Int, Int)
    case contextTooLong(Int, maximum: Int)
    case notFinite

    package var description: String {
        switch self {
        case .emptyPrompt: "the prompt has no tokens; give some text, or ids with --token-ids"
        case .promptTooLong(let tokens, let context):
            "the prompt has \(tokens) tokens, and the context holds \(context); shorten it or raise --context"
        case .tokenOutOfRange(let id, let size):
            "token id \(id) is outside the model's vocabulary; ids run from 0 to \(size - 1)"
        case .stopOutOfRange(let id, let size):
            "stop id \(id) is outside the model's vocabulary; ids run from 0 to \(size - 1)"
        case .emptyContinuation(let index):
            "continuation \(index + 1) has no tokens; each needs at least one"
        case .continuationTooLong(let index, let tokens, let context):
            "the prompt and continuation \(index + 1) have \(tokens) tokens, and the context holds \(context); "
                + "shorten them or raise --context"
        case .continuationOutOfRange(let index, let id, let size):
            "continuation \(index + 1): token id \(id) is outside the model's vocabulary; ids run from 0 to \(size - 1)"
        case .emptyChoice(let index): "choice \(index + 1) has no tokens; each needs at least one"
        case .choiceTooLong(let index, let tokens, let context):
            "the prompt and choice \(index + 1) have \(tokens) tokens, and the context holds \(context); "
                + "shorten them or raise --context"
        case .choiceOutOfRange(let index, let id, let size):
            "choice \(index + 1): token id \(id) is outside the model's vocabulary; ids run from 0 to \(size - 1)"
        case .equalChoices(let first, let second):
            "choices \(first + 1) and \(second + 1) are the same tokens; leave one of them out"
        case .endlessChoice(let first, let second):
            "choice \(second + 1) begins with choice \(first + 1), and the model has no EOS that could end the shorter "
                + "one; choose among texts of which none begins with another"
        case .contextTooLong(let asked, let maximum):
            "a context of \(asked) tokens was asked for, and the model was made for at most \(maximum)"
        case .notFinite: "the model computed values that are not finite; its weights are damaged"
        }
    }
}
