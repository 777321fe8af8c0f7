import DoraLoader
import DoraTensor
import DoraText
import Foundation
import Testing

@testable import DoraRuntime
@testable import DoraServe

/// Scores over the line protocol.
@Suite struct ScoreTests {
    private static let models = TestServer.fixtures + "/../../models"
    private static let prompt = """
        Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.
        Input: News from Lima: the board of Marawick Mining is ordered to pay $32 million in damages by a jury
        Answer:\(" ")
        """
    private static let labels = ["negative", "neutral", "positive"]

    private func server(_ change: (inout Engine.Options) -> Void = { _ in }) async throws -> TestServer {
        try await TestServer(model: Self.models + "/base") { options in
            options.adapters = ["sentiment", "topic"].map { ($0, Self.models + "/adapters/" + $0) }
            options.standard = "sentiment"
            change(&options)
        }
    }

    /// What `dora-generate --score` gives, of each continuation as one text with the prompt.
    private func scores(
        _ server: TestServer, _ adapter: String?, _ ids: [Int], top: Int = 0
    ) throws -> [TokenLogprob] {
        let folder = adapter.map { Self.models + "/adapters/" + $0 }
        return try Generator(
            server.base.configuration, weights: server.weights(folder), eosIDs: [], tokenizer: nil,
            keyValues: .f16, on: server.compute
        ).score(ScoreRequest(prompt: ids, top: top)).lists[0]
    }

    private func ids(_ server: TestServer, _ text: String, special: Bool) throws -> [Int] {
        try #require(server.tokenizer).encode(text, addingSpecialTokens: special)
    }

    private func logprobs(_ list: [TokenLogprob]) -> [Double] {
        list.flatMap { [$0.logprob] + $0.top.map(\.logprob) }
    }

    @Test func aPromptsTokensAreScoredByTheAdapterThatIsNamed() async throws {
        let server = try await server()
        let client = try await server.connect()
        let prompt = try Self.prompt.jsonLine
        let ids = try ids(server, Self.prompt, special: true)
        for (field, adapter) in [
            ("", "sentiment"), (#","adapter":"topic""#, "topic"), (#","adapter":null"#, nil),
        ] {
            let reply = try await client.ask(
                #"{"id":"s","score":true,"prompt":\#(prompt),"logprobs":2\#(field)}"#)
            let expected = try scores(server, adapter, ids, top: 2)
            #expect(reply["id"]?.string == "s" && reply["adapter"]?.string == adapter.map { "\($0)@1" })
            #expect(reply.tokenIDs == ids)
            #expect(reply.logprobs == logprobs(expected) && reply.logprobs.count == 3 * (ids.count - 1))
            #expect(reply["sum"]?.double == expected.reduce(0) { $0 + $1.logprob })
            #expect(reply["finish_reason"]?.string == "scored")
            let usage = reply["usage"]?.object
            #expect(usage?["prompt_tokens"]?.int == ids.count)
            #expect(usage?["scored_tokens"]?.int == ids.count - 1)
        }
        try await server.stop()
    }

    /// A classifier: the likeliest label is the answer, and each has the bits of its own text.
    @Test func continuationsAreScoredOverOnePrompt() async throws {
        let server = try await server()
        let client = try await server.connect()
        let prompt = try Self.prompt.jsonLine
        let ids = try ids(server, Self.prompt, special: true)
        let answer = try await client.ask(#"{"prompt":\#(prompt)}"#)["text"]?.string
        for adapter in ["sentiment", "topic"] {
            let reply = try await client.ask(
                #"{"prompt":\#(prompt),"continuations":\#(Self.labels),"adapter":"\#(adapter)"}"#)
            #expect(reply.tokenIDs == ids)
            let found = try #require(reply["continuations"]?.array).compactMap(\.object)
            try #require(found.count == 3)
            for (label, found) in zip(Self.labels, found) {
                let tokens = try self.ids(server, label, special: false)
                let expected = try scores(server, adapter, ids + tokens).suffix(tokens.count)
                #expect(found.tokenIDs == tokens)
                #expect(found.logprobs == expected.map(\.logprob))
                #expect(found["sum"]?.double == expected.reduce(0) { $0 + $1.logprob })
            }
            guard adapter == "sentiment" else { continue }
            let sums = found.compactMap { $0["sum"]?.double }
            #expect(answer == zip(sums, Self.labels).max { $0.0 < $1.0 }?.1)
        }
        // The same as ids.
        let tokens = try Self.labels.map { try self.ids(server, $0, special: false) }
        let first = try await client.ask(#"{"prompt":\#(prompt),"continuations":\#(Self.labels)}"#)
        let second = try await client.ask(#"{"token_ids":\#(ids),"continuations":\#(tokens)}"#)
        #expect(first["continuations"] == second["continuations"])
        // What an earlier request has left of the prompt is not computed again.
        let long = #"{"token_ids":\#(ids + ids),"continuations":\#(tokens)}"#
        let (computed, reused) = (try await client.ask(long), try await client.ask(long))
        #expect(reused["usage"]?.object?["cached_tokens"]?.int == ids.count * 2 - 1)
        #expect(computed["continuations"] == reused["continuations"])
        try await server.stop()
    }

    @Test func whatCannotBeScoredIsRefusedAndTheConnectionGoesOn() async throws {
        let server = try await server { $0.maximumQueue = 1 }
        let client = try await server.connect()
        for (line, code, param) in [
            (#"{"score":true,"prompt":"","no_special":true}"#, "empty_prompt", "prompt"),
            (#"{"prompt":"a","continuations":["b",""]}"#, "empty_continuation", "continuations"),
            (#"{"prompt":"a","continuations":[[99999]]}"#, "token_out_of_range", "continuations"),
            (
                #"{"token_ids":\#([Int](repeating: 5, count: 1024)),"continuations":[[1]]}"#,
                "prompt_too_long", "continuations"
            ),
            (#"{"score":true,"prompt":"a","adapter":"none"}"#, "unknown_adapter", "adapter"),
            (
                #"{"score":true,"token_ids":\#([Int](repeating: 5, count: 1000)),"logprobs":1000}"#,
                "too_many_logprobs", "logprobs"
            ),
        ] as [(String, String, String)] {
            let error = try await client.ask(line)["error"]?.object
            #expect(error?["code"]?.string == code && error?["param"]?.string == param, "\(line.prefix(60))")
            #expect(error?["type"]?.string == (code == "unknown_adapter" ? "not_found" : "invalid_request"))
        }
        #expect(try await client.ask(#"{"op":"ping"}"#).result?["pong"]?.bool == true)
        try await server.stop()
    }

    @Test func aModelWithoutATokenizerScoresIDs() async throws {
        let server = try await TestServer()
        let client = try await server.connect()
        #expect(
            try await client.ask(#"{"token_ids":[1],"continuations":["a"]}"#).errorCode == "bad_prompt")
        let reply = try await client.ask(#"{"token_ids":[1],"continuations":[[2],[3,4]]}"#)
        let counts = reply["continuations"]?.array?.map { $0.object?.tokenIDs.count }
        #expect(counts == [1, 2])
        try await server.stop()
    }

    @Test func aScoreCanBeCancelled() async throws {
        let server = try await server()
        let client = try await server.connect()
        let many = (0..<900).map { [Int](repeating: $0, count: 100) }
        try await client.send(
            #"{"id":1,"token_ids":[5],"continuations":\#(many)}"# + "\n"
                + #"{"id":2,"op":"cancel","target":1}"# + "\n")
        var ends: [JSONObject] = []
        for _ in 0..<2 { ends.append(try await client.object()) }
        let score = try #require(ends.first { $0["id"]?.int == 1 })
        #expect(score["finish_reason"]?.string == "cancelled" && score["continuations"] == nil)
        #expect(ends.contains { $0.result?["cancelled"]?.bool == true })
        #expect(try await client.ask(#"{"op":"ping"}"#).errorCode == nil)
        try await server.stop()
    }
}
