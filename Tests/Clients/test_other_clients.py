"""LiteLLM, LangChain, `llm` and curl."""
import json
import os
import subprocess
import sys

import litellm
from conftest import PROMPT
from langchain_openai import ChatOpenAI, OpenAI

MESSAGES = [{"role": "user", "content": "Tarnholt Foods raises its guidance"}]


def content(server, **extra):
    return json.loads(server.post("/v1/chat/completions", {"messages": MESSAGES, **extra})[2])["choices"][0]["message"]["content"]


def test_litellm(server):
    options = dict(model="openai/topic", api_base=server.base_url, api_key="none", messages=MESSAGES, max_tokens=10)
    whole = litellm.completion(**options)
    assert whole.choices[0].message.content == content(server, model="topic", max_tokens=10)
    chunks = list(litellm.completion(**options, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    text = litellm.text_completion(
        model="text-completion-openai/sentiment", api_base=server.base_url, api_key="none", prompt=PROMPT, max_tokens=8)
    assert text.choices[0].text == "positive"


def test_langchain(server):
    chat = ChatOpenAI(model="topic", base_url=server.base_url, api_key="none", max_tokens=10, temperature=0.3)
    reply = chat.invoke("Tarnholt Foods raises its guidance")
    assert reply.content == content(server, model="topic", max_tokens=10)
    assert reply.usage_metadata["total_tokens"] > 0
    assert "".join(part.content for part in chat.stream("Tarnholt Foods raises its guidance")) == reply.content
    plain = OpenAI(model="sentiment", base_url=server.base_url, api_key="none", max_tokens=8)
    assert plain.invoke(PROMPT) == "positive"


def test_llm(server, tmp_path):
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: dora-topic\n  model_name: topic\n  api_base: {server.base_url}\n  api_key_name: dora\n")
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}
    run = subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "llm"), "-m", "dora-topic", "--key", "none", "-o", "max_tokens",
         "10", MESSAGES[0]["content"]], env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.rstrip("\n") == content(server, model="topic", max_tokens=10).rstrip("\n")


def test_curl(server):
    def curl(*words):
        return subprocess.run(["curl", "-sS", *words], capture_output=True, text=True, timeout=60, check=True).stdout

    body = json.dumps({"model": "sentiment", "prompt": PROMPT, "max_tokens": 8})
    reply = json.loads(curl(f"{server.base_url}/completions", "-H", "Content-Type: application/json", "-d", body))
    assert reply["choices"][0]["text"] == "positive"
    # A body that is sent only after the server has asked for it.
    long = json.dumps({"model": "sentiment", "prompt": PROMPT, "max_tokens": 8, "metadata": {"pad": "x" * 4000}})
    reply = json.loads(curl(f"{server.base_url}/completions", "-H", "Content-Type: application/json", "-H",
                            "Expect: 100-continue", "-d", long))
    assert reply["choices"][0]["text"] == "positive"
    events = curl("-N", f"{server.base_url}/completions", "-H", "Content-Type: application/json", "-d",
                  json.dumps({**json.loads(body), "stream": True})).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""] and all(event.startswith("data: {") for event in events[:-2])
    head = curl("-I", f"{server.origin}/health")
    assert head.startswith("HTTP/1.1 200") and head.endswith("\n\n")
    assert curl("-0", f"{server.origin}/health") != ""
