import DoraRuntime
import DoraText
import Testing

@testable import DoraServe

/// What becomes of each field of a request.
@Suite struct OpenAIRequestTests {
    enum Verdict: Equatable {
        case accepted
        case ignored([String])
        case refused(String, param: String?)
    }

    private static let chat = #""messages":[{"role":"user","content":"x"}]"#
    private static let prompt = #""prompt":"x""#

    private func request(
        _ endpoint: OpenAIEndpoint, _ members: String, _ change: (inout OpenAIOptions) -> Void = { _ in }
    ) throws -> OpenAIRequest {
        let object = try #require(try JSONValue(parsing: Array("{\(members)}".utf8)).object)
        var options = OpenAIOptions(baseName: "base")
        change(&options)
        return try OpenAIRequest(object, to: endpoint, options: options)
    }

    private func verdict(
        _ endpoint: OpenAIEndpoint, _ members: String, _ change: (inout OpenAIOptions) -> Void = { _ in }
    ) -> Verdict {
        do {
            let ignored = try request(endpoint, members, change).ignored
            return ignored.isEmpty ? .accepted : .ignored(ignored)
        } catch {
            let error = error as? OpenAIError
            return .refused(error?.code ?? "\(error as Any)", param: error?.param)
        }
    }

    /// Beside the least that a request needs.
    private func both(_ member: String) -> [Verdict] {
        [verdict(.chat, "\(Self.chat),\(member)"), verdict(.completions, "\(Self.prompt),\(member)")]
    }

    @Test(arguments: [
        #""temperature":0"#, #""temperature":1.0"#, #""top_p":1"#, #""top_k":-1"#, #""min_p":0"#,
        #""seed":1234"#,
        #""n":1"#, #""best_of":1"#, #""presence_penalty":0"#, #""frequency_penalty":0.0"#,
        #""repetition_penalty":1"#, #""logit_bias":{}"#, #""allowed_token_ids":[]"#, #""bad_words":[]"#,
        #""guided_json":null"#, #""guided_regex":"""#, #""grammar":"""#, #""structured_outputs":{}"#,
        #""structured_outputs":{"json":null,"choice":["a","b"]}"#, #""guided_choice":["a"]"#,
        #""response_format":{"type":"text"}"#, #""user":"u""#, #""store":false"#, #""metadata":{"a":"b"}"#,
        #""service_tier":"auto""#, #""safety_identifier":"s""#, #""prompt_cache_key":"k""#,
        #""prompt_cache_retention":"24h""#, #""prediction":{"type":"content"}"#, #""verbosity":"low""#,
        #""modalities":["text"]"#, #""stop":null"#, #""stop":[]"#, #""stop":"a""#,
        #""stop":["a","b","c","d","e"]"#,
        #""stop_token_ids":[1,2]"#, #""ignore_eos":true"#, #""include_stop_str_in_output":false"#,
        #""min_tokens":0"#, #""priority":0"#, #""truncate_prompt_tokens":0"#, #""return_token_ids":true"#,
        #""return_tokens_as_token_ids":true"#, #""add_special_tokens":true"#, #""max_tokens":5"#,
        #""max_completion_tokens":5"#, #""stream":true"#, #""echo":false"#, #""model":"base""#,
        #""stream":true,"stream_options":{"include_usage":true,"include_obfuscation":true}"#,
    ])
    func whatActsOrPromisesNothingIsAcceptedInSilence(member: String) {
        #expect(both(member) == [.accepted, .accepted], "\(member)")
    }

    @Test(
        arguments: [
            (#""temperature":0.7"#, "temperature"), (#""top_p":0.9"#, "top_p"), (#""top_k":40"#, "top_k"),
            (#""min_p":0.05"#, "min_p"), (#""store":true"#, "store"), (#""lora_path":"x""#, "lora_path"),
            (
                #""stream":true,"stream_options":{"continuous_usage_stats":true}"#,
                "stream_options.continuous_usage_stats"
            ),
            (#""guided_choice":["a"],"max_tokens":3"#, "max_tokens"),
        ] as [(String, String)])
    func whatHasNoEffectIsNamed(member: String, field: String) {
        #expect(both(member) == [.ignored([field]), .ignored([field])], "\(member)")
    }

    @Test(
        arguments: [
            (#""n":2"#, "unsupported_value", "n"), (#""best_of":3"#, "unsupported_value", "best_of"),
            (#""presence_penalty":0.5"#, "unsupported_value", "presence_penalty"),
            (#""frequency_penalty":-1"#, "unsupported_value", "frequency_penalty"),
            (#""repetition_penalty":1.1"#, "unsupported_value", "repetition_penalty"),
            (#""logit_bias":{"5":1}"#, "unsupported_parameter", "logit_bias"),
            (#""allowed_token_ids":[1]"#, "unsupported_parameter", "allowed_token_ids"),
            (#""bad_words":["a"]"#, "unsupported_parameter", "bad_words"),
            (#""guided_json":{"type":"object"}"#, "unsupported_parameter", "guided_json"),
            (#""guided_other":"x""#, "unsupported_parameter", "guided_other"),
            (#""grammar":"root ::= x""#, "unsupported_parameter", "grammar"),
            (#""structured_outputs":{"json":{"a":1}}"#, "unsupported_parameter", "structured_outputs.json"),
            (#""response_format":{"type":"json_object"}"#, "unsupported_value", "response_format"),
            (#""response_format":{"type":"json_schema"}"#, "unsupported_value", "response_format"),
            (#""moderation":true"#, "unsupported_parameter", "moderation"),
            (#""audio":{}"#, "unsupported_parameter", "audio"),
            (#""web_search_options":{}"#, "unsupported_parameter", "web_search_options"),
            (#""modalities":["text","audio"]"#, "unsupported_value", "modalities"),
            (#""include_stop_str_in_output":true"#, "unsupported_parameter", "include_stop_str_in_output"),
            (#""min_tokens":1"#, "unsupported_value", "min_tokens"),
            (#""priority":1"#, "unsupported_value", "priority"),
            (#""truncate_prompt_tokens":5"#, "unsupported_value", "truncate_prompt_tokens"),
            (#""temperature":2.5"#, "invalid_value", "temperature"),
            (#""top_p":"1""#, "invalid_value", "top_p"),
            (#""n":0"#, "invalid_value", "n"), (#""stop":"""#, "invalid_value", "stop"),
            (#""stop":["a",1]"#, "invalid_value", "stop"),
            (#""stop_token_ids":[-1]"#, "invalid_value", "stop_token_ids"),
            (#""max_tokens":-1"#, "invalid_value", "max_tokens"), (#""stream":1"#, "invalid_value", "stream"),
            (#""stream_options":{"include_usage":true}"#, "invalid_value", "stream_options"),
            (#""user":5"#, "invalid_value", "user"), (#""logprobs":"x""#, "invalid_value", "logprobs"),
            (#""guided_choice":[]"#, "invalid_value", "guided_choice"),
            (
                #""guided_choice":["a"],"structured_outputs":{"choice":["b"]}"#, "invalid_value",
                "structured_outputs.choice"
            ),
            (#""response_format":{}"#, "invalid_value", "response_format"),
            (#""model":"../x""#, "model_not_found", "model"), (#""model":"a@0""#, "model_not_found", "model"),
        ] as [(String, String, String)])
    func whatWouldChangeTheAnswerOrIsWrongIsRefused(member: String, code: String, param: String) {
        let refused = Verdict.refused(code, param: param)
        #expect(both(member) == [refused, refused], "\(member)")
    }

    @Test(
        arguments: [
            (#""tools":[]"#, Verdict.accepted), (#""tools":[{}],"tool_choice":"none""#, .accepted),
            (#""tool_choice":"auto""#, .accepted), (#""parallel_tool_calls":true"#, .accepted),
            (#""tools":[{}]"#, .refused("unsupported_parameter", param: "tools")),
            (#""tools":[{}],"tool_choice":"auto""#, .refused("unsupported_value", param: "tool_choice")),
            (#""tool_choice":"required""#, .refused("unsupported_value", param: "tool_choice")),
            (
                #""tools":[{}],"tool_choice":{"type":"function"}"#,
                .refused("unsupported_value", param: "tool_choice")
            ),
            (#""tool_choice":5"#, .refused("invalid_value", param: "tool_choice")),
            (#""functions":[{}]"#, .refused("unsupported_parameter", param: "functions")),
            (#""function_call":"auto""#, .refused("unsupported_parameter", param: "function_call")),
            (#""echo":true"#, .refused("unsupported_parameter", param: "echo")),
            (#""chat_template":"x""#, .refused("unsupported_parameter", param: "chat_template")),
            (#""max_tokens":0"#, .refused("invalid_value", param: "max_tokens")),
            (#""logprobs":true,"top_logprobs":20"#, .accepted), (#""logprobs":true"#, .accepted),
            (#""top_logprobs":2"#, .refused("invalid_value", param: "top_logprobs")),
            (#""logprobs":true,"top_logprobs":21"#, .refused("invalid_value", param: "top_logprobs")),
            (#""logprobs":5"#, .refused("invalid_value", param: "logprobs")),
            (
                #""reasoning_effort":"low","chat_template_kwargs":{"enable_thinking":false},"documents":[{}]"#,
                .accepted
            ),
            (#""add_generation_prompt":false,"continue_final_message":true"#, .accepted),
            (
                #""add_generation_prompt":true,"continue_final_message":true"#,
                .refused("invalid_value", param: "add_generation_prompt")
            ),
        ] as [(String, Verdict)])
    func fieldsOfChats(member: String, expected: Verdict) {
        #expect(verdict(.chat, "\(Self.chat),\(member)") == expected, "\(member)")
    }

    @Test(
        arguments: [
            (#""suffix":"x""#, Verdict.refused("unsupported_parameter", param: "suffix")),
            (#""echo":true"#, .accepted),
            (#""logprobs":20"#, .accepted), (#""logprobs":21"#, .refused("invalid_value", param: "logprobs")),
            (#""logprobs":true"#, .refused("invalid_value", param: "logprobs")),
            (#""max_tokens":0"#, .accepted),
            (#""echo":true,"logprobs":1,"stream":true"#, .refused("unsupported_value", param: "stream")),
            (
                #""echo":true,"logprobs":1,"guided_choice":["a"]"#,
                .refused("unsupported_value", param: "echo")
            ),
            (#""tools":[{}]"#, .ignored(["tools"])),
        ] as [(String, Verdict)])
    func fieldsOfCompletions(member: String, expected: Verdict) {
        #expect(verdict(.completions, "\(Self.prompt),\(member)") == expected, "\(member)")
    }

    @Test(
        arguments: [
            (#"[]"#, Verdict.refused("invalid_value", param: "messages")),
            (#""x""#, .refused("invalid_value", param: "messages")),
            (#"[5]"#, .refused("invalid_value", param: "messages[0]")),
            (#"[{"content":"x"}]"#, .refused("invalid_value", param: "messages[0].role")),
            (#"[{"role":"user","content":5}]"#, .refused("invalid_value", param: "messages[0].content")),
            (#"[{"role":"user"}]"#, .refused("invalid_value", param: "messages[0].content")),
            (
                #"[{"role":"user","content":[{"type":"text","text":"a"},"b",{"type":"refusal","refusal":"c"}]}]"#,
                .accepted
            ),
            (
                #"[{"role":"assistant","content":null,"tool_calls":[]},{"role":"tool","content":"x"}]"#,
                .accepted
            ),
            (
                #"[{"role":"user","content":"x"},{"role":"user","content":["a",{"type":"image_url","image_url":{}}]}]"#,
                .refused("unsupported_value", param: "messages[1].content[1]")
            ),
            (
                #"[{"role":"user","content":[{"type":"input_audio"}]}]"#,
                .refused("unsupported_value", param: "messages[0].content[0]")
            ),
            (
                #"[{"role":"user","content":[{"type":"text"}]}]"#,
                .refused("invalid_value", param: "messages[0].content[0].text")
            ),
        ] as [(String, Verdict)])
    func messagesAreNamedByTheirPlace(messages: String, expected: Verdict) {
        #expect(verdict(.chat, #""messages":\#(messages)"#) == expected, "\(messages)")
    }

    @Test func promptsAreOfOneKind() throws {
        func prompts(_ json: String) throws -> [Prompt] {
            try request(.completions, #""prompt":\#(json)"#).prompts
        }
        #expect(try prompts(#""a""#) == [.text("a")])
        #expect(try prompts(#"["a","b"]"#) == [.text("a"), .text("b")])
        #expect(try prompts("[1,2]") == [.tokenIDs([1, 2])])
        #expect(try prompts("[[1],[2,3]]") == [.tokenIDs([1]), .tokenIDs([2, 3])])
        let many = Array(repeating: #""a""#, count: 65).joined(separator: ",")
        for wrong in ["[]", "5", #"["a",1]"#, #"[[1],"a"]"#, "[1.5]", "{}", "[\(many)]"] {
            let found = verdict(.completions, #""prompt":\#(wrong)"#)
            #expect(found == .refused("invalid_value", param: "prompt"), "\(wrong)")
        }
        #expect(verdict(.completions, "") == .refused("invalid_value", param: "prompt"))
        #expect(verdict(.chat, "") == .refused("invalid_value", param: "messages"))
    }

    @Test func defaultsAreOpenAIs() throws {
        let chat = try request(.chat, Self.chat)
        #expect(chat.maximumTokens == .max && !chat.addsSpecialTokens && chat.adapter == .standard)
        let text = try request(.completions, Self.prompt)
        #expect(text.maximumTokens == 16 && text.addsSpecialTokens)
        let both = try request(
            .chat, #"\#(Self.chat),"max_tokens":5,"max_completion_tokens":7,"model":"a@3""#)
        #expect(both.maximumTokens == 7 && both.adapter == .named("a", generation: 3) && both.model == "a@3")
        #expect(try request(.chat, #"\#(Self.chat),"model":"base""#).adapter == .base)
    }

    @Test func optionsDecideWhatIsTrusted() {
        let template = #"\#(Self.chat),"chat_template":"x""#
        #expect(verdict(.chat, template) { $0.trustsRequestTemplate = true } == .accepted)
        let stranger = verdict(.chat, #"\#(Self.chat),"lora_path":"x""#) { $0.refusesUnknownFields = true }
        #expect(stranger == .refused("unsupported_parameter", param: "lora_path"))
        let stream = verdict(.chat, #"\#(Self.chat),"stream":true"#) { $0.allowsStreams = false }
        #expect(stream == .refused("unsupported_value", param: "stream"))
    }

    @Test func everyFieldOfTheTableIsThereOnce() {
        for endpoint in OpenAIEndpoint.allCases {
            let names = OpenAIFieldTable.all.filter { $0.endpoints.contains(endpoint) }.map(\.name)
            #expect(Set(names).count == names.count)
        }
    }

    /// A client's names cannot end a header.
    @Test func aHeaderHoldsNamesOnly() {
        #expect(OpenAIRequest.header(ignored: []) == nil)
        #expect(OpenAIRequest.header(ignored: ["top_p", "a\r\nb: c,d"]) == "top_p, a??b:?c?d")
    }
}

/// What failures of the engine become.
@Suite struct OpenAIErrorTests {
    @Test(
        arguments: [
            (
                EngineError(.invalidRequest, "prompt_too_long", "m", param: "prompt"), 400,
                "context_length_exceeded", nil
            ),
            (
                EngineError(.invalidRequest, "chat_template_error", "m", param: "messages"), 400,
                "template_error", nil
            ),
            (EngineError(.invalidRequest, "bad_json", "m"), 400, "invalid_json", nil),
            (EngineError(.invalidRequest, "unauthorized", "m"), 401, "invalid_api_key", nil),
            (EngineError(.notFound, "unknown_adapter", "m", param: "adapter"), 404, "model_not_found", nil),
            (EngineError(.notFound, "not_loaded", "m"), 404, "adapter_not_loaded", nil),
            (EngineError(.conflict, "adapter_disabled", "m"), 409, "adapter_disabled", false),
            (EngineError(.busy, "busy", "m"), 429, "busy", nil), (EngineError.draining, 503, "draining", nil),
            (EngineError(.badData, "adapter_refused", "m"), 500, "adapter_refused", false),
            (EngineError(.internalError, "internal", "m"), 500, "server_error", nil),
        ] as [(EngineError, Int, String, Bool?)])
    func failuresHaveTheirStatus(error: EngineError, status: Int, code: String, retry: Bool?) {
        let found = OpenAIError(error, retryAfter: 90)
        #expect(found.status.rawValue == status && found.code == code)
        #expect(found.forbidsRetry == (retry == false))
        #expect(found.retryAfter == (status == 429 ? 30 : status == 503 ? 1 : nil))
        #expect(found.closes == (status == 503))
    }

    @Test func anUnknownURLNamesTheKnownOne() throws {
        let error = OpenAIError.unknownURL("/chat/completions")
        #expect(error.message.contains("/v1/chat/completions"))
        let object = try #require(try JSONValue(parsing: error.body).object?["error"]?.object)
        #expect(object.members.map(\.key) == ["message", "type", "param", "code"])
        #expect(object["type"]?.string == "not_found_error" && object["param"] == .null)
        #expect(OpenAIEndpoint(path: "/v1/completions/") == .completions)
    }
}
