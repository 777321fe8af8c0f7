import DoraLoader
import DoraRuntime

/// What a server says of itself to those who watch it and to those who choose between servers; one moment's.
struct ServerMetrics: Sendable {
    let statistics: EngineStatistics
    let connections: Int
    let baseName: String

    /// - Parameter speaksVLLM: also what vLLM would say, by its names.
    func text(speaksVLLM: Bool) -> String {
        var text = MetricsText()
        writeLoad(to: &text)
        writeRequests(to: &text)
        writeAdapters(to: &text)
        text.gauge(
            "dora_build_info", "What is served, and by which release.", 1,
            [("version", Version.current), ("model", baseName)])
        if speaksVLLM { writeVLLM(to: &text) }
        return text.text
    }

    /// 0 to 1, of what could hold other sequences.
    var usedCache: Double {
        statistics.keyValueBudget > 0
            ? Double(statistics.keptKeyValueBytes) / Double(statistics.keyValueBudget) : 0
    }

    var waiting: Int { statistics.queued + statistics.waitingForAdapter }

    /// Names in one label, as routers read them: which adapters can answer at once, which are on their way, and for how many
    /// there is room.
    var adapterLabels: MetricsText.Labels {
        [
            ("max_lora", "\(mostAdapters)"),
            ("running_lora_adapters", statistics.residents.map(\.name).joined(separator: ",")),
            ("waiting_lora_adapters", statistics.loading.joined(separator: ",")),
        ]
    }

    /// Those in memory, and as many more of the median size as fit.
    private var mostAdapters: Int {
        let sizes = statistics.residents.map(\.bytes).sorted()
        guard !sizes.isEmpty else { return 1 }
        let median = max(1, sizes[sizes.count / 2])
        return max(1, sizes.count + max(0, statistics.adapterBudget - statistics.adapterBytes) / median)
    }

    private func writeLoad(to text: inout MetricsText) {
        text.gauge("dora_requests_running", "Requests that are being computed.", Double(statistics.running))
        text.gauge(
            "dora_requests_waiting", "Requests that wait, for a place or for their adapter.", Double(waiting))
        text.gauge("dora_queue_depth", "Requests that wait for a place.", Double(statistics.queued))
        text.gauge("dora_connections", "Open connections.", Double(connections))
        text.gauge(
            "dora_kv_cache_usage_ratio", "Keys and values of running requests, of what --kv-memory allows.",
            usedCache)
        text.gauge("dora_kv_cache_bytes", "Keys and values in memory.", Double(statistics.keyValueBytes))
        writeCacheConfiguration("dora_cache_config_info", to: &text)
        text.counter("dora_steps_total", "Forward passes.", statistics.steps)
        text.counter(
            "dora_preemptions_total", "How often a running request made room for an older one.",
            statistics.preemptions)
        text.counter(
            "dora_guessed_tokens_total", "Tokens guessed before they were made.", statistics.guessedTokens)
        text.counter(
            "dora_accepted_tokens_total", "Guessed tokens that were right.", statistics.acceptedTokens)
    }

    private func writeRequests(to text: inout MetricsText) {
        let subjects = statistics.counts.map { (label: Self.label($0.key, baseName), counts: $0.value) }
            .sorted { $0.label < $1.label }
        text.metric(
            "dora_requests_total", "Requests that have ended, by adapter and outcome.", .counter,
            subjects.flatMap { label, counts in
                let ended = counts.ended.map { ($0.key.rawValue, $0.value) } + [("failed", counts.failed)]
                return ended.sorted { $0.0 < $1.0 }.map {
                    ([("adapter", label), ("outcome", $0.0)], Double($0.1))
                }
            })
        for (name, help, count) in [
            ("dora_prompt_tokens_total", "Tokens of prompts.", \EngineStatistics.Counts.promptTokens),
            ("dora_cached_tokens_total", "Tokens of prompts that earlier requests had left.", \.cachedTokens),
            ("dora_generated_tokens_total", "Tokens made.", \.generatedTokens),
        ] {
            text.metric(
                name, help, .counter,
                subjects.map { ([("adapter", $0.label)], Double($0.counts[keyPath: count])) })
        }
        text.histogram("dora_queue_seconds", "Time in the queue.", statistics.queueSeconds)
        text.histogram("dora_first_token_seconds", "Time to the first token.", statistics.firstTokenSeconds)
        text.histogram("dora_token_seconds", "Time between two tokens of a request.", statistics.tokenSeconds)
        text.histogram("dora_request_seconds", "Time to the end of a request.", statistics.requestSeconds)
    }

    private func writeAdapters(to text: inout MetricsText) {
        text.metric(
            "dora_adapter_loaded", "Adapters in memory.", .gauge,
            statistics.residents.map {
                (
                    [
                        ("adapter", $0.name), ("form", $0.form.rawValue),
                        ("pinned", $0.isPinned ? "true" : "false"),
                    ], 1
                )
            })
        text.metric(
            "dora_adapter_bytes", "Memory of an adapter's merged matrices and factors.", .gauge,
            statistics.residents.map { ([("adapter", $0.name)], Double($0.bytes)) })
        text.gauge("dora_adapter_memory_bytes", "Memory of all adapters.", Double(statistics.adapterBytes))
        text.gauge(
            "dora_adapter_memory_budget_bytes", "What --memory allows.", Double(statistics.adapterBudget))
        text.histogram(
            "dora_adapter_load_seconds", "Time of merging or factoring an adapter.", statistics.loadSeconds)
        text.metric(
            "dora_adapter_loads_total", "Loads that have ended.", .counter,
            [
                ([("outcome", "loaded")], Double(statistics.merges)),
                ([("outcome", "failed")], Double(statistics.failedLoads)),
            ])
        text.counter(
            "dora_adapter_evictions_total", "Adapters that made room for others.", statistics.evictions)
        text.gauge(
            "dora_lora_requests_info", "Adapters in memory and on their way; the value is when that changed.",
            Double(statistics.adaptersChanged), adapterLabels)
    }

    func writeCacheConfiguration(
        _ name: String, to text: inout MetricsText, _ labels: MetricsText.Labels = []
    ) {
        text.gauge(
            name, "How keys and values are kept.", 1,
            labels + [
                ("block_size", "\(statistics.blockPositions)"),
                ("num_gpu_blocks", "\(statistics.keyValueBlocks)"),
                ("cache_dtype", statistics.keyValueFormat),
            ])
    }

    static func label(_ subject: EngineStatistics.Subject, _ baseName: String) -> String {
        switch subject {
        case .base: baseName
        case .adapter(let name): name
        case .unknown: ""
        }
    }
}
