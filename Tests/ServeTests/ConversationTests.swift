import DoraLoader
import DoraRuntime
import DoraText
import Testing

@testable import DoraServe

/// What a client sees on the line.
@Suite struct ConversationTests {
    /// The bundled model: it has a tokenizer.
    private static let bundled = TestServer.fixtures + "/../../models/base"
    private static let prompt =
        #"Instruction: What is the sentiment of this news?\nInput: News from Lima: the board of Marawick Mining is ordered to pay $32 million in damages by a jury\nAnswer: "#

    private func server(_ limits: ConnectionLimits = ConnectionLimits(), token: String? = nil) async throws
        -> TestServer
    {
        try await TestServer(limits: limits, token: token, model: Self.bundled) { options in
            let folder = TestServer.fixtures + "/../../models/adapters"
            options.adapters = [("sentiment", folder + "/sentiment"), ("topic", folder + "/topic")]
            options.standard = "sentiment"
        }
    }

    @Test func plainLinesAreAnsweredInOrderByOneLineEach() async throws {
        let server = try await server()
        let client = try await server.connect()
        try await client.send("\(Self.prompt)\n\nbad \\x escape\r\n\(Self.prompt)\n")
        try await client.finish()
        #expect(await client.line() == "negative")
        #expect(await client.line()?.hasPrefix("!bad_escape: byte 4") == true)
        #expect(await client.line() == "negative")
        // The end of the input is no cancel; then the server closes.
        #expect(await client.line() == nil)
        try await server.stop()
    }

    @Test func piecesMakeUpTheText() async throws {
        let server = try await server()
        let client = try await server.connect()
        try await client.send(
            #"{"id":"a","prompt":"\#(Self.prompt)","adapter":null,"stream":true,"max_tokens":12}"# + "\n")
        var text = ""
        var ids: [Int] = []
        while true {
            let line = try await client.object()
            #expect(line["id"]?.string == "a")
            if line["done"]?.bool == true {
                #expect(line["text"]?.string == text)
                #expect(line.tokenIDs.starts(with: ids))
                break
            }
            text += line["text"]?.string ?? ""
            ids += line.tokenIDs
        }
        try await server.stop()
    }

    /// Whether a prompt comes as a JSON string or as a plain line, it has the ids that transformers gives it
    /// (`Tests/Fixtures/make/prompt_fixtures.py`).
    @Test func nothingOfAPromptIsLost() async throws {
        let server = try await server()
        let client = try await server.connect()
        let prompts = try ReferencePrompt.all().filter { $0.tokenizer == "models/base" }
        try #require(prompts.count > 15)
        let rest = #""max_tokens":3,"ignore_eos":true,"logprobs":2}"#
        for prompt in prompts {
            for (ids, isSpecial) in [(prompt.ids, false), (prompt.idsWithSpecial, true)] {
                guard let ids else { continue }
                let asked = try await client.ask(
                    #"{"prompt":\#(try prompt.text.jsonLine),"no_special":\#(!isSpecial),\#(rest)"#)
                let expected = try await client.ask(#"{"token_ids":\#(ids),\#(rest)"#)
                #expect(asked["usage"]?.object?["prompt_tokens"]?.int == ids.count)
                #expect(asked.logprobs == expected.logprobs && asked.logprobs.count == 9)
            }
            guard let ids = prompt.idsWithSpecial, !prompt.text.hasPrefix("{") else { continue }
            let before = await server.statistics().promptTokens
            try await client.send(PlainText.escape(prompt.text).replacing(/^\\!/, with: "!") + "\n")
            let answer = await client.line()
            #expect(
                await server.statistics().promptTokens - before == ids.count,
                "\(prompt.text.debugDescription)")
            let expected = try await client.ask(#"{"token_ids":\#(ids)}"#)["text"]?.string
            #expect(answer == expected.map(PlainText.escape))
        }
        try await server.stop()
    }

    @Test func everyRequestNamesItsAdapterAndGetsIt() async throws {
        let server = try await server()
        let client = try await server.connect()
        let asked = [
            ("", "sentiment@1"), (#","adapter":"topic""#, "topic@1"), (#","adapter":null"#, nil),
            ("", "sentiment@1"),
        ]
        for (adapter, expected) in asked {
            let reply = try await client.ask(
                #"{"id":1,"prompt":"\#(Self.prompt)","max_tokens":3\#(adapter)}"#)
            #expect(reply["adapter"]?.string == expected)
        }
        try await server.stop()
    }

    @Test func badLinesAreAnsweredAndTheConnectionGoesOn() async throws {
        var limits = ConnectionLimits()
        limits.maximumLine = 2000
        let server = try await server(limits)
        let client = try await server.connect()
        #expect(try await client.ask("{nonsense").errorCode == "bad_json")
        #expect(
            try await client.ask(#"{"id":1,"prompt":"a","adapter":"none"}"#).errorCode == "unknown_adapter")
        #expect(try await client.ask(#"{"id":1,"token_ids":[99999]}"#).errorCode == "token_out_of_range")
        #expect(
            try await client.ask(#"{"id":1,"prompt":"a","stop_token_ids":[3,99999]}"#).errorCode
                == "token_out_of_range")
        #expect(try await client.ask(#"{"id":1,"prompt":"","no_special":true}"#).errorCode == "empty_prompt")
        #expect(
            try await client.ask(#"{"id":1,"token_ids":[\#(String(repeating: "1,", count: 900))1]}"#)
                .errorCode == nil)
        try await client.send(String(decoding: [0xFF, 0x0A] as [UInt8], as: UTF8.self))
        #expect(await client.line() != nil)
        #expect(try await client.ask(#"{"op":"ping"}"#).result?["pong"]?.bool == true)
        // Only a line that is too long ends the conversation.
        #expect(try await client.ask(String(repeating: "x", count: 3000)).errorCode == "line_too_long")
        #expect(await client.line() == nil)
        try await server.stop()
    }

    @Test func aPromptBeyondTheContextIsRefused() async throws {
        let server = try await server()
        let client = try await server.connect()
        let ids = String(repeating: "5,", count: 1024) + "5"
        #expect(try await client.ask(#"{"id":1,"token_ids":[\#(ids)]}"#).errorCode == "prompt_too_long")
        try await server.stop()
    }

    @Test func aRequestCanBeCancelledAndAnIDIsUsedOnceAtATime() async throws {
        let server = try await server()
        let client = try await server.connect()
        let long = #"{"id":1,"prompt":"a","adapter":null,"max_tokens":900,"ignore_eos":true}"#
        try await client.send("\(long)\n\(long)\n" + #"{"id":2,"op":"cancel","target":1}"# + "\n")
        var codes: [String] = []
        for _ in 0..<3 {
            let line = try await client.object()
            codes.append(
                line.errorCode ?? line["finish_reason"]?.string
                    ?? "\(line.result?["cancelled"]?.bool ?? false)")
        }
        #expect(Set(codes) == ["duplicate_id", "true", "cancelled"])
        try await server.stop()
    }

    /// Nothing more is read from a connection that has as much in flight as it may.
    @Test func aConnectionThatSendsTooMuchIsReadLater() async throws {
        var limits = ConnectionLimits()
        limits.maximumInFlight = 2
        let server = try await server(limits)
        let client = try await server.connect()
        for number in 0..<40 {
            try await client.send(
                #"{"id":\#(number),"prompt":"a","adapter":null,"max_tokens":30,"ignore_eos":true}"# + "\n")
        }
        var ids: Set<Int> = []
        while ids.count < 40 {
            let statistics = await server.statistics()
            #expect(statistics.running + statistics.queued <= 2)
            ids.insert(try #require(try await client.object()["id"]?.int))
        }
        #expect(ids == Set(0..<40))
        try await server.stop()
    }

    /// A client cannot make the server keep any number of replies that wait for the one before them.
    @Test func plainLinesBehindAnUnansweredOneAreReadLater() async throws {
        let server = try await server()
        let client = try await server.connect()
        let bad = String(repeating: "\\x\n", count: 1500)
        try await client.send("\(Self.prompt)\n\(bad)" + #"{"op":"ping"}"# + "\n")
        #expect(await client.line() == "negative")
        for _ in 0..<1500 { #expect(await client.line()?.hasPrefix("!bad_escape") == true) }
        #expect(await client.line()?.contains("pong") == true)
        try await server.stop()
    }

    @Test func aLineThatNeverEndsEndsTheConnection() async throws {
        var limits = ConnectionLimits()
        limits.readTimeout = .milliseconds(300)
        let server = try await server(limits)
        let client = try await server.connect()
        // However steadily its bytes come.
        for _ in 0..<600 where server.state.connectionCount > 0 {
            try? await client.send("x")
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(server.state.connectionCount == 0)
        try await server.stop()
    }

    /// Bytes that nobody reads must not make the system reset the connection before the error has arrived.
    @Test func whoSendsFarTooMuchStillReadsWhy() async throws {
        var limits = ConnectionLimits()
        limits.maximumLine = 2000
        let server = try await server(limits)
        let client = try await server.connect()
        #expect(
            try await client.ask(String(repeating: "x", count: 4_000_000)).errorCode == "line_too_long")
        #expect(await client.line() == nil)
        try await server.stop()
    }

    @Test func aStrangerMustShowTheToken() async throws {
        let server = try await server(token: "open sesame")
        let plain = try await server.connect()
        try await plain.send("hello there\n")
        #expect(await plain.line()?.hasPrefix("!unauthorized: ") == true)
        #expect(await plain.line() == nil)
        for line in [#"{"op":"ping"}"#, #"{"op":"hello","token":"open sesam"}"#] {
            let client = try await server.connect()
            #expect(try await client.ask(line).errorCode == "unauthorized")
            #expect(await client.line() == nil)
        }
        let client = try await server.connect()
        #expect(try await client.ask(#"{"op":"hello","token":"open sesame"}"#).result?["protocol"]?.int == 1)
        #expect(try await client.ask(#"{"op":"ready"}"#).result?["ready"]?.bool == true)
        try await server.stop()
    }

    @Test func aBrowserIsShownTheDoor() async throws {
        let server = try await server()
        let client = try await server.connect()
        try await client.send("POST /x HTTP/1.1\r\nHost: a\r\n\r\n{\"op\":\"drain\"}\n")
        #expect(await client.line() == nil)
        #expect(!server.state.isDraining)
        try await server.stop()
    }

    @Test func tooManyConnectionsAreToldSo() async throws {
        var limits = ConnectionLimits()
        limits.maximumConnections = 1
        let server = try await server(limits)
        let first = try await server.connect()
        #expect(try await first.ask(#"{"op":"ping"}"#).errorCode == nil)
        let second = try await server.connect()
        #expect(try await second.object().errorCode == "busy")
        #expect(await second.line() == nil)
        try await server.stop()
    }

    @Test func aDrainFinishesWhatRunsAndTakesNothingNew() async throws {
        let server = try await server()
        let (running, idle) = (try await server.connect(), try await server.connect())
        #expect(try await idle.ask(#"{"op":"ping"}"#).errorCode == nil)
        try await running.send(
            #"{"id":1,"prompt":"a","adapter":null,"max_tokens":600,"ignore_eos":true,"stream":true}"# + "\n")
        _ = await running.line()
        try await running.send(#"{"id":2,"op":"drain"}"# + "\n")
        #expect(await idle.line() == nil)
        var ends: [String] = []
        while let line = await running.line() {
            if line.contains(#""done":true"#) { ends.append(line) }
        }
        #expect(ends.contains { $0.contains(#""finish_reason":"length""#) })
        try await server.end()
    }
}
