import DoraLoader
import DoraText
import Foundation
import Testing

@testable import DoraRuntime

@Suite struct AdapterRootTests {
    @Test func onlyAdaptersInsideTheRootAreFound() throws {
        let root = try AdapterRoot(Fixtures.path("adapters"))
        #expect(root.names().contains("dora-qkv"))
        #expect(try root.folder("dora-qkv")?.hasSuffix("/adapters/dora-qkv") == true)
        #expect(try root.folder("nothing") == nil)
        for path in ["..", "../bases/gqa-f32", "/etc", "dora-qkv/..", "", ".", "a//b", "dora-qkv/"] {
            #expect(throws: EngineError.self, "\(path)") { try root.folder(path) }
        }
    }

    /// A trainer's output under the root is no adapter; its checkpoints are.
    @Test func aFolderThatOnlyHoldsAdaptersPointsAtThem() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for number in [1000, 500] {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/out", withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                atPath: Fixtures.path("adapters/dora-qkv"), toPath: "\(folder)/out/checkpoint-\(number)")
        }
        try FileManager.default.createSymbolicLink(
            atPath: folder + "/link", withDestinationPath: "\(folder)/out/checkpoint-500")
        try FileManager.default.createSymbolicLink(
            atPath: folder + "/away", withDestinationPath: Fixtures.path("adapters/dora-qkv"))
        let root = try AdapterRoot(folder)
        #expect {
            try root.folder("out")
        } throws: { error in
            let error = error as? EngineError
            return error?.code == "unknown_adapter"
                && error?.message.contains("out/checkpoint-500, out/checkpoint-1000") == true
        }
        #expect(try root.folder("out/checkpoint-500")?.hasSuffix("/out/checkpoint-500") == true)
        #expect(root.names() == ["link"])
    }

    /// What they name is read when somebody asks for it: here it could not be.
    @Test func namesAreListedWithoutReadingAdapters() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for number in 0..<10_000 {
            let adapter = "\(folder)/adapter-\(number)"
            try FileManager.default.createDirectory(atPath: adapter, withIntermediateDirectories: true)
            if number.isMultiple(of: 2) {
                try Data().write(to: URL(filePath: adapter + "/adapter_config.json"))
            }
        }
        #expect(try AdapterRoot(folder).names().count == 5000)
    }

    @Test func aRootThatIsNotThereIsRefused() {
        #expect(throws: LoadError.self) { try AdapterRoot("/no/such/root") }
    }
}

@Suite struct FairQueueTests {
    /// A connection that sends much, and an adapter that is asked for much, delay the others by one turn.
    @Test func connectionsTakeTurnsAndWithinOneTheAdapters() {
        var queue = FairQueue<String, String>()
        for number in 0..<3 { queue.append("1a\(number)", connection: 1, adapter: "a") }
        queue.append("1b", connection: 1, adapter: "b")
        for number in 0..<2 { queue.append("2a\(number)", connection: 2, adapter: "a") }
        var order: [String] = []
        while let first = queue.first {
            #expect(queue.next() == first)
            order.append(first)
        }
        #expect(order == ["1a0", "2a0", "1b", "2a1", "1a1", "1a2"])
        #expect(queue.isEmpty)
    }

    @Test func whatIsRemovedTakesNoTurn() {
        var queue = FairQueue<Int, Int>()
        for number in 0..<6 { queue.append(number, connection: number % 2, adapter: 0) }
        #expect(Set(queue.remove { $0 % 2 == 0 }) == [0, 2, 4])
        #expect(queue.count == 3)
        #expect([queue.next(), queue.next(), queue.next(), queue.next()] == [1, 3, 5, nil])
    }
}

@Suite struct AdapterChoiceTests {
    @Test func aNameMayCarryAGeneration() throws {
        #expect(try AdapterChoice("a-b_c.1") == .named("a-b_c.1", generation: nil))
        #expect(try AdapterChoice("a@12") == .named("a", generation: 12))
    }

    @Test(arguments: [
        "", ".a", "a/b", "a b", "é", "a@", "a@0", "a@x", "a@1@2", String(repeating: "a", count: 129),
    ])
    func othersAreNone(name: String) {
        #expect(throws: EngineError.self) { try AdapterChoice(name) }
    }
}

/// Loading, replacing and unloading through the engine.
@Suite struct AdapterLifeTests {
    private func engine(_ change: (inout Engine.Options) -> Void = { _ in }) throws -> TestEngine {
        try TestEngine(adapters: [], root: AdapterRoot(Fixtures.path("adapters")), change)
    }

    private func order(_ name: String, _ path: String? = nil, replace: Bool = false, pin: Bool = false)
        -> AdapterOrder
    {
        var order = AdapterOrder(name: name)
        order.path = path
        order.isReplacement = replace
        order.isPinned = pin
        return order
    }

    private func code(_ body: () async throws -> Void) async -> String? {
        do {
            try await body()
            return nil
        } catch { return (error as? EngineError)?.code }
    }

    @Test func aReplacementIsANewGenerationAndTheSameContentsAreTheOldOne() async throws {
        let engine = try engine()
        #expect(try await engine.load(order("a", "dora-qkv")).generation == 1)
        #expect(await code { _ = try await engine.load(order("a", "dora-all-linear")) } == "already_loaded")
        #expect(try await engine.load(order("a", "dora-all-linear", replace: true)).generation == 2)
        #expect(try await engine.load(order("a", "dora-qkv", replace: true)).generation == 1)
        let reply = try await engine.generate([3, 4], adapter: .named("a", generation: 1), maximumTokens: 3)
        #expect(
            reply.completion.logprobs
                == (try engine.alone([3, 4], adapter: "dora-qkv", maximumTokens: 3)).logprobs)
        #expect(
            await code {
                _ = try await engine.generate([3], adapter: .named("a", generation: 2), maximumTokens: 1)
            }
                == "unknown_generation")
        var expecting = order("a", "dora-rslora", replace: true)
        expecting.expectedGeneration = 2
        #expect(await code { _ = try await engine.load(expecting) } == "generation_mismatch")
        // Only what is served is in memory.
        #expect(await engine.adapters().filter { $0.bytes > 0 }.count == 1)
    }

    /// The same files in another form answer in other bits: another generation, which begins with no keys of the first.
    @Test func aFormIsAPartOfAGeneration() async throws {
        let engine = try engine()
        let prompt = (0..<100).map { ($0 * 7) % 128 }
        for (form, generation, cached) in [
            (StorageOptions.Form.merged, 1, 0), (.factored, 2, 0), (.factored, 2, 99),
        ] {
            var order = order("a", "dora-qkv", replace: true)
            order.form = form
            #expect(try await engine.load(order).generation == generation)
            let reply = try await engine.generate(
                prompt, adapter: .named("a", generation: nil), maximumTokens: 3)
            #expect(reply.cachedTokens == cached)
            #expect(
                reply.completion.logprobs
                    == (try engine.alone(prompt, adapter: "dora-qkv", as: form, maximumTokens: 3)).logprobs)
            let status = try #require(await engine.adapters().first { $0.state == .loaded })
            #expect(status.form?.rawValue == form.rawValue)
        }
        // A name that is loaded again by itself keeps the form that was ordered.
        try await engine.unload("a")
        let again = try await engine.generate([1], adapter: .named("a", generation: nil), maximumTokens: 1)
        #expect(again.adapter?.generation == 2)
    }

    /// They take their factors and scales, and nothing else.
    @Test func factoredAdaptersAreCharged() async throws {
        let engine = try engine { $0.adapterBytes = 1 << 30 }
        var order = order("dora-qkv")
        order.form = .factored
        _ = try await engine.load(order)
        let factored = await engine.statistics().adapterBytes
        order.isReplacement = true
        order.form = .merged
        _ = try await engine.load(order)
        let merged = await engine.statistics().adapterBytes
        #expect(factored > 0 && factored < merged)
    }

    @Test func aReplacementThatIsRefusedChangesNothing() async throws {
        let engine = try engine()
        _ = try await engine.load(order("a", "dora-qkv"))
        #expect(
            await code { _ = try await engine.load(order("a", "dora-qkv-head-dim", replace: true)) }
                == "adapter_refused")
        let reply = try await engine.generate(
            [3, 4], adapter: .named("a", generation: nil), maximumTokens: 3)
        #expect(reply.adapter == AdapterIdentity(name: "a", generation: 1))
        #expect(
            reply.completion.logprobs
                == (try engine.alone([3, 4], adapter: "dora-qkv", maximumTokens: 3)).logprobs)
    }

    @Test func anUnloadedNameIsLoadedAnewUnlessItIsDisabled() async throws {
        let engine = try engine()
        _ = try await engine.generate([1], adapter: .named("dora-qkv", generation: nil), maximumTokens: 1)
        try await engine.unload("dora-qkv")
        #expect(await engine.statistics().adapterBytes == 0)
        let again = try await engine.generate(
            [1], adapter: .named("dora-qkv", generation: nil), maximumTokens: 1)
        #expect(again.adapter?.generation == 1)
        try await engine.unload("dora-qkv", disable: true)
        #expect(
            await code {
                _ = try await engine.generate(
                    [1], adapter: .named("dora-qkv", generation: nil), maximumTokens: 1)
            }
                == "adapter_disabled")
        _ = try await engine.load(order("dora-qkv"))
        _ = try await engine.generate([1], adapter: .named("dora-qkv", generation: nil), maximumTokens: 1)
        #expect(await code { try await engine.unload("dora-rslora") } == "not_loaded")
        #expect(await code { try await engine.unload("../dora-qkv") } == "bad_adapter")
    }

    @Test func aLoadThatFailsLeavesNoTrace() async throws {
        let engine = try engine()
        #expect(
            await code { _ = try await engine.load(order("new", "dora-qkv-head-dim")) } == "adapter_refused")
        #expect(
            await code {
                _ = try await engine.generate([1], adapter: .named("new", generation: nil), maximumTokens: 1)
            } == "unknown_adapter")
        try await engine.unload("dora-qkv", disable: true)
        #expect(
            await code { _ = try await engine.load(order("dora-qkv", "dora-qkv-head-dim")) }
                == "adapter_refused")
        #expect(
            await code {
                _ = try await engine.generate(
                    [1], adapter: .named("dora-qkv", generation: nil), maximumTokens: 1)
            } == "adapter_disabled")
    }

    /// The folder of a name is looked up anew for each load: a link may point elsewhere by then.
    @Test func aNameMeansWhatItsLinkPointsTo() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for name in ["dora-qkv", "dora-all-linear"] {
            try FileManager.default.copyItem(
                atPath: Fixtures.path("adapters/\(name)"), toPath: "\(folder)/\(name)")
        }
        let engine = try TestEngine(adapters: [], root: AdapterRoot(folder))
        for (target, generation) in [("dora-qkv", 1), ("dora-all-linear", 2)] {
            try? FileManager.default.removeItem(atPath: folder + "/a")
            try FileManager.default.createSymbolicLink(
                atPath: folder + "/a", withDestinationPath: "\(folder)/\(target)")
            let reply = try await engine.generate(
                [3, 4], adapter: .named("a", generation: nil), maximumTokens: 3)
            #expect(reply.adapter == AdapterIdentity(name: "a", generation: generation))
            #expect(
                reply.completion.logprobs
                    == (try engine.alone([3, 4], adapter: target, maximumTokens: 3)).logprobs)
            try await engine.unload("a")
        }
        try FileManager.default.removeItem(atPath: folder + "/a")
        try FileManager.default.createSymbolicLink(
            atPath: folder + "/a", withDestinationPath: Fixtures.path("adapters/dora-qkv"))
        #expect(
            await code {
                _ = try await engine.generate([1], adapter: .named("a", generation: nil), maximumTokens: 1)
            } == "bad_path")
    }

    @Test func whatWasLoadedLastIsNotEvictedFirst() async throws {
        let size = await (try engine()).bytes(of: ["dora-qkv"])[0]
        let engine = try engine { $0.adapterBytes = 2 * size }
        _ = try await engine.load(order("used", "dora-saved-bf16"))
        _ = try await engine.generate([1], adapter: .named("used", generation: nil), maximumTokens: 1)
        _ = try await engine.load(order("unused", "dora-saved-f16"))
        _ = try await engine.load(order("third", "dora-qkv"))
        let loaded = await engine.adapters().filter { $0.state == .loaded }.map(\.name)
        #expect(Set(loaded) == ["unused", "third"])
    }

    /// Contents that are in memory already are published again, but not pinned beyond what pins may take.
    @Test func aSecondPinIsRefusedHoweverItComes() async throws {
        let size = await (try engine()).bytes(of: ["dora-qkv"])[0]
        let engine = try engine { $0.adapterBytes = 2 * size }
        for name in ["dora-saved-bf16", "dora-saved-f16"] { _ = try await engine.load(order(name)) }
        _ = try await engine.load(order("dora-saved-bf16", replace: true, pin: true))
        #expect(
            await code { _ = try await engine.load(order("dora-saved-f16", replace: true, pin: true)) }
                == "too_many_pinned")
    }

    @Test func pinnedAdaptersStayAndLeaveRoomForAnother() async throws {
        let size = await (try engine()).bytes(of: ["dora-qkv"])[0]
        let engine = try engine { $0.adapterBytes = 2 * size }
        _ = try await engine.load(order("pinned", "dora-qkv", pin: true))
        #expect(
            await code { _ = try await engine.load(order("other", "dora-saved-bf16", pin: true)) }
                == "too_many_pinned")
        for folder in ["dora-saved-bf16", "dora-saved-f16", "dora-saved-bf16"] {
            _ = try await engine.load(order(folder, folder))
        }
        let loaded = await engine.adapters().filter { $0.state == .loaded }.map(\.name)
        #expect(loaded.contains("pinned") && loaded.count == 2)
        #expect(
            await code { _ = try await engine.load(order("large", "dora-all-linear")) } == "adapter_too_large"
        )
    }
}
