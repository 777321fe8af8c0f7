import DoraLoader
import DoraRuntime
import DoraText
import FoundationEssentials
import NIOCore
import Testing

@testable import DoraServe

/// Requests over both protocols at once, streamed or not, some given up half-way: each gets the bytes that it gets alone.
@Suite struct HTTPInterleavingTests {
    private static let folders = [
        "dora-qkv", "dora-all-linear", "lora-plain", "dora-patterns", "dora-rslora", "dora-rank-37",
    ]

    private struct Question: Hashable {
        let adapter: String?
        let prompt: [Int]
        let count: Int
    }

    @Test func noProtocolSeesTheOther() async throws {
        let server = try await TestServer { options in
            options.root = try? AdapterRoot(TestServer.fixtures + "/adapters")
            options.maximumSequences = 6
            options.keyValueBytes = 8 << 20
            // Room for some of them: the others are evicted and come back.
            options.adapterBytes = 1_100_000
        }
        let answers = try await withThrowingTaskGroup(of: [(Question, [Int])].self) { group in
            for client in 0..<24 {
                group.addTask { try await Self.ask(server, as: client) }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(answers.count > 80)
        var alone: [Question: [Int]] = [:]
        var weights: [String?: ModelWeights] = [nil: server.base.weights]
        for folder in Self.folders {
            weights[folder] = try server.weights(TestServer.fixtures + "/adapters/" + folder)
        }
        for (question, ids) in answers {
            let model = try #require(weights[question.adapter])
            let expected =
                try alone[question]
                ?? server.alone(question.prompt, model, maximumTokens: question.count).tokenIDs
            alone[question] = expected
            #expect(ids == expected, "\(question)")
        }
        // Nothing of those who left is left.
        #expect(await eventually { server.state.connectionCount == 0 })
        let statistics = await server.statistics()
        #expect(statistics.running == 0 && statistics.queued == 0)
        #expect(statistics.waitingForAdapter == 0 && statistics.keptKeyValueBytes == 0)
        try await server.stop()
    }

    private static func ask(_ server: TestServer, as client: Int) async throws -> [(Question, [Int])] {
        var random = SeededGenerator(seed: UInt64(client))
        var answers: [(Question, [Int])] = []
        var http = try await server.http()
        let line = try await server.connect()
        for number in 0..<6 {
            let question = Question(
                adapter: Int.random(in: 0..<6, using: &random) == 0
                    ? nil : folders.randomElement(using: &random),
                prompt: [Int](repeating: 1 + client % 2, count: 66) + [
                    Int.random(in: 0..<128, using: &random)
                ],
                count: Int.random(in: 1...24, using: &random))
            let fields =
                #""prompt":\#(question.prompt),"max_tokens":\#(question.count),"ignore_eos":true,"return_token_ids":true,"model":"\#(question.adapter ?? "base")""#
            switch (client + number) % 4 {
            case 0:
                let adapter = question.adapter.map { "\"\($0)\"" } ?? "null"
                let reply = try await line.ask(
                    #"{"id":\#(number),"token_ids":\#(question.prompt),"adapter":\#(adapter),"max_tokens":\#(question.count),"ignore_eos":true}"#
                )
                if reply.errorCode == nil { answers.append((question, reply.tokenIDs)) }
            case 1:
                let reply = try await http.post("/v1/completions", "{\(fields)}")
                #expect(reply.status == 200 || reply.status == 429)
                let choice = reply.json?["choices"]?.array?.first?.object
                if reply.status == 200 { answers.append((question, choice?.tokenIDs ?? [])) }
            case 2:
                try await http.send(RawHTTP.request("POST", "/v1/completions", "{\(fields),\"stream\":true}"))
                guard let head = await http.head() else { throw CancellationError() }
                if head.status != 200 {
                    http = try await server.http()
                    continue
                }
                var ids: [Int] = []
                while let event = await http.event(), event != "[DONE]" {
                    let object = try JSONValue(parsing: Array(event.utf8)).object
                    ids += object?["choices"]?.array?.first?.object?.tokenIDs ?? []
                }
                _ = await http.chunk()
                answers.append((question, ids))
            default:
                // Given up, somewhere on the way.
                try await http.send(RawHTTP.request("POST", "/v1/completions", "{\(fields),\"stream\":true}"))
                try await Task.sleep(for: .microseconds(Int.random(in: 0...20_000, using: &random)))
                try? await http.channel.close()
                http = try await server.http()
            }
        }
        return answers
    }
}
