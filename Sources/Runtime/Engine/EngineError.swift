import DoraText

/// Why a request or an operation was not carried out, for programs (`type`, `code`, `param`) and for people.
package struct EngineError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// Would fail the same way again.
        case invalidRequest = "invalid_request"
        /// What was named is not there.
        case notFound = "not_found"
        /// The state of things does not allow it.
        case conflict
        /// Try again later.
        case busy
        /// An adapter or the model is at fault.
        case badData = "bad_data"
        case internalError = "internal"
    }

    package let kind: Kind
    package let code: String
    package let message: String
    /// The field of the request that is at fault.
    package let param: String?

    package init(_ kind: Kind, _ code: String, _ message: String, param: String? = nil) {
        self.kind = kind
        self.code = code
        self.message = message
        self.param = param
    }

    package var description: String { "\(code): \(message)" }

    /// What a failure below the engine means to a client.
    package init(_ error: any Error) {
        switch error {
        case let error as EngineError: self = error
        case let error as RuntimeError: self.init(error)
        case let error as LoadError: self.init(.badData, "adapter_refused", "\(error)", param: "adapter")
        default: self.init(.internalError, "internal", "\(error)")
        }
    }

    private init(_ error: RuntimeError) {
        let (code, param): (String, String?) =
            switch error {
            case .emptyPrompt: ("empty_prompt", "prompt")
            case .promptTooLong: ("prompt_too_long", "prompt")
            case .tokenOutOfRange: ("token_out_of_range", "token_ids")
            case .stopOutOfRange: ("token_out_of_range", "stop_token_ids")
            case .emptyContinuation: ("empty_continuation", "continuations")
            case .continuationTooLong: ("prompt_too_long", "continuations")
            case .continuationOutOfRange: ("token_out_of_range", "continuations")
            case .emptyChoice: ("empty_choice", "choices")
            case .choiceTooLong: ("prompt_too_long", "choices")
            case .choiceOutOfRange: ("token_out_of_range", "choices")
            case .equalChoices: ("duplicate_choice", "choices")
            case .endlessChoice: ("endless_choice", "choices")
            case .contextTooLong: ("context_too_long", "context")
            case .notFinite: ("not_finite", nil)
            }
        self.init(error == .notFinite ? .badData : .invalidRequest, code, error.description, param: param)
    }

    package static let draining = EngineError(
        .busy, "draining", "the server is shutting down; it takes no new requests")
}
