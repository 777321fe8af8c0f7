"""A server of one's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Mapping, Sequence

from ._client import Client, DoraError
from ._programs import program

#: What the demo model and its adapters were made for.
DEMO_PROMPT = (
    "Instruction: What is the sentiment of this news? "
    "Please choose an answer from {negative/neutral/positive}.\n"
    "Input: Tarnholt Foods raises its full-year profit guidance\nAnswer: "
)


def demo_adapters() -> dict[str, str]:
    """The two adapters of the demo model, which a server takes that is given no other.

    >>> sorted(demo_adapters())
    ['sentiment', 'topic']
    """
    folder = Path(program()).resolve().parent.parent / "share/dora/models/adapters"
    return {path.name: str(path) for path in sorted(folder.iterdir()) if path.is_dir()}


class Server(Client):
    """A server on a Unix socket that this user alone can use, in a process of its own, for as long as the context lasts.

    >>> with Server() as server:
    ...     server.adapters()
    []

    :param model: a folder, a GGUF file, a packed file, or an id. Default: the base of the adapters, else a demo model.
    :param adapters: folders, by the names that requests will give, or by the folders' own.
    :param options: of ``dora-serve``, with underscores: ``quantize="int8"``, ``adapter_root="…"``, ``threads=2``,
        ``http="tcp:127.0.0.1:8000"``. True stands for a flag; a list for an option that is given several times.
    :raises DoraError: the server did not start; the message is what it said.
    """

    def __init__(
        self, model: str | os.PathLike[str] | None = None, *,
        adapters: Mapping[str, str | os.PathLike[str]] | Sequence[str | os.PathLike[str]] = (), **options: Any,
    ):
        self._folder = tempfile.mkdtemp(prefix="dora-")
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__(f"unix:{self._folder}/dora.sock")
        arguments = ["--listen", self.address]
        if model is not None:
            arguments += ["--model", os.fspath(model)]
        if isinstance(adapters, Mapping):
            given = [f"{name}={os.fspath(path)}" for name, path in adapters.items()]
        else:
            given = [os.fspath(path) for path in adapters]
        for adapter in given:
            arguments += ["--adapter", adapter]
        self._arguments = arguments + _arguments(options)

    def start(self) -> Server:
        """Starts it, and returns once it answers. A context does so by itself."""
        if self._process is not None:
            return self
        log = os.path.join(self._folder, "log")
        with open(log, "wb") as errors:
            self._process = subprocess.Popen(
                ["dora-serve", *self._arguments], executable=program(), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=errors)
        # Its first line says that it listens.
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            status = self._process.wait()
            with open(log, encoding="utf-8", errors="replace") as errors_read:
                said = errors_read.read().strip()
            self.stop()
            raise DoraError("bad_data", "not_started", said or f"dora-serve ended with status {status}")
        return self

    def stop(self) -> None:
        """Lets it finish what runs, and ends it."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _arguments(options: Mapping[str, Any]) -> list[str]:
    """
    >>> _arguments({"max_queue": 5, "allow_load": True, "no_page": False, "http": ["tcp:a:1", "tcp:b:2"]})
    ['--max-queue', '5', '--allow-load', '--http', 'tcp:a:1', '--http', 'tcp:b:2']
    """
    arguments: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            arguments.append(flag)
        else:
            for each in value if isinstance(value, (list, tuple)) else [value]:
                arguments += [flag, str(each)]
    return arguments
