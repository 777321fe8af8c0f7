package import DoraRuntime
import DoraText

/// What a server makes of requests.
package struct OpenAIOptions: Sendable {
    /// What `model` calls the base.
    package var baseName: String
    /// Refuse fields that are not known, instead of saying that they have no effect.
    package var refusesUnknownFields = false
    /// Render the template that a request brings: a program of the client's.
    package var trustsRequestTemplate = false
    /// Where an answer must be one body, streams are refused.
    package var allowsStreams = true

    package init(baseName: String) { self.baseName = baseName }

    /// The base goes by the last part of its path or name.
    package init(model: String) { baseName = model.split(separator: "/").last.map(String.init) ?? model }
}

/// A request of OpenAI's API, checked: every field acts, has no effect and is named in `ignored`, or was refused.
package struct OpenAIRequest: Equatable, Sendable {
    package let endpoint: OpenAIEndpoint
    /// As it was given; nil if it was not.
    package var model: String?
    package var adapter = AdapterChoice.standard
    /// What `model` calls the base.
    package let baseName: String
    /// Each is answered by a choice of its own, whose index is the prompt's. Of a chat, one.
    package var prompts: [Prompt]
    package var maximumTokens: Int
    package var stops: [String] = []
    package var stopIDs: [Int] = []
    package var ignoresEOS = false
    package var streams = false
    package var includesUsage = false
    /// How many alternatives to report per token; nil for no log probabilities.
    package var logprobs: Int?
    /// Whether the text begins with the prompt.
    package var echoes = false
    /// The text is one of these.
    package var choices: [String]?
    /// A template that stands for the model's own.
    package var template: String?
    package var addsSpecialTokens: Bool
    package var returnsTokenIDs = false
    /// Tokens are spelled `token_id:123`.
    package var spellsTokensAsIDs = false
    /// Whether the template is told how much to reason.
    package var hasReasoningEffort = false
    /// Fields that have no effect, whatever the model.
    package var ignored: [String] = []
    /// What clients call the fields of an engine's request.
    private var choicesField: String { usesGuidedChoice ? "guided_choice" : "structured_outputs.choice" }
    var usesGuidedChoice = false

    init(_ endpoint: OpenAIEndpoint, baseName: String, prompts: [Prompt]) {
        self.endpoint = endpoint
        self.baseName = baseName
        self.prompts = prompts
        maximumTokens = endpoint == .chat ? .max : 16
        addsSpecialTokens = endpoint == .completions
    }

    /// Whether the prompt's own tokens get log probabilities.
    package var scoresPrompt: Bool { echoes && logprobs != nil }

    /// The field that a failure of the engine is about.
    func field(_ param: String) -> String {
        switch param {
        case "adapter": "model"
        case "prompt", "token_ids": endpoint == .chat ? "messages" : "prompt"
        case "choices": choicesField
        default: param
        }
    }

    /// Fields that have no effect on the generation that answers.
    package func ignored(in language: Language) -> [String] {
        let reads = template != nil || language.chat?.uses("reasoning_effort") ?? false
        return hasReasoningEffort && !reads ? ignored + ["reasoning_effort"] : ignored
    }

    /// Names as a header may carry them: clients can write anything there.
    package static func header(ignored: [String]) -> String? {
        let names = ignored.prefix(32).map { name in
            String(
                decoding: name.utf8.prefix(64).map { byte in
                    (0x21...0x7E).contains(byte) && byte != UInt8(ascii: ",") ? byte : UInt8(ascii: "?")
                }, as: UTF8.self)
        }
        return names.isEmpty ? nil : names.joined(separator: ", ")
    }
}
