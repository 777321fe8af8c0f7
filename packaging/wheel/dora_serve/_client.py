"""The line protocol, from the client's side."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence


class DoraError(Exception):
    """What a server refused, or could not do.

    >>> raise DoraError("not_found", "unknown_adapter", "there is no adapter 'x'", "adapter")
    Traceback (most recent call last):
    dora_serve._client.DoraError: unknown_adapter: there is no adapter 'x'
    """

    def __init__(self, kind: str, code: str, message: str, param: str | None = None):
        super().__init__(f"{code}: {message}")
        #: ``invalid_request``, ``not_found``, ``conflict``, ``busy``, ``bad_data`` or ``internal``.
        self.kind = kind
        #: For programs; docs/protocol.md lists them.
        self.code = code
        self.message = message
        #: The field of the request that is at fault.
        self.param = param


@dataclass(frozen=True)
class Usage:
    """Tokens of a request."""

    prompt_tokens: int
    #: Of the prompt, what an earlier request of the same adapter had computed.
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Answer:
    """A text, and how it came about."""

    text: str
    token_ids: list[int]
    #: ``stop``, ``length`` or ``cancelled``.
    finish_reason: str
    #: The generation that answered, as ``name@1``; None for the base.
    adapter: str | None
    usage: Usage
    #: One ``{"id", "logprob", "top"}`` for each token, if they were asked for.
    logprobs: list[dict[str, Any]] | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Adapter:
    """An adapter that a server knows."""

    name: str
    #: ``loaded``, ``merging``, ``draining``, ``available`` or ``disabled``.
    state: str
    generation: int | None
    #: Of its merged matrices.
    bytes: int


#: What ``adapter`` is where none is given: the server's default.
DEFAULT = "\0"


class Client:
    """A server's client. Each call has a connection of its own, so threads may share one client.

    :param address: ``unix:PATH`` or ``tcp:HOST:PORT``.
    :param token: for servers that want one.
    :param timeout: seconds to wait for a server that says nothing.
    """

    def __init__(self, address: str, token: str | None = None, timeout: float | None = None):
        self.address = address
        self._token = token
        self._timeout = timeout
        self._place: tuple[int, Any] = _place(address)

    def generate(
        self, prompt: str | Sequence[int], *, adapter: str | None = DEFAULT, max_tokens: int = 256,
        stop: Sequence[str] = (), logprobs: int | None = None, **fields: Any,
    ) -> Answer:
        """Continues a prompt.

        :param prompt: text, or token ids.
        :param adapter: a name, ``name@generation``, or None for the base. Default: the server's.
        :param fields: others of the protocol's ``generate``, as ``ignore_eos``, ``stop_token_ids``, ``no_special``.
        :raises DoraError: the server refused.
        :raises OSError: it cannot be reached, or has gone.
        """
        request = _prompt(prompt) | _options(adapter, max_tokens, stop, logprobs) | fields
        return _answer(self._last(request))

    def chat(
        self, messages: str | Sequence[Mapping[str, Any]], *, adapter: str | None = DEFAULT, max_tokens: int = 256,
        stop: Sequence[str] = (), logprobs: int | None = None, **fields: Any,
    ) -> Answer:
        """Answers a conversation, which the chat template of the adapter or the model makes a prompt of.

        :param messages: ``[{"role": "user", "content": "…"}, …]``, or one user's text.
        """
        request = {"messages": _messages(messages)} | _options(adapter, max_tokens, stop, logprobs) | fields
        return _answer(self._last(request))

    def stream(
        self, prompt: str | Sequence[int], *, adapter: str | None = DEFAULT, max_tokens: int = 256,
        stop: Sequence[str] = (), **fields: Any,
    ) -> Iterator[str]:
        """The pieces of a text as they are made. Who stops to ask ends the request."""
        return self._pieces(_prompt(prompt) | _options(adapter, max_tokens, stop, None) | fields)

    def stream_chat(
        self, messages: str | Sequence[Mapping[str, Any]], *, adapter: str | None = DEFAULT, max_tokens: int = 256,
        stop: Sequence[str] = (), **fields: Any,
    ) -> Iterator[str]:
        """The same for a conversation's answer."""
        return self._pieces({"messages": _messages(messages)} | _options(adapter, max_tokens, stop, None) | fields)

    def choose(self, prompt: str | Sequence[int], choices: Sequence[str], *, adapter: str | None = DEFAULT) -> str:
        """The one of several texts that the model would rather say."""
        request = _prompt(prompt) | {"choices": list(choices)}
        if adapter != DEFAULT:
            request["adapter"] = adapter
        return str(self._last(request)["text"])

    def score(
        self, prompt: str | Sequence[int], continuations: Sequence[str], *, adapter: str | None = DEFAULT,
    ) -> dict[str, float]:
        """The log probability of each continuation of a prompt."""
        request = _prompt(prompt) | {"continuations": list(continuations)}
        if adapter != DEFAULT:
            request["adapter"] = adapter
        scores = self._last(request)["continuations"]
        return {text: float(score["sum"]) for text, score in zip(continuations, scores)}

    def adapters(self) -> list[Adapter]:
        """Those that the server knows."""
        found = self._result("adapters")["adapters"]
        return [Adapter(one["name"], one["state"], one.get("generation"), one.get("bytes") or 0) for one in found]

    def load(self, name: str, path: str | None = None, *, replace: bool = False, pin: bool = False) -> str:
        """Loads an adapter, and returns its generation.

        :param path: its folder, relative to the server's ``adapter_root``. Default: the name.
        """
        request: dict[str, Any] = {"name": name, "replace": replace, "pin": pin}
        if path is not None:
            request["path"] = path
        return str(self._result("load", **request)["adapter"])

    def unload(self, name: str, *, disable: bool = False) -> None:
        """Frees an adapter's memory.

        :param disable: do not load it again when it is named.
        """
        self._result("unload", name=name, disable=disable)

    def stats(self) -> dict[str, Any]:
        """Counts and memory."""
        return self._result("stats")

    def _result(self, operation: str, **fields: Any) -> dict[str, Any]:
        result: dict[str, Any] = self._last({"op": operation, **fields})["result"]
        return result

    def _last(self, request: dict[str, Any]) -> dict[str, Any]:
        line: dict[str, Any]
        for line in self._lines(request):
            if line.get("done"):
                return line
        raise ConnectionError(f"{self.address}: the server closed the connection before it had answered")

    def _pieces(self, request: dict[str, Any]) -> Iterator[str]:
        # The connection ends with the iterator, and the request with the connection.
        with contextlib.closing(self._lines(request | {"stream": True})) as lines:
            for line in lines:
                if line.get("done"):
                    return
                yield line["text"]
        raise ConnectionError(f"{self.address}: the server closed the connection before it had answered")

    def _lines(self, request: dict[str, Any]) -> Any:
        """Sends one request, and yields the objects that come back.

        :raises DoraError: one of them is an error.
        """
        family, place = self._place
        with socket.socket(family) as connection:
            connection.settimeout(self._timeout)
            connection.connect(place)
            requests = [request | {"id": 1}]
            if self._token is not None:
                requests.insert(0, {"op": "hello", "token": self._token, "id": 0})
            connection.sendall("".join(json.dumps(each) + "\n" for each in requests).encode())
            with connection.makefile("r", encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    answer = json.loads(line)
                    if "error" in answer:
                        error = answer["error"]
                        raise DoraError(error["type"], error["code"], error["message"], error.get("param"))
                    if answer.get("id") != 0:
                        yield answer


def connect(address: str, token: str | None = None, timeout: float | None = None) -> Client:
    """The client of a server that runs already.

    >>> connect("unix:/run/dora/dora.sock").address
    'unix:/run/dora/dora.sock'
    >>> connect("nowhere")
    Traceback (most recent call last):
    ValueError: 'nowhere' is no address; write unix:PATH or tcp:HOST:PORT
    """
    return Client(address, token, timeout)


def _place(address: str) -> tuple[int, Any]:
    """
    >>> _place("tcp:[::1]:7077")[1], _place("localhost:7077")[1]
    (('::1', 7077), ('localhost', 7077))
    """
    if address.startswith("unix:") and len(address) > 5:
        return socket.AF_UNIX, address[5:]
    host, colon, port = address.removeprefix("tcp:").rpartition(":")
    if not colon or not host or not port.isdigit():
        raise ValueError(f"{address!r} is no address; write unix:PATH or tcp:HOST:PORT")
    if host.startswith("["):
        return socket.AF_INET6, (host.strip("[]"), int(port))
    return socket.AF_INET, (host, int(port))


def _prompt(prompt: str | Sequence[int]) -> dict[str, Any]:
    """
    >>> _prompt("a"), _prompt([1, 2])
    ({'prompt': 'a'}, {'token_ids': [1, 2]})
    """
    return {"prompt": prompt} if isinstance(prompt, str) else {"token_ids": list(prompt)}


def _messages(messages: str | Sequence[Mapping[str, Any]]) -> list[Any]:
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)


def _options(
    adapter: str | None, max_tokens: int, stop: Sequence[str], logprobs: int | None,
) -> dict[str, Any]:
    """
    >>> _options(None, 5, "end", None)
    Traceback (most recent call last):
    TypeError: stop is a list of texts, not one text
    """
    if isinstance(stop, str):
        raise TypeError("stop is a list of texts, not one text")
    options: dict[str, Any] = {"max_tokens": max_tokens, "stop": list(stop)}
    if adapter != DEFAULT:
        options["adapter"] = adapter
    if logprobs is not None:
        options["logprobs"] = logprobs
    return options


def _answer(line: dict[str, Any]) -> Answer:
    usage = line["usage"]
    return Answer(
        text=line["text"], token_ids=line["token_ids"], finish_reason=line["finish_reason"], adapter=line["adapter"],
        usage=Usage(usage["prompt_tokens"], usage["cached_tokens"], usage["completion_tokens"]),
        logprobs=line.get("logprobs"))
