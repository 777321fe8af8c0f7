import Dispatch
import DoraRuntime
import DoraText
import Hummingbird

/// Between text and tokens, without generating anything.
extension HTTPAPI {
    var textRoutes: [HTTPRoute] {
        [
            HTTPRoute(method: .post, path: "/tokenize") { request, _ in
                let fields = try await object(request)
                let showsPieces = try Self.flag(["return_token_strs", "with_pieces"], of: fields) ?? false
                let (ids, language) = try await tokens(of: fields)
                return Response { line in
                    line.object { line in
                        line.key("count")
                        line.value(ids.count)
                        line.key("max_model_len")
                        line.value(state.engine.context)
                        line.key("tokens")
                        line.value(ids)
                        line.key("token_strs")
                        guard showsPieces else { return line.null() }
                        line.array { line in
                            for id in ids { line.value(language.tokenizer?.piece(id)?.text ?? "") }
                        }
                    }
                }
            },
            HTTPRoute(method: .post, path: "/detokenize") { request, _ in
                let fields = try await object(request)
                guard let ids = fields["tokens"]?.array, ids.allSatisfy({ $0.int.map { $0 >= 0 } ?? false })
                else {
                    throw OpenAIError.invalid("tokens", "must be given, as an array of token ids")
                }
                let language = try await language(of: try self.request(["model": fields["model"]]))
                guard let tokenizer = language.tokenizer else {
                    throw EngineError(Prompt.Problem.noTokenizer(model: state.model))
                }
                let text = await elsewhere {
                    tokenizer.decode(ids.compactMap(\.int), skippingSpecialTokens: false)
                }
                return Response { line in
                    line.object { line in
                        line.key("prompt")
                        line.value(text)
                    }
                }
            },
            HTTPRoute(method: .post, path: "/apply-template") { request, _ in
                let asked = try OpenAIRequest(
                    try await object(request), to: .chat, options: state.openAI)
                let language = try await language(of: asked)
                let text = try await elsewhere { try asked.rendered(in: language, model: state.model) }
                return Response { line in
                    line.object { line in
                        line.key("prompt")
                        line.value(text)
                    }
                }
            },
        ]
    }

    /// The tokens that a prompt, or a chat's messages, become.
    private func tokens(of fields: JSONObject) async throws -> (ids: [Int], language: Language) {
        let asked: OpenAIRequest
        if fields["messages"] != nil {
            // What is said of the reply means nothing to the chat.
            let own: Set<String> = ["return_token_strs", "with_pieces"]
            var chat = JSONObject()
            for (key, value) in fields.members where !own.contains(key) { _ = chat.append(key, value) }
            asked = try OpenAIRequest(chat, to: .chat, options: state.openAI)
        } else {
            guard let text = (fields["prompt"] ?? fields["content"])?.string else {
                throw OpenAIError.invalid("prompt", "must be given, as a string, or \"messages\" instead")
            }
            let adds = try Self.flag(["add_special_tokens", "add_special"], of: fields) ?? true
            asked = try request([
                "model": fields["model"], "prompt": .string(text), "add_special_tokens": .bool(adds),
            ])
        }
        let language = try await language(of: asked)
        let ids = try await elsewhere {
            do { return try asked.tokens(in: language, model: state.model) } catch let problem
                as Prompt.Problem
            {
                throw EngineError(problem)
            }
        }
        return (ids, language)
    }

    /// A completion that would mean the same.
    private func request(_ fields: [String: JSONValue?]) throws(OpenAIError) -> OpenAIRequest {
        var object = JSONObject()
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            if let value { _ = object.append(key, value) }
        }
        if object["prompt"] == nil { _ = object.append("prompt", .string("")) }
        return try OpenAIRequest(object, to: .completions, options: state.openAI)
    }

    /// Of the model that is named; one that is not in memory is loaded, as for any request.
    private func language(of request: OpenAIRequest) async throws -> Language {
        if let known = state.engine.language(of: request.adapter) { return known }
        guard case .named(let name, _) = request.adapter else { throw EngineError.draining }
        if state.isDraining { throw EngineError.draining }
        do {
            let identity = try await withCheckedThrowingContinuation { continuation in
                state.engine.load(AdapterOrder(name: name)) { continuation.resume(with: $0) }
            }
            if let language = state.engine.language(
                of: .named(identity.name, generation: identity.generation))
            {
                return language
            }
            throw EngineError(.busy, "adapters_busy", "adapter '\(name)' was loaded and had to go; try again")
        } catch let error as EngineError { throw OpenAIError(error, for: request) }
    }

    /// On a thread that may take its time: patterns and templates are strangers'.
    private func elsewhere<Value: Sendable>(
        _ work: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result(catching: work)) }
        }
    }

    private func elsewhere<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: work()) }
        }
    }

    private static func flag(_ keys: [String], of fields: JSONObject) throws(OpenAIError) -> Bool? {
        for key in keys {
            guard let value = fields[key], value != .null else { continue }
            guard let flag = value.bool else { throw .invalid(key, "must be true or false") }
            return flag
        }
        return nil
    }
}
