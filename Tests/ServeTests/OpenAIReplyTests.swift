import DoraRuntime
import DoraText
import FoundationEssentials
import Testing

@testable import DoraServe

extension TestServer {
    /// A request by hand: `body` without its braces.
    func request(_ endpoint: OpenAIEndpoint, _ body: String) throws -> OpenAIRequest {
        let object = try #require(try JSONValue(parsing: Array("{\(body)}".utf8)).object)
        return try OpenAIRequest(object, to: endpoint, options: OpenAIOptions(baseName: "base"))
    }

    /// The events of all prompts.
    func events(_ request: OpenAIRequest) -> AsyncStream<(Int, EngineEvent)> {
        let (events, continuation) = AsyncStream.makeStream(of: (Int, EngineEvent).self)
        let session = EngineSession(engine: state.engine, model: "test", number: 0)
        for index in request.prompts.indices {
            do throws(EngineError) {
                try session.submit(index, to: request.adapter, streams: request.streams) { language, model in
                    try request.work(index, in: language, model: model)
                } report: {
                    continuation.yield((index, $0))
                }
            } catch { continuation.yield((index, .failed(error))) }
        }
        return events
    }

    func answer(
        _ endpoint: OpenAIEndpoint, _ body: String, stamp: OpenAIStamp = .reproducible(id: "1")
    ) async throws -> JSONObject {
        let request = try request(endpoint, body)
        var gathering = OpenAIGathering(request, stamp: stamp)
        for await (index, event) in events(request) {
            guard let answer = gathering.take(event, of: index) else { continue }
            return try #require(try JSONValue(parsing: answer.body).object)
        }
        throw CancellationError()
    }

    func chunks(_ endpoint: OpenAIEndpoint, _ body: String) async throws -> [JSONObject] {
        let request = try request(endpoint, body + #","stream":true"#)
        var stream = OpenAIStream(request, stamp: OpenAIStamp(id: "1", created: 1_700_000_000))
        var chunks: [JSONObject] = []
        for await (index, event) in events(request) {
            for chunk in stream.take(event, of: index) {
                #expect(!chunk.contains(UInt8(ascii: "\n")))
                chunks.append(try #require(try JSONValue(parsing: chunk).object))
            }
            if stream.isDone { return chunks }
        }
        throw CancellationError()
    }
}

extension JSONObject {
    fileprivate func choice(_ index: Int = 0) -> JSONObject? {
        self["choices"]?.array.flatMap { index < $0.count ? $0[index].object : nil }
    }
    fileprivate func object(_ key: String) -> JSONObject? { self[key]?.object }
    fileprivate func array(_ key: String) -> [JSONValue]? { self[key]?.array }
}

/// The bodies and chunks that answer requests; their shapes are those of openai-python's types.
@Suite struct OpenAIReplyTests {
    private static let template =
        "{{ bos_token }}{% for m in messages %}{{ '<' + m.role + '>' + m.content + '</s>' }}{% endfor %}"
        + "{% if add_generation_prompt %}<assistant>{% endif %}"
    private static let messages = #""messages":[{"role":"user","content":"the cat"}]"#

    /// The fixture `texts`, whose text is random, with a template.
    private func chat(_ body: (TestServer) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-openai-\(UUID())")
        try FileManager.default.copyItem(at: URL(filePath: TestServer.fixtures + "/bases/texts"), to: folder)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(Self.template.utf8).write(to: folder.appending(path: "chat_template.jinja"))
        let server = try await TestServer(model: folder.path)
        try await body(server)
        try await server.stop()
    }

    /// The bundled model and its adapters.
    private func server() async throws -> TestServer {
        let models = TestServer.fixtures + "/../../models"
        return try await TestServer(model: models + "/base") { options in
            options.adapters = [("sentiment", models + "/adapters/sentiment")]
            options.standard = "sentiment"
        }
    }

    private static let prompt =
        #"Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.\nInput: Tarnholt Foods raises its full-year profit guidance\nAnswer: "#

    @Test func aChatIsAnsweredInTheShapeOfTheAPI() async throws {
        let shapes = try OpenAIShapes()
        try await chat { server in
            let fields = #"\#(Self.messages),"max_tokens":6,"ignore_eos":true"#
            let plain = try await server.answer(.chat, fields)
            #expect(shapes.flaws(plain) == [])
            #expect(plain["id"]?.string == "chatcmpl-1" && plain["created"]?.int == 0)
            #expect(
                plain["model"]?.string == "base"
                    && plain["system_fingerprint"]?.string == "dora-\(Version.current)-base")
            let message = try #require(plain.choice()?.object("message"))
            #expect(message.members.map(\.key) == ["role", "content", "refusal"])
            #expect(plain.choice()?["finish_reason"]?.string == "length")
            #expect(plain.object("usage")?["completion_tokens"]?.int == 6)
            #expect(plain.object("usage")?["prompt_tokens_details"] == nil)

            let told = try await server.answer(
                .chat, fields + #","logprobs":true,"top_logprobs":3,"return_token_ids":true"#,
                stamp: OpenAIStamp(id: "2", created: 1_700_000_000))
            #expect(shapes.flaws(told) == [])
            #expect(told.object("usage")?.object("prompt_tokens_details")?["cached_tokens"]?.int != nil)
            #expect(told.object("dora")?.object("timing")?["prefill"]?.double != nil)
            #expect(told.choice()?.object("message") == message)
            let entries = try #require(told.choice()?.object("logprobs")?.array("content"))
            #expect(entries.count == 6)
            for entry in entries {
                let top = try #require(entry.object?.array("top_logprobs"))
                // Greedy: the likeliest is the one that was taken.
                #expect(top.count == 3 && top[0].object?["logprob"] == entry.object?["logprob"])
                #expect(top[0].object?["bytes"] == entry.object?["bytes"])
            }
            let ids = try #require(told.choice()?.array("token_ids")).compactMap(\.int)
            let prompt = try #require(told.array("prompt_token_ids")).compactMap(\.int)
            #expect(ids.count == 6 && prompt.count == told.object("usage")?["prompt_tokens"]?.int)
            let named = try await server.answer(
                .chat, fields + #","logprobs":true,"return_tokens_as_token_ids":true"#)
            let tokens = named.choice()?.object("logprobs")?.array("content")?.compactMap {
                $0.object?["token"]?.string
            }
            #expect(tokens == ids.map { "token_id:\($0)" })
        }
    }

    @Test func aStreamIsTheAnswerInPieces() async throws {
        let shapes = try OpenAIShapes()
        try await chat { server in
            let fields =
                #"\#(Self.messages),"max_tokens":9,"ignore_eos":true,"logprobs":true,"top_logprobs":1"#
            let whole = try await server.answer(.chat, fields)
            let chunks = try await server.chunks(.chat, fields + #","stream_options":{"include_usage":true}"#)
            for chunk in chunks { #expect(shapes.flaws(chunk) == []) }
            #expect(Set(chunks.map { $0["id"]?.string }) == ["chatcmpl-1"])
            let deltas = chunks.compactMap { $0.choice()?.object("delta") }
            #expect(deltas.first?.members.map(\.key) == ["role", "content"])
            #expect(deltas.last?.members.isEmpty == true)
            let text = deltas.compactMap { $0["content"]?.string }.joined()
            #expect(text == whole.choice()?.object("message")?["content"]?.string)
            let entries = chunks.flatMap { $0.choice()?.object("logprobs")?.array("content") ?? [] }
            #expect(entries == whole.choice()?.object("logprobs")?.array("content"))
            let reasons = chunks.map { $0.choice()?["finish_reason"]?.string }
            #expect(reasons.compactMap(\.self) == ["length"] && reasons.dropLast().last == "length")
            let usage = chunks.map { $0.object("usage")?["completion_tokens"]?.int }
            #expect(usage.last == 9 && usage.compactMap(\.self).count == 1)
            #expect(chunks.last?.array("choices") == [] && chunks.first?["usage"] == .null)
        }
    }

    /// As lm-eval sends it: ids, one token generated, a log probability for each id of the prompt and for that token.
    @Test func anEchoScoresThePrompt() async throws {
        let shapes = try OpenAIShapes()
        let server = try await server()
        let ids = try #require(server.tokenizer).encode("The news is good today", addingSpecialTokens: true)
        let rest = #""max_tokens":1,"logprobs":1,"echo":true,"temperature":0,"seed":1234,"ignore_eos":true"#
        let reply = try await server.answer(.completions, #""prompt":[\#(ids),\#(ids)],\#(rest)"#)
        #expect(
            Set(shapes.flaws(reply)) == [
                ".choices[0].logprobs.token_logprobs[0]", ".choices[0].logprobs.top_logprobs[0]",
                ".choices[1].logprobs.token_logprobs[0]", ".choices[1].logprobs.top_logprobs[0]",
            ])
        let client = try await server.connect()
        let score = try await client.ask(#"{"score":true,"token_ids":\#(ids),"logprobs":1}"#)
        let made = try await client.ask(
            #"{"token_ids":\#(ids),"max_tokens":1,"logprobs":1,"ignore_eos":true}"#)
        let expected = try [score, made].flatMap { try #require($0.array("logprobs")) }
        for index in 0...1 {
            let logprobs = try #require(reply.choice(index)?.object("logprobs"))
            let found = try #require(logprobs.array("token_logprobs"))
            #expect(found.first == .null && found.count == ids.count + 1)
            #expect(found.dropFirst().map(\.double) == expected.map { $0.object?["logprob"]?.double })
            let top = try #require(logprobs.array("top_logprobs"))
            #expect(top.first == .null)
            for (top, entry) in zip(top.dropFirst(), expected) {
                let values = try #require(top.object).members.compactMap(\.value.double)
                #expect(values.max() == entry.object?.array("top")?.first?.array?.last?.double)
                #expect(values.contains(try #require(entry.object?["logprob"]?.double)))
            }
            let text = try #require(reply.choice(index)?["text"]?.string)
            let tokens = try #require(logprobs.array("tokens")).compactMap(\.string)
            #expect(tokens.joined() == text && tokens[0] == "")
            let offsets = try #require(logprobs.array("text_offset")).compactMap(\.int)
            #expect(offsets == tokens.indices.map { tokens[..<$0].joined().unicodeScalars.count })
        }
        // Without a token to make, it is a score.
        let zero = try await server.answer(
            .completions, #""prompt":\#(ids),"max_tokens":0,"logprobs":1,"echo":true"#)
        #expect(zero.choice()?.object("logprobs")?.array("token_logprobs")?.count == ids.count)
        #expect(zero.choice()?["finish_reason"]?.string == "length")
        try await server.stop()
    }

    @Test func whatEndedATextIsSaid() async throws {
        let server = try await server()
        let ask = #""prompt":"\#(Self.prompt)""#
        let ended = try await server.answer(.completions, ask + #","logprobs":0"#)
        let choice = try #require(ended.choice())
        let answer = try #require(choice["text"]?.string)
        #expect(
            choice["finish_reason"]?.string == "stop" && choice["stop_reason"] == .null && !answer.isEmpty)
        #expect(ended["model"]?.string == "sentiment")
        #expect(ended["system_fingerprint"]?.string == "dora-\(Version.current)-sentiment@1")
        #expect(ended.object("dora")?["adapter"]?.string == "sentiment@1")
        // The end is a token, of no text.
        let logprobs = try #require(choice.object("logprobs"))
        #expect(logprobs.array("tokens")?.last == .string(""))
        #expect(logprobs.array("text_offset")?.last?.int == answer.unicodeScalars.count)
        #expect(ended.object("usage")?["completion_tokens"]?.int == logprobs.array("tokens")?.count)

        let tail = String(answer.suffix(2))
        let stopped = try await server.answer(.completions, ask + #","stop":["\#(tail)"]"#)
        #expect(stopped.choice()?["stop_reason"]?.string == tail)
        #expect(stopped.choice()?["text"]?.string == String(answer.dropLast(2)))
        let first = try await server.answer(.completions, ask + #","max_tokens":1,"return_token_ids":true"#)
        #expect(first.choice()?["finish_reason"]?.string == "length")
        let id = try #require(first.choice()?.array("token_ids")?.first?.int)
        let byID = try await server.answer(.completions, ask + #","stop_token_ids":[\#(id)]"#)
        #expect(byID.choice()?["stop_reason"]?.int == id && byID.choice()?["text"]?.string == "")
        try await server.stop()
    }

    @Test func oneOfSeveralTextsIsChosen() async throws {
        let server = try await server()
        let fields = #""prompt":"\#(Self.prompt)","structured_outputs":{"choice":["negative","positive"]}"#
        let reply = try await server.answer(.completions, fields + #","logprobs":2"#)
        #expect(
            reply.choice()?["text"]?.string == "positive"
                && reply.choice()?["finish_reason"]?.string == "stop")
        let chunks = try await server.chunks(.completions, fields + #","logprobs":2"#)
        #expect(chunks.compactMap { $0.choice()?["text"]?.string }.joined() == "positive")
        let tokens = chunks.flatMap { $0.choice()?.object("logprobs")?.array("tokens") ?? [] }
        #expect(tokens == reply.choice()?.object("logprobs")?.array("tokens") && !tokens.isEmpty)
        try await server.stop()
    }

    @Test func completionsStreamAsTheyAreAnswered() async throws {
        let shapes = try OpenAIShapes()
        let server = try await server()
        let fields = #""prompt":["\#(Self.prompt)","The"],"max_tokens":12,"logprobs":1"#
        let whole = try await server.answer(.completions, fields)
        let chunks = try await server.chunks(.completions, fields)
        #expect(shapes.flaws(whole) == [])
        for chunk in chunks {
            // As OpenAI's own: the reason is null until there is one.
            #expect(shapes.flaws(chunk).allSatisfy { $0 == ".choices[0].finish_reason" })
        }
        for index in 0...1 {
            let own = chunks.compactMap { $0.choice() }.filter { $0["index"]?.int == index }
            #expect(own.compactMap { $0["text"]?.string }.joined() == whole.choice(index)?["text"]?.string)
            for list in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
                let joined = own.flatMap { $0.object("logprobs")?.array(list) ?? [] }
                #expect(joined == whole.choice(index)?.object("logprobs")?.array(list), "\(list)")
            }
            #expect(own.last?["finish_reason"] == whole.choice(index)?["finish_reason"])
        }
        let echoed = try await server.chunks(.completions, #""prompt":"The","max_tokens":2,"echo":true"#)
        let text = try await server.answer(.completions, #""prompt":"The","max_tokens":2,"echo":true"#)
        #expect(echoed.first?.choice()?["text"]?.string == "The")
        #expect(echoed.compactMap { $0.choice()?["text"]?.string }.joined() == text.choice()?["text"]?.string)
        try await server.stop()
    }

    @Test func failuresAreErrors() async throws {
        let server = try await server()
        for (endpoint, body, code, param) in [
            (OpenAIEndpoint.chat, Self.messages, "no_chat_template", "messages"),
            (.completions, #""prompt":"x","model":"nobody""#, "model_not_found", "model"),
            (.completions, #""prompt":[[1],[999999]]"#, "token_out_of_range", "prompt"),
            (.completions, #""prompt":"x","guided_choice":["a","a"]"#, "duplicate_choice", "guided_choice"),
        ] as [(OpenAIEndpoint, String, String, String)] {
            let error = try await server.answer(endpoint, body).object("error")
            #expect(error?["code"]?.string == code && error?["param"]?.string == param, "\(body)")
            let chunks = try await server.chunks(endpoint, body)
            #expect(chunks.last?.object("error")?["code"]?.string == code)
        }
        try await server.stop()
    }

    /// The protocol's operation: the same bytes each time, whatever was asked for before.
    @Test func aLineBringsARequestAndItsAnswer() async throws {
        let server = try await server()
        let client = try await server.connect()
        let body = #"{"prompt":["\#(Self.prompt)","The","A"],"max_tokens":5,"logprobs":2,"echo":true}"#
        let line = #"{"op":"openai","id":"a","url":"/v1/completions","body":\#(body)}"# + "\n"
        try await client.send(line)
        let first = await client.line()
        try await client.send(line)
        let again = await client.line()
        #expect(first == again)
        let object = try #require(try JSONValue(parsing: Array((first ?? "").utf8)).object)
        #expect(object["id"]?.string == "a" && object["done"]?.bool == true)
        #expect(object.result?["status_code"]?.int == 200)
        let whole = try #require(object.result?.object("body"))
        #expect(whole["id"]?.string == "cmpl-a" && whole.array("choices")?.count == 3)
        #expect(whole.object("dora")?.members.map(\.key) == ["adapter"])
        for (url, body, status, code) in [
            ("/v1/completions", #"{"prompt":"x","stream":true}"#, 400, "unsupported_value"),
            ("/v1/completions", #"{"prompt":"x","model":"nobody"}"#, 404, "model_not_found"),
            ("/v1/embeddings", "{}", 404, "unknown_url"),
        ] {
            let reply = try await client.ask(#"{"op":"openai","id":1,"url":"\#(url)","body":\#(body)}"#)
            #expect(reply.result?["status_code"]?.int == status)
            #expect(reply.result?.object("body")?.object("error")?["code"]?.string == code)
        }
        #expect(
            try await client.ask(#"{"op":"openai","id":2,"url":"/v1/completions"}"#).errorCode
                == "bad_request")
        try await server.stop()
    }

    @Test func allPromptsOfALineAreCancelled() async throws {
        let server = try await server()
        let client = try await server.connect()
        let body = #"{"prompt":["The","A"],"model":"sentiment","max_tokens":100000,"ignore_eos":true}"#
        try await client.send(
            #"{"op":"openai","id":"a","url":"/v1/completions","body":\#(body)}"# + "\n"
                + #"{"op":"cancel","id":"c","target":"a"}"# + "\n")
        #expect(try await client.object().result?["cancelled"]?.bool == true)
        let reply = try await client.object()
        #expect(reply["id"]?.string == "a" && reply.result?["status_code"]?.int == 499)
        try await server.stop()
    }
}
