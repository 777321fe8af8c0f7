/// Every field that is known. Of others the client hears that they have no effect: SDKs send private ones.
///
/// Decoding is greedy: what only says how to draw tokens has no effect and is common, so it is taken; what would make a
/// greedy answer another one is refused.
enum OpenAIFieldTable {
    static func field(_ name: String, in endpoint: OpenAIEndpoint) -> OpenAIField? {
        byName[endpoint]?[name]
            ?? families.first { $0.endpoints.contains(endpoint) && name.hasPrefix($0.name.dropLast()) }
    }

    private static let families = all.filter { $0.name.hasSuffix("*") }

    private static let byName: [OpenAIEndpoint: [String: OpenAIField]] = {
        var byName: [OpenAIEndpoint: [String: OpenAIField]] = [:]
        for field in all {
            for endpoint in field.endpoints { byName[endpoint, default: [:]][field.name] = field }
        }
        return byName
    }()

    static let all: [OpenAIField] = prompts + limits + outputs + drawing + constraints + tools + others

    private static let noGrammar =
        "an answer is free text or one of the texts of \"structured_outputs\": {\"choice\": []}"
    private static let noShift = "the likeliest token is taken as the model gives it"

    private static let prompts: [OpenAIField] = [
        OpenAIField("model", .string, .read),
        OpenAIField("messages", .array, .read, in: [.chat]),
        OpenAIField("prompt", .any, .read, in: [.completions]),
        OpenAIField(
            "suffix", .string, .refused(unless: .empty, because: "nothing is filled in"), in: [.completions]),
        OpenAIField("chat_template_kwargs", .object, .read, in: [.chat]),
        OpenAIField("chat_template", .string, .read, in: [.chat]),
        OpenAIField("reasoning_effort", .string, .read, in: [.chat]),
        OpenAIField("documents", .array, .read, in: [.chat]),
        OpenAIField("add_generation_prompt", .bool, .read, in: [.chat]),
        OpenAIField("continue_final_message", .bool, .read, in: [.chat]),
        OpenAIField("add_special_tokens", .bool, .read),
        OpenAIField(
            "truncate_prompt_tokens", .integer(.min ... .max),
            .refused(unless: .numbers(0), because: "a prompt is never cut")),
    ]

    private static let limits: [OpenAIField] = [
        OpenAIField("max_tokens", .integer(1 ... .max), .read, in: [.chat]),
        OpenAIField("max_tokens", .integer(0 ... .max), .read, in: [.completions]),
        OpenAIField("max_completion_tokens", .integer(1 ... .max), .read, in: [.chat]),
        OpenAIField("max_completion_tokens", .integer(0 ... .max), .read, in: [.completions]),
        OpenAIField("min_tokens", .integer(0 ... .max), .refused(unless: .numbers(0), because: noShift)),
        OpenAIField("stop", .any, .read),
        OpenAIField("stop_token_ids", .array, .read),
        OpenAIField("ignore_eos", .bool, .read),
        OpenAIField(
            "include_stop_str_in_output", .bool,
            .refused(unless: .empty, because: "the text ends before a stop string")),
    ]

    private static let outputs: [OpenAIField] = [
        OpenAIField("stream", .bool, .read),
        OpenAIField("stream_options", .object, .read),
        OpenAIField("logprobs", .bool, .read, in: [.chat]),
        OpenAIField("top_logprobs", .integer(0...20), .read, in: [.chat]),
        OpenAIField("logprobs", .integer(0...20), .read, in: [.completions]),
        OpenAIField("echo", .bool, .read, in: [.completions]),
        OpenAIField(
            "echo", .bool, .refused(unless: .empty, because: "only completions repeat their prompt"),
            in: [.chat]),
        OpenAIField("return_token_ids", .bool, .read),
        OpenAIField("return_tokens_as_token_ids", .bool, .read),
        OpenAIField(
            "n", .integer(1 ... .max), .refused(unless: .numbers(1), because: "all answers would be equal")),
        OpenAIField(
            "best_of", .integer(1 ... .max),
            .refused(unless: .numbers(1), because: "all answers would be equal")),
    ]

    private static let drawing: [OpenAIField] = [
        OpenAIField("temperature", .number(0...2), .warned(unless: .numbers(0, 1))),
        OpenAIField("top_p", .number(0...1), .warned(unless: .numbers(0, 1))),
        OpenAIField("top_k", .integer(-1 ... .max), .warned(unless: .numbers(-1, 0, 1))),
        OpenAIField("min_p", .number(0...1), .warned(unless: .numbers(0, 1))),
        OpenAIField("seed", .integer(.min ... .max), .silent),
        OpenAIField("presence_penalty", .number(-2...2), .refused(unless: .numbers(0), because: noShift)),
        OpenAIField("frequency_penalty", .number(-2...2), .refused(unless: .numbers(0), because: noShift)),
        OpenAIField(
            "repetition_penalty", .number(0 ... .greatestFiniteMagnitude),
            .refused(unless: .numbers(1), because: noShift)),
    ]

    private static let constraints: [OpenAIField] = [
        OpenAIField("structured_outputs", .object, .read),
        OpenAIField("guided_choice", .array, .read),
        OpenAIField("guided_*", .any, .refused(unless: .empty, because: noGrammar)),
        OpenAIField("grammar", .any, .refused(unless: .empty, because: noGrammar)),
        OpenAIField("response_format", .object, .read),
        OpenAIField("logit_bias", .any, .refused(unless: .empty, because: noShift)),
        OpenAIField("allowed_token_ids", .array, .refused(unless: .empty, because: noShift)),
        OpenAIField("bad_words", .array, .refused(unless: .empty, because: noShift)),
    ]

    private static let tools: [OpenAIField] = [
        OpenAIField("tools", .array, .read, in: [.chat]),
        OpenAIField("tool_choice", .any, .read, in: [.chat]),
        OpenAIField("parallel_tool_calls", .bool, .silent, in: [.chat]),
        OpenAIField(
            "functions", .array, .refused(unless: .empty, because: "it is dead; see \"tools\""), in: [.chat]),
        OpenAIField("function_call", .any, .refused(unless: .never, because: "it is dead"), in: [.chat]),
    ]

    private static let others: [OpenAIField] = [
        OpenAIField("user", .string, .silent),
        OpenAIField("store", .bool, .warned(unless: .empty)),
        OpenAIField("metadata", .object, .silent),
        OpenAIField("service_tier", .string, .silent),
        OpenAIField("safety_identifier", .string, .silent),
        OpenAIField("prompt_cache_key", .string, .silent),
        OpenAIField("prompt_cache_retention", .string, .silent),
        OpenAIField("prediction", .object, .silent),
        OpenAIField("verbosity", .string, .silent),
        OpenAIField("modalities", .array, .refused(unless: .text, because: "there is only text")),
        OpenAIField("audio", .any, .refused(unless: .never, because: "there is only text")),
        OpenAIField("moderation", .any, .refused(unless: .empty, because: "nothing is moderated")),
        OpenAIField("web_search_options", .any, .refused(unless: .never, because: "nothing is searched")),
        OpenAIField(
            "priority", .integer(.min ... .max),
            .refused(unless: .numbers(0), because: "requests are served in turn")),
    ]
}
