import DoraRuntime
import DoraText
import Testing

@testable import DoraServe

/// What Prometheus reads (`Tests/HTTP/metrics.py` reads it with Prometheus' own parser).
@Suite struct MetricsTests {
    private func value(_ series: String, _ text: String) -> Double? {
        text.split(separator: "\n").first { $0.hasPrefix(series + " ") }.flatMap {
            Double($0.dropFirst(series.count + 1))
        }
    }

    @Test func metricsCountWhatBothProtocolsDid() async throws {
        let server = try await TestServer { options in
            options.root = try? AdapterRoot(TestServer.fixtures + "/adapters")
        }
        let (line, http) = (try await server.connect(), try await server.http())
        _ = try await line.ask(
            #"{"token_ids":[1,2,3],"adapter":"dora-qkv","max_tokens":4,"ignore_eos":true}"#)
        let body = #"{"model":"dora-qkv","prompt":[1,2,3],"max_tokens":5,"ignore_eos":true}"#
        #expect(try await http.post("/v1/completions", body).status == 200)
        #expect(
            try await http.post("/v1/completions", #"{"model":"base","prompt":[1],"max_tokens":2}"#).status
                == 200)
        #expect(try await http.post("/v1/completions", #"{"model":"x\"y","prompt":[1]}"#).status == 404)
        #expect(try await http.post("/v1/completions", #"{"model":"unknown","prompt":[1]}"#).status == 404)

        let reply = try await http.get("/metrics")
        #expect(reply["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        let text = reply.text
        #expect(value(#"dora_requests_total{adapter="dora-qkv",outcome="length"}"#, text) == 2)
        #expect(value(#"dora_prompt_tokens_total{adapter="dora-qkv"}"#, text) == 6)
        #expect(value(#"dora_generated_tokens_total{adapter="dora-qkv"}"#, text) == 9)
        // No client can make a series.
        #expect(value(#"dora_requests_total{adapter="",outcome="failed"}"#, text) == 1)
        #expect(!text.contains("unknown"))
        #expect(value("dora_first_token_seconds_count", text) == 3)
        #expect(value(#"dora_first_token_seconds_bucket{le="+Inf"}"#, text) == 3)
        #expect(value("dora_adapter_loads_total{outcome=\"loaded\"}", text) == 1)
        #expect(text.contains(#"running_lora_adapters="dora-qkv",waiting_lora_adapters="""#))
        #expect(value("dora_requests_running", text) == 0 && value("dora_kv_cache_usage_ratio", text) == 0)
        #expect(value(#"vllm:generation_tokens_total{model_name="base"}"#, text) != nil)
        #expect(value(#"vllm:num_requests_waiting{model_name="base"}"#, text) == 0)
        // The line protocol counts the same things.
        let stats = try await line.ask(#"{"op":"stats"}"#).result
        #expect(stats?["finished"]?.int == 3 && stats?["generated_tokens"]?.int == 9 + 2)
        #expect(stats?["failed"]?.int == 1)
        try await server.stop()
    }

    @Test func aHistogramIsCumulative() {
        var histogram = Histogram()
        for seconds in [0.001, 0.005, 0.5, 500] { histogram.add(.seconds(seconds)) }
        #expect(histogram.cumulative.first == 2 && histogram.cumulative.last == 3)
        #expect(histogram.count == 4 && abs(histogram.sum - 500.506) < 1e-9)
    }

    @Test func labelsAreEscaped() {
        var text = MetricsText()
        text.gauge("a", "b", 0.5, [("c", "d\"\\\n")])
        #expect(text.text == "# HELP a b\n# TYPE a gauge\na{c=\"d\\\"\\\\\\n\"} 0.5\n")
    }

    @Test func vLLMsNamesCanBeLeftOut() async throws {
        var settings = HTTPSettings(model: "base")
        settings.speaksVLLM = false
        let server = try await TestServer(http: settings)
        #expect(try await !server.http().get("/metrics").text.contains("vllm:"))
        try await server.stop()
    }
}
