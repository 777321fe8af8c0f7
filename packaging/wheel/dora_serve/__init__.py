"""Serve DoRA and LoRA adapters from a CPU.

>>> import dora_serve
>>> with dora_serve.Server(adapters=dora_serve.demo_adapters()) as server:
...     answer = server.generate(dora_serve.DEMO_PROMPT, adapter="sentiment", max_tokens=8)
...     print(answer.text, answer.adapter)
...     print("".join(server.stream(dora_serve.DEMO_PROMPT, adapter="topic", max_tokens=8)))
...     print(server.choose(dora_serve.DEMO_PROMPT, ["positive", "negative"], adapter="sentiment"))
positive sentiment@1
earnings
positive
"""

from ._client import Adapter, Answer, Client, DoraError, Usage, connect
from ._peft import from_peft
from ._server import DEMO_PROMPT, Server, demo_adapters

__all__ = [
    "DEMO_PROMPT",
    "Adapter",
    "Answer",
    "Client",
    "DoraError",
    "Server",
    "Usage",
    "connect",
    "demo_adapters",
    "from_peft",
]
