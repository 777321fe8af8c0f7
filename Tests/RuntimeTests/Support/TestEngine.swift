import DoraLoader
import DoraTensor

@testable import DoraRuntime

/// An engine over the fixture `gqa-f32`, and what its requests give when run alone.
struct TestEngine: Sendable {
    let engine: Engine
    let base: BaseModel
    let compute: Compute
    private let keyValues: KeyValueFormat

    init(
        adapters: [String], root: AdapterRoot? = nil, base name: String = "gqa-f32", folder: String? = nil,
        _ change: (inout Engine.Options) -> Void = { _ in }
    ) throws {
        compute = try Compute(threads: 2)
        base = try BaseModel(folder: folder ?? Fixtures.path("bases/\(name)"), on: compute)
        var options = Engine.Options()
        options.keyValueBytes = 64 << 20
        options.adapters = adapters.map { ($0, Fixtures.path("adapters/\($0)")) }
        options.root = root
        change(&options)
        keyValues = options.keyValues
        engine = try Engine(
            base: base, languages: Languages(Language(of: base)), options: options, on: Compute(threads: 2))
    }

    func generate(
        _ prompt: [Int], adapter: AdapterChoice, maximumTokens: Int, connection: Int = 0,
        key: RequestKey? = nil
    ) async throws -> EngineReply {
        let request = GenerationRequest(
            prompt: prompt, maximumTokens: maximumTokens, ignoresEOS: true, logprobs: 3)
        return try await submit(
            .generate(request), adapter: adapter, key: key ?? RequestKey(connection: connection, serial: 0))
    }

    func generate(
        _ request: GenerationRequest, adapter: AdapterChoice, connection: Int = 0
    ) async throws -> EngineReply {
        try await submit(
            .generate(request), adapter: adapter, key: RequestKey(connection: connection, serial: 0))
    }

    func score(
        _ request: ScoreRequest, adapter: AdapterChoice, connection: Int = 0, key: RequestKey? = nil
    ) async throws -> EngineReply {
        try await submit(
            .score(request), adapter: adapter, key: key ?? RequestKey(connection: connection, serial: 0))
    }

    private func submit(
        _ work: EngineRequest.Work, adapter: AdapterChoice, key: RequestKey
    ) async throws -> EngineReply {
        try await withCheckedThrowingContinuation { continuation in
            let request = EngineRequest(key: key, adapter: adapter, work: work, streams: false) { event in
                switch event {
                case .started, .piece: break
                case .finished(let reply): continuation.resume(returning: reply)
                case .failed(let error): continuation.resume(throwing: error)
                }
            }
            do { try engine.submit(request) } catch { continuation.resume(throwing: error) }
        }
    }

    func load(_ order: AdapterOrder) async throws -> AdapterIdentity {
        try await withCheckedThrowingContinuation { continuation in
            engine.load(order) { continuation.resume(with: $0) }
        }
    }

    func unload(_ name: String, disable: Bool = false) async throws {
        try await withCheckedThrowingContinuation { continuation in
            engine.unload(name, disable: disable) { continuation.resume(with: $0) }
        }
    }

    func statistics() async -> EngineStatistics {
        await withCheckedContinuation { continuation in
            engine.statistics { continuation.resume(returning: $0) }
        }
    }

    func adapters() async -> [AdapterStatus] {
        await withCheckedContinuation { continuation in engine.adapters { continuation.resume(returning: $0) }
        }
    }

    /// What the adapters take once merged.
    func bytes(of names: [String]) async -> [Int] {
        for name in names { _ = try? await load(AdapterOrder(name: name)) }
        return await adapters().filter { names.contains($0.name) }.map(\.bytes)
    }

    /// What a generator of its own gives, with the adapter of that folder.
    func alone(
        _ prompt: [Int], adapter: String?, as form: StorageOptions.Form? = nil, maximumTokens: Int
    ) throws -> Completion {
        try alone(
            prompt, folder: adapter.map { Fixtures.path("adapters/\($0)") }, as: form,
            maximumTokens: maximumTokens)
    }

    func alone(
        _ prompt: [Int], folder: String?, as form: StorageOptions.Form? = nil, maximumTokens: Int
    ) throws -> Completion {
        try generator(folder: folder, as: form).generate(
            GenerationRequest(prompt: prompt, maximumTokens: maximumTokens, ignoresEOS: true, logprobs: 3))
    }

    func alone(_ request: GenerationRequest, adapter: String?) throws -> Completion {
        try generator(folder: adapter.map { Fixtures.path("adapters/\($0)") }).generate(request)
    }

    /// Each continuation as one text with the prompt.
    func alone(_ request: ScoreRequest, adapter: String?) throws -> Scores {
        let generator = try generator(folder: adapter.map { Fixtures.path("adapters/\($0)") })
        guard let continuations = request.continuations else { return try generator.score(request) }
        return Scores(
            request: request,
            lists: try continuations.map { continuation in
                let whole = ScoreRequest(prompt: request.prompt + continuation, top: request.top)
                return Array(try generator.score(whole).lists[0].suffix(continuation.count))
            })
    }

    /// Of keys and values.
    var blockBytes: Int {
        get throws {
            try ForwardPass(base.configuration, keyValues: keyValues, on: compute).geometry.blockBytes
        }
    }

    private func generator(folder: String?, as form: StorageOptions.Form? = nil) throws -> Generator {
        let weights = try folder.map { folder in
            let adapter = try Adapter(folder: folder, fitting: base.inventory, baseName: nil)
            return try base.adapted(by: adapter, as: form, on: compute).weights
        }
        return try Generator(
            base.configuration, weights: weights ?? base.weights, eosIDs: [], tokenizer: nil,
            keyValues: keyValues,
            on: compute)
    }
}

/// SplitMix64: the same numbers every time.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
