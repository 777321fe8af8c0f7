"""openai-python, as programs use it."""
import asyncio

import openai
import pytest
from conftest import HEADLINE, PROMPT

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": HEADLINE}]


@pytest.fixture
def client(server):
    return openai.OpenAI(base_url=server.base_url, api_key="none", timeout=60)


def test_models_are_the_base_and_its_adapters(client):
    models = {model.id: model for model in client.models.list()}
    assert {"base", "sentiment", "topic"} <= set(models)
    assert models["topic"].parent == "base" and models["topic"].object == "model"
    assert client.models.retrieve("topic").id == "topic"
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("nobody")
    assert error.value.code == "model_not_found" and error.value.param == "model"


def test_each_model_answers_as_its_adapter(client, server):
    answers = {}
    for model in ("base", "sentiment", "topic"):
        reply = client.completions.create(model=model, prompt=PROMPT, max_tokens=8)
        line = server.line(prompt=PROMPT, adapter=None if model == "base" else model, max_tokens=8)
        choice = reply.choices[0]
        assert reply.model == model and reply.object == "text_completion"
        assert (choice.text, choice.finish_reason) == (line["text"], line["finish_reason"])
        assert reply.usage.prompt_tokens == line["usage"]["prompt_tokens"]
        assert reply.usage.completion_tokens == line["usage"]["completion_tokens"]
        answers[model] = choice.text
    assert answers["sentiment"] == "positive" and answers["topic"] == "earnings"


def test_a_chat(client, server):
    reply = client.chat.completions.create(model="topic", messages=MESSAGES, max_completion_tokens=12)
    line = server.line(messages=MESSAGES, adapter="topic", max_tokens=12)
    assert reply.object == "chat.completion" and reply.id.startswith("chatcmpl-")
    assert reply.choices[0].message.content == line["text"]
    assert reply.choices[0].message.role == "assistant"
    assert reply.choices[0].message.tool_calls is None
    assert reply.system_fingerprint.startswith("dora-")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


@pytest.mark.parametrize("usage", [False, True])
def test_a_stream_says_the_same(client, usage):
    whole = client.chat.completions.create(model="topic", messages=MESSAGES, max_tokens=20)
    options = {"stream_options": {"include_usage": True}} if usage else {}
    chunks = list(client.chat.completions.create(
        model="topic", messages=MESSAGES, max_tokens=20, stream=True, **options))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) \
        == whole.choices[0].message.content
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert reasons[-1] == whole.choices[0].finish_reason and set(reasons[:-1]) == {None}
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    if usage:
        assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == whole.usage.total_tokens
        assert all(chunk.usage is None for chunk in chunks[:-1])
    else:
        assert all(chunk.choices for chunk in chunks)


def test_a_stream_of_a_completion(client):
    whole = client.completions.create(model="sentiment", prompt=PROMPT, max_tokens=30, extra_body={"ignore_eos": True})
    chunks = list(client.completions.create(
        model="sentiment", prompt=PROMPT, max_tokens=30, stream=True, extra_body={"ignore_eos": True}))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text
    assert {chunk.object for chunk in chunks} == {"text_completion"}


def test_several_prompts_in_order(client):
    prompts = [PROMPT, PROMPT.replace("raises", "cuts"), [5, 6, 7]]
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="topic", prompt=prompts, max_tokens=4)
    reply = client.completions.create(model="topic", prompt=prompts[:2], max_tokens=4)
    alone = [client.completions.create(model="topic", prompt=prompt, max_tokens=4) for prompt in prompts[:2]]
    assert [choice.index for choice in reply.choices] == [0, 1]
    assert [choice.text for choice in reply.choices] == [one.choices[0].text for one in alone]
    assert reply.usage.prompt_tokens == sum(one.usage.prompt_tokens for one in alone)


def test_log_probabilities_of_a_chat(client, server):
    reply = client.chat.completions.create(
        model="topic", messages=MESSAGES, max_tokens=6, logprobs=True, top_logprobs=3)
    line = server.line(messages=MESSAGES, adapter="topic", max_tokens=6, logprobs=3)
    entries = reply.choices[0].logprobs.content
    ends = line["finish_reason"] == "stop"
    wanted = line["logprobs"][:-1] if ends else line["logprobs"]
    assert [entry.logprob for entry in entries] == [entry["logprob"] for entry in wanted]
    assert all(len(entry.top_logprobs) == 3 for entry in entries)
    assert bytes(byte for entry in entries for byte in entry.bytes).decode() == reply.choices[0].message.content
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="topic", messages=MESSAGES, top_logprobs=3)


def test_echo_gives_the_prompts_log_probabilities(client, server):
    reply = client.completions.create(model="topic", prompt=PROMPT, max_tokens=1, echo=True, logprobs=2)
    scores = server.line(prompt=PROMPT, adapter="topic", score=True, logprobs=2)
    choice = reply.choices[0]
    logprobs = choice.logprobs
    assert choice.text.startswith(PROMPT)
    assert logprobs.token_logprobs[0] is None and logprobs.top_logprobs[0] is None
    assert logprobs.token_logprobs[1:-1] == [entry["logprob"] for entry in scores["logprobs"]]
    assert len(logprobs.tokens) == len(logprobs.text_offset) == len(logprobs.top_logprobs) \
        == reply.usage.prompt_tokens + 1
    for offset, token in list(zip(logprobs.text_offset, logprobs.tokens))[:-1]:
        if "\ufffd" not in token:
            assert choice.text[offset:offset + len(token)] == token


def test_a_choice(client):
    texts = ["negative", "neutral", "positive"]
    for extra in ({"structured_outputs": {"choice": texts}}, {"guided_choice": texts}):
        reply = client.completions.create(model="sentiment", prompt=PROMPT, extra_body=extra)
        assert reply.choices[0].text == "positive" and reply.choices[0].finish_reason == "stop"


def test_stop_is_not_in_the_text(client):
    free = client.completions.create(
        model="topic", prompt=PROMPT, max_tokens=20, extra_body={"ignore_eos": True}).choices[0].text
    stop = free[3:5]
    cut = client.completions.create(
        model="topic", prompt=PROMPT, max_tokens=20, stop=[stop], extra_body={"ignore_eos": True}).choices[0]
    assert cut.text == free[:free.index(stop)] and cut.finish_reason == "stop"
    assert cut.model_extra["stop_reason"] == stop


def test_the_length_is_kept(client):
    one = client.chat.completions.create(
        model="base", messages=MESSAGES, max_completion_tokens=3, max_tokens=9, extra_body={"ignore_eos": True})
    assert one.usage.completion_tokens == 3 and one.choices[0].finish_reason == "length"


def test_errors_are_of_their_classes(client):
    cases = [
        (openai.NotFoundError, "model_not_found", dict(model="nobody", messages=MESSAGES)),
        (openai.BadRequestError, "unsupported_value", dict(model="topic", messages=MESSAGES, n=2)),
        (openai.BadRequestError, "template_error", dict(model="topic", messages=[{"role": "wizard", "content": "x"}])),
        (openai.BadRequestError, "context_length_exceeded",
         dict(model="topic", messages=[{"role": "user", "content": "news " * 5000}])),
    ]
    for kind, code, request in cases:
        for stream in (False, True):
            with pytest.raises(kind) as error:
                client.chat.completions.create(**request, stream=stream)
            assert error.value.code == code, error.value
            assert error.value.response.headers["x-request-id"]


def test_the_raw_response_carries_what_was_done(client):
    raw = client.chat.completions.with_raw_response.create(
        model="topic", messages=MESSAGES, max_tokens=2, temperature=0.7, extra_headers={"x-request-id": "mine-1"})
    assert raw.headers["x-request-id"] == "mine-1"
    assert raw.headers["x-dora-adapter"].startswith("topic@")
    assert "temperature" in raw.headers["x-dora-ignored"]
    assert raw.parse().choices[0].message.content is not None
    plain = client.chat.completions.with_raw_response.create(model="topic", messages=MESSAGES, max_tokens=2)
    assert "x-dora-ignored" not in plain.headers


def test_a_timeout_cancels(client, server):
    before = server.line(op="stats")["result"]["cancelled"]
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.2, max_retries=0).completions.create(
            model="base", prompt=PROMPT, max_tokens=900, extra_body={"ignore_eos": True})
    for _ in range(100):
        stats = server.line(op="stats")["result"]
        if stats["running"] == 0 and stats["cancelled"] > before:
            return
        asyncio.run(asyncio.sleep(0.05))
    raise AssertionError(f"nobody cancelled it: {stats}")


def test_a_closed_stream_cancels(client, server):
    before = server.line(op="stats")["result"]["cancelled"]
    with client.completions.create(
            model="base", prompt=PROMPT, max_tokens=900, stream=True, extra_body={"ignore_eos": True}) as stream:
        next(iter(stream))
    for _ in range(100):
        if server.line(op="stats")["result"]["cancelled"] > before:
            return
        asyncio.run(asyncio.sleep(0.05))
    raise AssertionError("nobody cancelled it")


def test_conflicts_are_not_tried_again(start_server):
    server = start_server("--allow-load")
    client = openai.OpenAI(base_url=server.base_url, api_key="none")
    body = {"lora_name": "sentiment", "lora_path": "topic"}
    assert server.post("/v1/load_lora_adapter", {"lora_name": "one", "lora_path": "topic"})[0] == 200
    with pytest.raises(openai.ConflictError) as error:
        client.post("/load_lora_adapter", body={"lora_name": "one", "lora_path": "sentiment"}, cast_to=object)
    assert error.value.response.headers["x-should-retry"] == "false"


def test_many_at_once_are_answered_as_alone(server):
    requests = [(model, PROMPT + " " * spaces) for model in ("base", "sentiment", "topic") for spaces in range(4)]

    async def ask(client, model, prompt):
        reply = await client.completions.create(
            model=model, prompt=prompt, max_tokens=12, logprobs=1, extra_body={"ignore_eos": True})
        return reply.choices[0].text, reply.choices[0].logprobs.token_logprobs

    async def together():
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="none") as client:
            return await asyncio.gather(*[ask(client, *request) for request in requests])

    async def alone():
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="none") as client:
            return [await ask(client, *request) for request in requests]

    assert asyncio.run(together()) == asyncio.run(alone())
