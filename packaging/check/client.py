"""The client against a server of its own: what it answers, what it refuses, what it leaves."""
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

import dora_serve

adapters = dora_serve.demo_adapters()
with dora_serve.Server(adapters=adapters, threads=2) as server:
    folder = Path(server.address.removeprefix("unix:")).parent
    assert (folder.stat().st_mode & 0o777) == 0o700
    whole = server.generate(dora_serve.DEMO_PROMPT, adapter="sentiment", max_tokens=8, logprobs=2)
    assert whole.text == "positive" and whole.finish_reason == "stop" and whole.adapter == "sentiment@1", whole
    assert whole.logprobs is not None and len(whole.logprobs) == len(whole.token_ids) == whole.usage.completion_tokens
    pieces = list(server.stream(dora_serve.DEMO_PROMPT, adapter=None, max_tokens=20, ignore_eos=True))
    assert "".join(pieces) == server.generate(
        dora_serve.DEMO_PROMPT, adapter=None, max_tokens=20, ignore_eos=True).text and len(pieces) > 3
    for piece in server.stream(dora_serve.DEMO_PROMPT, max_tokens=400, ignore_eos=True):
        break
    scores = server.score(dora_serve.DEMO_PROMPT, ["positive", "negative"], adapter="sentiment")
    assert scores["positive"] > scores["negative"]
    assert [(one.name, one.state) for one in server.adapters()] == [("sentiment", "loaded"), ("topic", "loaded")]
    server.unload("topic")
    assert server.load("topic") == "topic@1"
    for mistake, code in [
        (lambda: server.generate("a", adapter="none"), "unknown_adapter"),
        (lambda: server.generate("a", temperature=1), "unknown_field"),
        (lambda: server.chat("Hello"), "no_chat_template"),
    ]:
        try:
            mistake()
        except dora_serve.DoraError as error:
            assert error.code == code and error.message, error
        else:
            raise AssertionError(code)
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda name=name: answers.append(
            server.generate(dora_serve.DEMO_PROMPT, adapter=name, max_tokens=8).text)) for name in adapters for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["earnings"] * 4 + ["positive"] * 4, answers
assert not folder.exists()
try:
    server.generate("a")
except OSError:
    pass
else:
    raise AssertionError("a server that was stopped answers")

try:
    with dora_serve.Server(model="/nowhere"):
        raise AssertionError("no model")
except dora_serve.DoraError as error:
    assert error.code == "not_started" and "/nowhere" in error.message, error


class Saved:
    """What from_peft asks of a PeftModel."""

    active_adapter = "mine"

    def save_pretrained(self, folder: str, selected_adapters: list[str]) -> None:
        assert selected_adapters == ["mine"]
        # PEFT gives all names but "default" folders of their own.
        subprocess.run(["cp", "-R", adapters["sentiment"], os.path.join(folder, "mine")], check=True)


with warnings.catch_warnings():
    warnings.simplefilter("error")
    served = dora_serve.from_peft(Saved())
with served as server:
    assert server.generate(dora_serve.DEMO_PROMPT, max_tokens=8).adapter == "mine@1"
    saved = server._adapter
assert not os.path.exists(saved)

# Loaded in another type than the base's own.
Saved.config = SimpleNamespace(dtype="torch.float16", _name_or_path=os.path.join(adapters["topic"], "../../base"))
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    dora_serve.from_peft(Saved()).stop()
assert len(warned) == 1 and "loaded as float16" in str(warned[0].message) and warned[0].filename == __file__, warned
print("  the client: all as it should be")
sys.exit(0)
