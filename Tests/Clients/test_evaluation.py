"""lm-evaluation-harness against the server, on a task that is bundled: nothing is fetched."""
import json
import pathlib

import lm_eval
import pytest
import yaml
from conftest import HERE, REPOSITORY
from lm_eval.tasks import TaskManager

LIMIT = 20


def evaluate(server, kind, task, tmp_path, adapter="sentiment", **arguments):
    """The samples of a task whose file lies in this folder."""
    description = yaml.safe_load((HERE / "task" / f"{task}.yaml").read_text())
    data = REPOSITORY / "models/evaluation" / f"{adapter}.jsonl"
    description["dataset_kwargs"] = {"data_files": {"test": str(data)}}
    (tmp_path / f"{task}.yaml").write_text(yaml.safe_dump(description))
    path = "chat/completions" if "chat" in kind else "completions"
    results = lm_eval.simple_evaluate(
        model=kind, tasks=[task], limit=LIMIT, log_samples=True, bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
        model_args={"model": adapter, "base_url": f"{server.base_url}/{path}", "num_concurrent": 4, "max_retries": 1,
                    **arguments},
        apply_chat_template="chat" in kind)
    return results["results"][task], results["samples"][task]


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "none")


def test_log_likelihoods_are_those_of_scores(server, tmp_path):
    results, samples = evaluate(server, "local-completions", "dora_choices", tmp_path)
    assert results["acc,none"] > 0.6
    compared = 0
    for sample in samples:
        for request, response in zip(sample["arguments"], sample["resps"]):
            context, continuation = request[0], request[1]
            # The harness moves blanks at the end of a context to the continuation.
            blanks = len(context) - len(context.rstrip())
            context, continuation = context[:len(context) - blanks], context[len(context) - blanks:] + continuation
            whole = tokens(server, context + continuation)
            start = len(tokens(server, context))
            line = server.line(token_ids=whole, adapter="sentiment", score=True)
            found = sum(entry["logprob"] for entry in line["logprobs"][start - 1:])
            assert response[0][0] == found
            compared += 1
    assert compared == 3 * LIMIT


def test_log_likelihoods_are_pefts(start_server, tmp_path):
    """Those that make_peft_scores.py got from PEFT, in F32 over the decoded base."""
    server = start_server("--weights", "f32", "--merged", "f32", "--head", "native", "--kv", "f32")
    golden = {row["text"]: row for row in json.loads((HERE / "peft_scores.json").read_text())}
    _, samples = evaluate(server, "local-completions", "dora_choices", tmp_path)
    compared = 0
    for sample in samples:
        for request, response in zip(sample["arguments"], sample["resps"]):
            row = golden[request[0] + request[1]]
            assert response[0][0] == pytest.approx(row["logprob"], abs=1e-4 * row["tokens"])
            compared += 1
    assert compared == 3 * LIMIT


def test_chats_are_generated(server, tmp_path):
    _, samples = evaluate(server, "local-chat-completions", "dora_answers", tmp_path)
    for sample in samples:
        prompt = json.loads(sample["arguments"][0][0].prompt)
        line = server.line(messages=prompt, adapter="sentiment", max_tokens=12, stop=["\n"])
        assert sample["resps"][0][0] == line["text"]


def tokens(server, text):
    return json.loads(server.post("/tokenize", {"prompt": text, "add_special_tokens": False})[2])["tokens"]
