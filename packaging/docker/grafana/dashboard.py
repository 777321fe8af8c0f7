#!/usr/bin/env python3
"""Writes dora.json, the dashboard of the server's metrics: rows of panels, each some queries of Prometheus."""
import json
from pathlib import Path

RATE = "[$__rate_interval]"


def quantiles(metric: str) -> list[tuple[str, str]]:
    return [
        (f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket{RATE})))", f"p{round(100 * q)}")
        for q in (0.5, 0.9, 0.99)
    ]


# Title, unit, queries with their legends; of a kind of its own where it is no curve.
ROWS = [
    ("Now", [
        ("Release", "none", [("dora_build_info", "{{version}}")], "stat"),
        ("Running", "none", [("sum(dora_requests_running)", "running")], "stat"),
        ("Waiting", "none", [("sum(dora_requests_waiting)", "waiting")], "stat"),
        ("Connections", "none", [("sum(dora_connections)", "connections")], "stat"),
        ("Keys and values", "percentunit", [("max(dora_kv_cache_usage_ratio)", "in use")], "gauge"),
        ("Memory of adapters", "percentunit",
         [("sum(dora_adapter_memory_bytes) / sum(dora_adapter_memory_budget_bytes)", "in use")], "gauge"),
    ]),
    ("Requests", [
        ("Ended, by outcome", "reqps", [(f"sum by (outcome) (rate(dora_requests_total{RATE}))", "{{outcome}}")]),
        ("Ended, by adapter", "reqps", [(f"sum by (adapter) (rate(dora_requests_total{RATE}))", "{{adapter}}")]),
        ("Running and waiting", "none", [
            ("sum(dora_requests_running)", "running"), ("sum(dora_requests_waiting)", "waiting"),
            ("sum(dora_queue_depth)", "waiting for a place")]),
        ("Time of a request", "s", quantiles("dora_request_seconds")),
    ]),
    ("Tokens", [
        ("Tokens made, by adapter", "none",
         [(f"sum by (adapter) (rate(dora_generated_tokens_total{RATE}))", "{{adapter}}")]),
        ("Tokens of prompts", "none", [
            (f"sum(rate(dora_prompt_tokens_total{RATE}))", "all"),
            (f"sum(rate(dora_cached_tokens_total{RATE}))", "computed before")]),
        ("Time to the first token", "s", quantiles("dora_first_token_seconds")),
        ("Time between tokens", "s", quantiles("dora_token_seconds")),
        ("Time in the queue", "s", quantiles("dora_queue_seconds")),
        ("Forward passes", "none", [
            (f"sum(rate(dora_steps_total{RATE}))", "steps a second"),
            (f"sum(rate(dora_preemptions_total{RATE}))", "requests that made room")]),
    ]),
    ("Adapters", [
        ("In memory", "none", [("sum by (adapter) (dora_adapter_loaded)", "{{adapter}}")]),
        ("Bytes", "bytes", [
            ("sum by (adapter) (dora_adapter_bytes)", "{{adapter}}"),
            ("sum(dora_adapter_memory_budget_bytes)", "budget")]),
        ("Loads and evictions", "none", [
            ("sum by (outcome) (dora_adapter_loads_total)", "{{outcome}}"),
            ("sum(dora_adapter_evictions_total)", "evicted")]),
        ("Time of a load", "s", quantiles("dora_adapter_load_seconds")),
        ("Keys and values in memory", "bytes", [("sum(dora_kv_cache_bytes)", "bytes")]),
    ]),
]


def panel(number: int, place: dict, title: str, unit: str, queries: list, kind: str = "timeseries") -> dict:
    made = {
        "id": number, "type": kind, "title": title, "gridPos": place,
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend,
             "datasource": {"type": "prometheus", "uid": "prometheus"}}
            for index, (query, legend) in enumerate(queries)
        ],
    }
    if unit == "percentunit":
        made["fieldConfig"]["defaults"]["max"] = 1
    if title == "Release":
        made["options"] = {"textMode": "name"}
    return made


def dashboard() -> dict:
    panels: list[dict] = []
    y = 0
    for title, row in ROWS:
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "panels": [], "collapsed": False,
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        is_small = len(row[0]) > 3
        columns, height = (6, 4) if is_small else (3, 8)
        for index, content in enumerate(row):
            place = {"x": index % columns * (24 // columns), "y": y + index // columns * height,
                     "w": 24 // columns, "h": height}
            panels.append(panel(len(panels) + 1, place, *content))
        y += -(-len(row) // columns) * height
    return {
        "title": "dora", "uid": "dora", "schemaVersion": 41, "editable": True, "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"}, "timezone": "browser", "tags": ["dora"],
        "templating": {"list": []}, "annotations": {"list": []}, "panels": panels,
    }


if __name__ == "__main__":
    (Path(__file__).parent / "dora.json").write_text(json.dumps(dashboard(), indent=1) + "\n")
