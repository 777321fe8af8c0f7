"""Every field that a client may send: acted on, named as ignored, or refused. As docs/http.md says."""
import json

import pytest
from conftest import PROMPT

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
MESSAGES = [{"role": "user", "content": "Tarnholt Foods raises its guidance"}]
BODIES = {CHAT: {"model": "topic", "messages": MESSAGES, "max_tokens": 4},
          TEXT: {"model": "topic", "prompt": PROMPT, "max_tokens": 4}}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]

# Without any effect that anybody could miss.
SILENT = [
    (CHAT, "temperature", [0, 1, None]), (CHAT, "top_p", [1, 1.0, None]), (CHAT, "seed", [1, 1234]),
    (CHAT, "n", [1, None]), (TEXT, "best_of", [1]), (CHAT, "user", ["me"]), (CHAT, "store", [False]),
    (CHAT, "metadata", [{"a": "b"}]), (CHAT, "service_tier", ["auto"]), (CHAT, "safety_identifier", ["x"]),
    (CHAT, "prompt_cache_key", ["x"]), (CHAT, "prompt_cache_retention", ["24h"]),
    (CHAT, "prediction", [{"type": "content", "content": "x"}]), (CHAT, "verbosity", ["low"]),
    (CHAT, "modalities", [["text"]]), (CHAT, "presence_penalty", [0, 0.0]), (CHAT, "frequency_penalty", [0]),
    (CHAT, "repetition_penalty", [1, 1.0]), (CHAT, "logit_bias", [{}, None]), (CHAT, "bad_words", [[]]),
    (CHAT, "allowed_token_ids", [[], None]), (CHAT, "response_format", [{"type": "text"}]),
    (CHAT, "tools", [[], None]), (CHAT, "tool_choice", ["none"]), (CHAT, "echo", [False]), (TEXT, "suffix", [None, ""]),
    (CHAT, "include_stop_str_in_output", [False]), (CHAT, "min_tokens", [0]), (CHAT, "priority", [0]),
    (CHAT, "truncate_prompt_tokens", [None]), (CHAT, "logprobs", [False]),
]
# Accepted without effect, and named in a header.
NAMED = [
    (CHAT, "temperature", [0.3, 2]), (CHAT, "top_p", [0.9]), (CHAT, "top_k", [40]), (CHAT, "min_p", [0.05]),
    (CHAT, "store", [True]), (CHAT, "reasoning_effort", ["low"]), (CHAT, "something_private", ["x", {"y": 1}]),
]
REFUSED = [
    (CHAT, "n", [2, 0]), (TEXT, "best_of", [2]), (CHAT, "temperature", [-1, 3, "warm"]), (CHAT, "top_p", [-0.1, 1.5]),
    (CHAT, "presence_penalty", [0.5]), (CHAT, "frequency_penalty", [-1]), (CHAT, "repetition_penalty", [1.1]),
    (CHAT, "logit_bias", [{"5": 1}]), (CHAT, "bad_words", [["x"]]), (CHAT, "allowed_token_ids", [[1]]),
    (CHAT, "guided_json", [{"type": "object"}]), (CHAT, "guided_regex", ["a+"]), (CHAT, "grammar", ["root ::= x"]),
    (CHAT, "structured_outputs", [{"json": {}}, {"regex": "a"}]),
    (CHAT, "response_format", [{"type": "json_object"}, {"type": "json_schema", "json_schema": {}}]),
    (CHAT, "tools", [TOOLS]), (CHAT, "functions", [[{"name": "x"}]]), (CHAT, "function_call", ["auto"]),
    (CHAT, "echo", [True]), (TEXT, "suffix", ["end"]), (CHAT, "include_stop_str_in_output", [True]),
    (CHAT, "min_tokens", [3]), (CHAT, "priority", [1]), (CHAT, "truncate_prompt_tokens", [5]),
    (CHAT, "modalities", [["text", "audio"]]), (CHAT, "audio", [{"voice": "x", "format": "wav"}]),
    (CHAT, "web_search_options", [{}]), (CHAT, "chat_template", ["{{ messages }}"]),
    (CHAT, "max_tokens", [-1, "4", 1.5]), (CHAT, "max_completion_tokens", [-1]), (CHAT, "stop", [[""], "", 5, [1], ["x"] * 65]),
    (CHAT, "top_logprobs", [3]), (CHAT, "stream", ["yes", 1]), (CHAT, "stream_options", [{"include_usage": True}]),
    (CHAT, "messages", [[], "hello", None, [{"content": "x"}], [{"role": "user"}], [5],
                        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]]),
    (TEXT, "prompt", [None, [], ["a", 5], [["a"]], {"a": 1}, ["x"] * 65, [10 ** 9], [-1]]),
    (TEXT, "logprobs", [21, -1, True]), (CHAT, "logprobs", [3]), (CHAT, "model", [5, ["topic"]]),
    (CHAT, "chat_template_kwargs", ["x"]), (CHAT, "ignore_eos", ["x"]), (CHAT, "stop_token_ids", [["x"], 5, [-1]]),
]


def each(rows):
    return [pytest.param(path, field, value, id=f"{path.rsplit('/', 2)[1]}-{field}-{json.dumps(value)[:30]}")
            for path, field, values in rows for value in values]


@pytest.fixture(scope="module")
def plain(server):
    return {path: json.loads(server.post(path, body)[2])["choices"] for path, body in BODIES.items()}


@pytest.mark.parametrize("path, field, value", each(SILENT))
def test_silent(server, plain, path, field, value):
    status, headers, body = server.post(path, {**BODIES[path], field: value})
    assert status == 200, body
    assert headers["x-dora-ignored"] is None
    assert json.loads(body)["choices"] == plain[path]


@pytest.mark.parametrize("path, field, value", each(NAMED))
def test_named(server, plain, path, field, value):
    status, headers, body = server.post(path, {**BODIES[path], field: value})
    assert status == 200, body
    assert headers["x-dora-ignored"] == field
    assert json.loads(body)["choices"] == plain[path]


@pytest.mark.parametrize("path, field, value", each(REFUSED))
def test_refused(server, path, field, value):
    status, headers, body = server.post(path, {**BODIES[path], field: value})
    error = json.loads(body)["error"]
    assert status == 400 and error["type"] == "invalid_request_error", body
    assert error["param"].split("[")[0].split(".")[0] in (field, "stream_options", "logprobs", "top_logprobs"), error
    assert set(error) == {"message", "type", "param", "code"} and error["message"] and headers["x-request-id"]


def test_strict_fields_refuse_what_nobody_knows(start_server):
    server = start_server("--strict-fields")
    status, _, body = server.post(CHAT, {**BODIES[CHAT], "something_private": 1})
    assert status == 400 and json.loads(body)["error"]["param"] == "something_private"
    assert server.post(CHAT, {**BODIES[CHAT], "temperature": 0.5})[0] == 200


def test_a_templates_variables(server):
    body = {**BODIES[CHAT], "chat_template_kwargs": {"enable_thinking": True}}
    text = json.loads(server.post("/apply-template", body)[2])["prompt"]
    assert text.endswith("<assistant> thinking=True ")
    assert json.loads(server.post("/apply-template", BODIES[CHAT])[2])["prompt"].endswith("<assistant> ")
    both = {**BODIES[CHAT], "add_generation_prompt": True, "continue_final_message": True}
    assert server.post(CHAT, both)[0] == 400
    more = [*MESSAGES, {"role": "assistant", "content": "It is"}]
    text = json.loads(server.post("/apply-template", {
        "messages": more, "add_generation_prompt": False, "continue_final_message": True})[2])["prompt"]
    assert text.endswith("It is")


def test_history_with_tools_is_rendered(server):
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{\"where\": \"here\"}"}}
    messages = [*MESSAGES, {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "found"}]
    text = json.loads(server.post("/apply-template", {"messages": messages})[2])["prompt"]
    assert '"arguments": {"where": "here"}' in text and "<tool> found" in text
    assert server.post(CHAT, {**BODIES[CHAT], "messages": messages})[0] == 200


def test_parts_of_text_are_joined(server):
    parts = [{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}]
    assert "<user> one\ntwo" in json.loads(server.post("/apply-template", {"messages": parts})[2])["prompt"]


def test_token_ids_come_back(server):
    body = {**BODIES[TEXT], "return_token_ids": True}
    reply = json.loads(server.post(TEXT, body)[2])
    line = server.line(prompt=PROMPT, adapter="topic", max_tokens=4)
    assert reply["choices"][0]["token_ids"] == line["token_ids"]
    prompt = reply.get("prompt_token_ids") or reply["choices"][0]["prompt_token_ids"]
    assert len(prompt) == line["usage"]["prompt_tokens"]
    reply = json.loads(server.post(TEXT, {**BODIES[TEXT], "logprobs": 1, "return_tokens_as_token_ids": True})[2])
    assert all(token.startswith("token_id:") for token in reply["choices"][0]["logprobs"]["tokens"])


def test_tokenize_and_back(server):
    reply = json.loads(server.post("/tokenize", {"model": "topic", "prompt": PROMPT, "return_token_strs": True})[2])
    assert reply["count"] == len(reply["tokens"]) == len(reply["token_strs"]) and reply["max_model_len"] == 1024
    bare = json.loads(server.post("/tokenize", {"prompt": PROMPT, "add_special_tokens": False})[2])["tokens"]
    assert json.loads(server.post("/detokenize", {"tokens": bare})[2])["prompt"] == PROMPT
    chat = json.loads(server.post("/tokenize", {"messages": MESSAGES})[2])
    text = json.loads(server.post("/apply-template", {"messages": MESSAGES})[2])["prompt"]
    assert chat["tokens"] == json.loads(
        server.post("/tokenize", {"prompt": text, "add_special_tokens": False})[2])["tokens"]
    assert json.loads(server.post("/tokenize", {"content": "x"})[2])["count"] >= 1
    assert server.post("/detokenize", {"tokens": [10 ** 9]})[0] == 400


def test_scoring_needs_no_new_token(server):
    reply = json.loads(server.post(TEXT, {**BODIES[TEXT], "max_tokens": 0, "echo": True, "logprobs": 1})[2])
    choice = reply["choices"][0]
    assert choice["text"] == PROMPT and reply["usage"]["completion_tokens"] == 0
    assert len(choice["logprobs"]["token_logprobs"]) == reply["usage"]["prompt_tokens"]
