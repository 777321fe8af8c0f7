import DoraLoader
import DoraRuntime
import DoraText
import FoundationEssentials
import Synchronization
import Testing

@testable import DoraServe

/// Requests over many adapters and connections, while adapters are loaded, replaced and unloaded: each gets exactly
/// what it gets alone on the generation that its reply names.
@Suite struct InterleavingTests {
    private static let folders = [
        "dora-qkv", "dora-all-linear", "dora-embed-head", "lora-plain", "dora-patterns", "dora-rslora",
        "lora-bias-b", "dora-save-norm", "dora-tokens", "dora-rank-37", "dora-exclude", "dora-head",
    ].flatMap { folder in [Content(folder: folder, form: .merged), Content(folder: folder, form: .factored)] }

    fileprivate struct Content: Hashable, Sendable {
        let folder: String
        let form: StorageOptions.Form
    }

    @Test func noRequestSeesAnothersAdapter() async throws {
        let server = try await TestServer { options in
            options.root = try? AdapterRoot(TestServer.fixtures + "/adapters")
            options.maximumSequences = 6
            options.keyValueBytes = 8 << 20
            // Room for about half of them: the rest are evicted and come back.
            options.adapterBytes = 500_000
        }
        let contents = Contents()
        let names = (0..<8).map { "a\($0)" }

        @Sendable func load(_ name: String, _ content: Content?, _ client: TestConnection) async throws {
            guard let content else { return }
            let reply = try await client.ask(
                #"{"id":"load","op":"load","name":"\#(name)","path":"\#(content.folder)","form":"\#(content.form.rawValue)","replace":true}"#
            )
            if let identity = reply.result?["adapter"]?.string {
                contents.set(identity, content)
            } else {
                // All others are in use: fair enough.
                #expect(reply.errorCode == "adapters_busy" || reply.errorCode == "loading")
            }
        }
        let manager = try await server.connect()
        for (index, name) in names.enumerated() {
            try await load(name, Self.folders[3 * index % Self.folders.count], manager)
        }

        struct Answer: Sendable {
            let adapter: String?
            let prompt: [Int]
            let count: Int
            let tokenIDs: [Int]
            let logprobs: [Double]
        }
        let answers = try await withThrowingTaskGroup(of: [Answer].self) { group in
            for connection in 0..<32 {
                group.addTask {
                    var random = SeededGenerator(seed: UInt64(connection))
                    let client = try await server.connect()
                    var answers: [Answer] = []
                    for number in 0..<7 {
                        let other = names.randomElement(using: &random) ?? names[0]
                        if number == 2 || number == 4 {
                            try await load(other, Self.folders.randomElement(using: &random), client)
                        } else if number == 5 {
                            _ = try await client.ask(#"{"id":"u","op":"unload","name":"\#(other)"}"#)
                        }
                        let beginning = [Int](repeating: Int.random(in: 1...2, using: &random), count: 66)
                        let prompt =
                            beginning
                            + (0..<Int.random(in: 1...20, using: &random)).map { _ in
                                Int.random(in: 0..<128, using: &random)
                            }
                        let count = Int.random(in: 1...16, using: &random)
                        let name = names.randomElement(using: &random).map { "\"\($0)\"" } ?? "null"
                        let adapter = Int.random(in: 0..<9, using: &random) == 0 ? "null" : name
                        let reply = try await client.ask(
                            #"{"id":\#(number),"token_ids":\#(prompt),"adapter":\#(adapter),"max_tokens":\#(count),"ignore_eos":true,"logprobs":2}"#
                        )
                        if let code = reply.errorCode {
                            #expect(code == "adapters_busy")
                            continue
                        }
                        answers.append(
                            Answer(
                                adapter: reply["adapter"]?.string, prompt: prompt, count: count,
                                tokenIDs: reply.tokenIDs, logprobs: reply.logprobs))
                    }
                    return answers
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }

        // A load that was unloaded while it ran may have made a generation that no reply has named; all its answers
        // must still be those of one folder.
        var weights: [Content?: ModelWeights] = [nil: server.base.weights]
        for folder in Self.folders {
            weights[folder] = try server.weights(
                TestServer.fixtures + "/adapters/" + folder.folder, as: folder.form)
        }
        for answer in answers {
            let known: [Content?] = answer.adapter.map { contents[$0].map { [$0] } ?? Self.folders } ?? [nil]
            let fitting = try known.first { folder in
                guard let model = weights[folder] else { return false }
                let alone = try server.alone(answer.prompt, model, maximumTokens: answer.count)
                return answer.tokenIDs == alone.tokenIDs
                    && answer.logprobs == alone.logprobs.flatMap { [$0.logprob] + $0.top.map(\.logprob) }
            }
            #expect(fitting != nil, "\(answer.adapter ?? "base") is \(known)")
            if let adapter = answer.adapter, let folder = fitting ?? nil { contents.set(adapter, folder) }
        }
        #expect(answers.count > 100)
        #expect(Set(answers.map(\.adapter)).count > 10, "\(contents.count) generations")

        // Everything unloaded: no adapter's bytes are left.
        for name in names { _ = try await manager.ask(#"{"id":"u","op":"unload","name":"\#(name)"}"#) }
        let statistics = await server.statistics()
        #expect(statistics.adapterBytes == 0 && statistics.running == 0 && statistics.queued == 0)
        #expect(statistics.cachedTokens > 0 && statistics.evictions > 0)
        try await server.stop()
    }
}

/// Which folder each generation was loaded from.
private final class Contents: Sendable {
    private let folders = Mutex<[String: InterleavingTests.Content]>([:])

    func set(_ identity: String, _ folder: InterleavingTests.Content) {
        folders.withLock { $0[identity] = folder }
    }
    var count: Int { folders.withLock { $0.count } }
    subscript(identity: String) -> InterleavingTests.Content? { folders.withLock { $0[identity] } }
}

/// SplitMix64: the same numbers every time.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9 &+ 1 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
