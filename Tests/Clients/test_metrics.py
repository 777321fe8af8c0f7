"""What Prometheus and routers read."""
import json

from conftest import PROMPT
from prometheus_client.parser import text_string_to_metric_families

VLLM = ["vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:kv_cache_usage_perc", "vllm:lora_requests_info",
        "vllm:cache_config_info"]


def scrape(server):
    status, headers, body = server.post("/metrics", None, method="GET")
    assert status == 200 and headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return body.decode(), {family.name: family for family in text_string_to_metric_families(body.decode())}


def test_the_text_is_well_formed(server):
    server.post("/v1/completions", {"model": "topic", "prompt": PROMPT, "max_tokens": 4})
    text, families = scrape(server)
    seen, described = set(), set()
    for line in text.splitlines():
        if line.startswith("# "):
            described.add(line.split()[2])
            continue
        name = line.split("{")[0].split()[0]
        stem = next((name[:-len(end)] for end in ("_bucket", "_sum", "_count") if name[:-len(end)] in described and name.endswith(end)), name)
        assert stem in described, f"{name} has no HELP before it"
        series = line.rsplit(" ", 1)[0]
        assert series not in seen, f"{series} occurs twice"
        seen.add(series)
    for family in families.values():
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
        if family.type == "histogram":
            counts = [s.value for s in family.samples if s.name.endswith("_bucket") and len(s.labels) == len(family.samples[0].labels)]
            assert counts, family.name


def test_what_routers_need_is_there_once(server):
    _, families = scrape(server)
    for name in VLLM + [ours.replace("vllm:", "dora_") for ours in ("vllm:requests_waiting", "vllm:requests_running")]:
        assert len(families[name].samples) == 1, name
    assert len(families["dora_kv_cache_usage_ratio"].samples) == 1
    labels = families["dora_lora_requests_info"].samples[0].labels
    server.post("/v1/completions", {"model": "topic", "prompt": PROMPT, "max_tokens": 1})
    labels = scrape(server)[1]["vllm:lora_requests_info"].samples[0].labels
    assert "topic" in labels["running_lora_adapters"].split(",") and int(labels["max_lora"]) >= 1


def test_counters_are_those_of_the_line_protocol(server):
    def counts():
        samples = {s.name: s.value for f in scrape(server)[1].values() for s in f.samples if not s.labels.get("le")}
        return samples.get("vllm:prompt_tokens_total"), samples.get("vllm:generation_tokens_total")

    before, stats = counts(), server.line(op="stats")["result"]
    assert before == (stats["prompt_tokens"], stats["generated_tokens"])
    line = server.line(prompt=PROMPT, adapter="topic", max_tokens=5, ignore_eos=True)
    reply = json.loads(server.post("/v1/completions", {
        "model": "topic", "prompt": PROMPT, "max_tokens": 7, "ignore_eos": True})[2])
    after = counts()
    assert after[0] - before[0] == line["usage"]["prompt_tokens"] + reply["usage"]["prompt_tokens"]
    assert after[1] - before[1] == 12


def test_scrapers_have_a_place_of_their_own(start_server):
    from conftest import free_port
    import urllib.request
    port = free_port()
    start_server("--metrics-listen", f"tcp:127.0.0.1:{port}")
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    assert "dora_requests_running" in text
