import DoraRuntime

/// The same by vLLM's names, for routers and dashboards that know these.
extension ServerMetrics {
    func writeVLLM(to text: inout MetricsText) {
        let model: MetricsText.Labels = [("model_name", baseName)]
        text.gauge(
            "vllm:num_requests_running", "Requests that are being computed.", Double(statistics.running),
            model)
        text.gauge("vllm:num_requests_waiting", "Requests that wait.", Double(waiting), model)
        text.gauge("vllm:kv_cache_usage_perc", "Keys and values in use, 0 to 1.", usedCache, model)
        text.gauge(
            "vllm:lora_requests_info", "Adapters in memory and on their way; the value is when that changed.",
            Double(statistics.adaptersChanged), adapterLabels)
        writeCacheConfiguration("vllm:cache_config_info", to: &text, model)
        text.counter(
            "vllm:num_preemptions_total", "How often a running request made room.", statistics.preemptions,
            model)
        text.counter("vllm:prompt_tokens_total", "Tokens of prompts.", statistics.promptTokens, model)
        text.counter("vllm:generation_tokens_total", "Tokens made.", statistics.generatedTokens, model)
        text.counter(
            "vllm:prefix_cache_queries_total", "Tokens that were looked up.", statistics.promptTokens, model)
        text.counter(
            "vllm:prefix_cache_hits_total", "Tokens that were found.", statistics.cachedTokens, model)
        let ended = statistics.counts.values.reduce(into: ["stop": 0, "length": 0, "abort": 0]) {
            sums, counts in
            for (reason, count) in counts.ended { sums[Self.name(reason), default: 0] += count }
        }
        text.metric(
            "vllm:request_success_total", "Requests that have ended.", .counter,
            ended.sorted { $0.key < $1.key }.map { (model + [("finished_reason", $0.key)], Double($0.value)) }
        )
        text.histogram(
            "vllm:time_to_first_token_seconds", "Time to the first token.", statistics.firstTokenSeconds,
            model)
        text.histogram(
            "vllm:inter_token_latency_seconds", "Time between two tokens.", statistics.tokenSeconds, model)
        text.histogram(
            "vllm:e2e_request_latency_seconds", "Time to the end of a request.", statistics.requestSeconds,
            model)
        text.histogram(
            "vllm:request_queue_time_seconds", "Time in the queue.", statistics.queueSeconds, model)
    }

    private static func name(_ reason: Completion.FinishReason) -> String {
        switch reason {
        case .stop: "stop"
        case .length, .scored: "length"
        case .cancelled: "abort"
        }
    }
}

extension EngineStatistics {
    /// When a client that found no place might find one: what waits, at the rate at which requests end.
    var secondsOfQueue: Int {
        guard requestSeconds.count > 0 else { return 1 }
        let each = requestSeconds.sum / Double(requestSeconds.count)
        return Int(min(30, each * Double(queued + 1) / Double(max(1, running)) + 1))
    }
}
