import DoraLoader
import DoraRuntime
import DoraText
import Logging
import NIOCore
import Synchronization
import Testing

@testable import DoraServe

/// Answers over HTTP: whole or as they are made, those of the line protocol, and none for who has left.
@Suite struct HTTPCompletionTests {
    private static let bundled = TestServer.fixtures + "/../../models/base"
    private static let prompt =
        #"Instruction: What is the sentiment of this news?\nInput: Tarnholt Foods raises its full-year profit guidance\nAnswer: "#
    /// Some hundred milliseconds.
    private static let long = #""prompt":[1,5,9],"max_tokens":900,"ignore_eos":true"#

    private func server(
        _ settings: HTTPSettings = HTTPSettings(model: "base"),
        _ change: (inout Engine.Options) -> Void = { _ in }
    ) async throws -> TestServer {
        try await TestServer(http: settings, model: Self.bundled) { options in
            let folder = TestServer.fixtures + "/../../models/adapters"
            options.adapters = [("sentiment", folder + "/sentiment"), ("topic", folder + "/topic")]
            options.standard = "sentiment"
            change(&options)
        }
    }

    @Test func theAnswerIsThatOfTheLineProtocol() async throws {
        let server = try await server()
        let (line, client) = (try await server.connect(), try await server.http())
        for (adapter, model) in [("\"sentiment\"", "sentiment"), ("\"topic\"", "topic@1"), ("null", "base")] {
            let expected = try await line.ask(
                #"{"prompt":"\#(Self.prompt)","adapter":\#(adapter),"max_tokens":12}"#)
            let fields = #""model":"\#(model)","prompt":"\#(Self.prompt)","max_tokens":12"#
            let whole = try await client.post("/v1/completions", "{\(fields)}")
            #expect(whole.status == 200 && whole["content-type"] == "application/json")
            let choice = whole.json?["choices"]?.array?.first?.object
            #expect(choice?["text"]?.string == expected["text"]?.string)
            #expect(whole.json?["model"]?.string == model)
            #expect(whole["x-dora-adapter"] == expected["adapter"]?.string)

            try await client.send(RawHTTP.request("POST", "/v1/completions", "{\(fields),\"stream\":true}"))
            let head = await client.head()
            #expect(head?.status == 200 && head?["content-type"] == "text/event-stream")
            #expect(head?["cache-control"] == "no-cache" && head?["x-accel-buffering"] == "no")
            var text = ""
            while let event = await client.event() {
                if event == "[DONE]" { break }
                let object = try JSONValue(parsing: Array(event.utf8)).object
                text += object?["choices"]?.array?.first?.object?["text"]?.string ?? ""
            }
            #expect(text == expected["text"]?.string)
            // The end of the body, so that the connection goes on.
            #expect(await client.chunk() == nil)
        }
        try await server.stop()
    }

    @Test func requestsThatCannotBeAnsweredHaveAStatus() async throws {
        let server = try await server()
        let client = try await server.http()
        for (body, status, code, param) in [
            (#"{"model":"nobody","prompt":"a"}"#, 404, "model_not_found", "model"),
            (#"{"model":"nobody","prompt":"a","stream":true}"#, 404, "model_not_found", "model"),
            (#"{"model":"sentiment@7","prompt":"a"}"#, 404, "model_not_found", "model"),
            (#"{"prompt":"a","n":2,"stream":true}"#, 400, "unsupported_value", "n"),
            (#"{"prompt":"a","max_tokens":-1}"#, 400, "invalid_value", "max_tokens"),
            (#"{"prompt":"a","prompt":"b"}"#, 400, "invalid_json", nil),
            (#"{"prompt":"\ud800"}"#, 400, "invalid_json", nil),
            ("[1]", 400, "invalid_json", nil), ("", 400, "invalid_json", nil),
            ("{", 400, "invalid_json", nil),
            (String(repeating: "[", count: 100_000), 400, "invalid_json", nil),
            (
                #"{"prompt":\#([Int](repeating: 5, count: 1025)),"stream":true}"#, 400,
                "context_length_exceeded",
                "prompt"
            ),
            (#"{"prompt":[100000]}"#, 400, "token_out_of_range", "prompt"),
        ] as [(String, Int, String, String?)] {
            let reply = try await client.post("/v1/completions", body)
            #expect(reply.status == status && reply.code == code, "\(body.prefix(60)): \(reply.text)")
            #expect(reply.error?["param"]?.string == param, "\(body.prefix(60)): \(reply.text)")
        }
        // The names that there are.
        let lost = try await client.post("/v1/completions", #"{"model":"nobody","prompt":"a"}"#)
        #expect(lost.error?["message"]?.string?.contains("topic") == true)
        // Without a template a chat is none, and the answer says what works.
        let chat = try await client.post(
            "/v1/chat/completions", #"{"messages":[{"role":"user","content":"a"}]}"#)
        #expect(chat.status == 400 && chat.code == "no_chat_template")
        // What has no effect is named.
        let warm = try await client.post(
            "/v1/completions", #"{"prompt":"a","max_tokens":1,"temperature":0.7,"fancy":1}"#)
        #expect(warm.status == 200 && warm["x-dora-ignored"]?.contains("temperature") == true)
        // A header for balancers says the same as the body, or nothing is answered.
        let torn = try await client.post(
            "/v1/completions", #"{"model":"topic","prompt":"a"}"#, ["X-Dora-Adapter: sentiment"])
        #expect(torn.status == 400)
        try await server.stop()
    }

    @Test(arguments: [true, false]) func whoLeavesIsNotComputedFor(streams: Bool) async throws {
        let server = try await server { $0.maximumSequences = 1 }
        let body = "{\(Self.long),\"stream\":\(streams)}"
        let (running, queued) = (try await server.http(), try await server.http())
        async let first = EngineHold(server.state.engine) { $0.running == 1 }
        try await running.send(RawHTTP.request("POST", "/v1/completions", body))
        let hold = await first
        try await queued.send(RawHTTP.request("POST", "/v1/completions", body))
        #expect(await hold.waiting(1))
        let both = await hold.next { $0.queued == 1 }
        try await queued.channel.close()
        // Saying that nothing more comes is leaving, too.
        try await running.channel.close(mode: .output)
        #expect(await eventually { server.state.connectionCount == 0 })
        both.release()
        #expect(await eventually { await server.statistics().cancelled == 2 })
        let after = await server.statistics()
        #expect(after.running == 0 && after.queued == 0 && after.finished == 0)
        #expect(after.steps <= both.statistics.steps + 1)
        try await server.stop()
    }

    @Test func aSilentStreamSaysThatItLives() async throws {
        var settings = HTTPSettings(model: "base")
        settings.limits.ping = .milliseconds(50)
        let server = try await server(settings)
        let client = try await server.http()
        // While the engine stands still, the request waits; the status goes out with the first sign of life.
        let hold = await EngineHold(server.state.engine)
        try await client.send(
            RawHTTP.request("POST", "/v1/completions", #"{"prompt":[1,2],"max_tokens":2,"stream":true}"#))
        #expect(await client.head()?.status == 200)
        // Several, if the connection is behind.
        #expect(await client.chunk()?.starts(with: Array(": ping\n\n".utf8)) == true)
        hold.release()
        while let event = await client.event(), event != "[DONE]" {}
        #expect(await client.chunk() == nil)
        try await server.stop()
    }

    /// Its reply ends with the connection, whoever made it having gone long before.
    @Test func aStreamThatNobodyReadsEndsWithItsClient() async throws {
        var limits = ConnectionLimits()
        limits.maximumUnsent = 64 << 20
        let lines = Mutex([String]())
        let logger = Logger(label: "test") { _ in LineHandler { line in lines.withLock { $0.append(line) } } }
        let server = try await TestServer(limits: limits, logger: logger, model: Self.bundled)
        let client = try await server.http(reads: false)
        // More than the buffers of both ends hold.
        let prompts = [[Int]](repeating: [1], count: 16)
        let fields = #""max_tokens":600,"ignore_eos":true,"logprobs":20,"stream":true"#
        try await client.send(RawHTTP.request("POST", "/v1/completions", "{\"prompt\":\(prompts),\(fields)}"))
        #expect(await eventually { await server.statistics().finished == 16 })
        #expect(!lines.withLock { $0.contains("info http") })
        try await client.channel.close()
        #expect(await eventually { lines.withLock { $0.contains("info http") } })
        try await server.stop()
    }

    @Test func severalPromptsAreOneReply() async throws {
        let server = try await server()
        let client = try await server.http()
        let body = #""prompt":["a","b","c"],"max_tokens":2,"ignore_eos":true"#
        let reply = try await client.post("/v1/completions", "{\(body)}")
        let choices = reply.json?["choices"]?.array?.compactMap(\.object) ?? []
        #expect(choices.map { $0["index"]?.int } == [0, 1, 2])
        #expect(reply.json?["usage"]?.object?["completion_tokens"]?.int == 6)
        let times = reply["server-timing"]?.split(separator: ",").map { $0.prefix { $0 != ";" } } ?? []
        #expect(times == ["queue", " merge", " prefill", " decode"])
        try await client.send(
            RawHTTP.request(
                "POST", "/v1/completions",
                "{\(body),\"stream\":true,\"stream_options\":{\"include_usage\":true}}"))
        _ = await client.head()
        var texts = ["", "", ""]
        var usage: Int?
        while let event = await client.event(), event != "[DONE]" {
            let object = try JSONValue(parsing: Array(event.utf8)).object
            usage = object?["usage"]?.object?["completion_tokens"]?.int ?? usage
            guard let choice = object?["choices"]?.array?.first?.object, let index = choice["index"]?.int
            else { continue }
            texts[index] += choice["text"]?.string ?? ""
        }
        #expect(texts == choices.map { $0["text"]?.string ?? "-" } && usage == 6)
        try await server.stop()
    }

    @Test func aFullQueueSaysWhenToComeBack() async throws {
        let server = try await server {
            $0.maximumSequences = 1
            $0.maximumQueue = 1
        }
        let (first, second, third) = (
            try await server.http(), try await server.http(), try await server.http()
        )
        async let running = EngineHold(server.state.engine) { $0.running == 1 }
        try await first.send(RawHTTP.request("POST", "/v1/completions", "{\(Self.long)}"))
        let hold = await running
        try await second.send(RawHTTP.request("POST", "/v1/completions", "{\(Self.long)}"))
        #expect(await hold.waiting(1))
        let reply = try await hold.slowly {
            try await third.post("/v1/completions", "{\(Self.long),\"stream\":true}")
        }
        #expect(reply.status == 429 && reply.error?["type"]?.string == "rate_limit_error")
        #expect(reply["retry-after"].flatMap { Int($0) }.map { 1...30 ~= $0 } == true)
        try await second.channel.close()
        #expect(await first.reply()?.status == 200)
        try await server.stop()
    }
}
