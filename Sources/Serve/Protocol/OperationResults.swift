import DoraLoader
import DoraRuntime

/// What the operations other than `generate` answer.
struct HelloResult: Encodable {
    struct Limits: Encodable {
        let context: Int
        let max_sequences: Int
        let max_queue: Int
        let max_inflight: Int
        let max_line: Int
    }

    let `protocol` = 1
    let version = Version.current
    let model: String
    let default_adapter: String?
    let limits: Limits
}

struct AdaptersResult: Encodable {
    struct Adapter: Encodable {
        let name: String
        let state: String
        let generation: Int?
        let digest: String?
        let form: String?
        let bytes: Int
        let pinned: Bool
        let requests: Int
    }

    let adapters: [Adapter]

    init(_ statuses: [AdapterStatus]) {
        adapters = statuses.map {
            Adapter(
                name: $0.name, state: $0.state.rawValue, generation: $0.generation, digest: $0.digest,
                form: $0.form?.rawValue, bytes: $0.bytes, pinned: $0.isPinned, requests: $0.requests)
        }
    }
}

struct LoadResult: Encodable {
    let adapter: String
}

struct UnloadResult: Encodable {
    let unloaded: String
}

struct CancelResult: Encodable {
    /// False when no such request was in flight.
    let cancelled: Bool
}

struct PingResult: Encodable {
    let pong = true
}

struct ReadyResult: Encodable {
    /// False while draining.
    let ready: Bool
}

struct DrainResult: Encodable {
    let draining: Bool
}

struct StatsResult: Encodable {
    struct Bytes: Encodable {
        let used: Int
        let budget: Int
    }

    let running: Int
    let queued: Int
    let waiting_for_adapter: Int
    let finished: Int
    let cancelled: Int
    let failed: Int
    let prompt_tokens: Int
    let cached_tokens: Int
    let generated_tokens: Int
    let guessed_tokens: Int
    let accepted_tokens: Int
    let steps: Int
    let preemptions: Int
    let merges: Int
    let evictions: Int
    let connections: Int
    let kv_memory: Bytes
    let adapter_memory: Bytes
    /// Adapters in memory, by form.
    let merged_adapters: Int
    let factored_adapters: Int

    init(_ statistics: EngineStatistics, connections: Int) {
        running = statistics.running
        queued = statistics.queued
        waiting_for_adapter = statistics.waitingForAdapter
        finished = statistics.finished
        cancelled = statistics.cancelled
        failed = statistics.failed
        prompt_tokens = statistics.promptTokens
        cached_tokens = statistics.cachedTokens
        generated_tokens = statistics.generatedTokens
        guessed_tokens = statistics.guessedTokens
        accepted_tokens = statistics.acceptedTokens
        steps = statistics.steps
        preemptions = statistics.preemptions
        merges = statistics.merges
        evictions = statistics.evictions
        self.connections = connections
        kv_memory = Bytes(used: statistics.keyValueBytes, budget: statistics.keyValueBudget)
        adapter_memory = Bytes(used: statistics.adapterBytes, budget: statistics.adapterBudget)
        merged_adapters = statistics.residents.count { $0.form == .merged }
        factored_adapters = statistics.residents.count { $0.form == .factored }
    }
}
