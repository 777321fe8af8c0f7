"""From a training notebook to a served adapter."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

from ._server import Server


class _TemporaryAdapter(Server):
    """A server of an adapter whose folder goes with it."""

    def __init__(self, folder: str, *arguments: Any, **options: Any):
        self._adapter = folder
        super().__init__(*arguments, **options)

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self._adapter, ignore_errors=True)


def from_peft(
    peft_model: Any, name: str | None = None, *, model: str | os.PathLike[str] | None = None, **options: Any,
) -> Server:
    """Saves the active adapter of a ``peft.PeftModel`` to a temporary folder, and serves it::

        with dora_serve.from_peft(peft_model) as server:
            print(server.generate("…").text)

    :param name: what requests call it. Default: its name in the model; a request that names none is answered by it.
    :param model: the base. Default: the one that the adapter names, by its folder or in the Hugging Face cache.
    :param options: as of :class:`Server`; ``quantize`` is how bitsandbytes holds the model, unless it is given.

    The base is read from its files. Loaded in another type than theirs, the model in memory is not quite that one, and a
    warning says so.
    """
    active = getattr(peft_model, "active_adapter", "default")
    active = active[0] if isinstance(active, (list, tuple)) else active
    options.setdefault("quantize", quantization(peft_model))
    base = model if model is not None else getattr(getattr(peft_model, "config", None), "_name_or_path", "")
    held, stored = held_type(peft_model), stored_type(base) if base else None
    if held and stored and held != stored:
        warnings.warn(
            f"the model was loaded as {held}, and {os.fspath(base)} holds {stored}, which is what will be served: answers may "
            f"differ. Load it with dtype=\"auto\", or give model=FOLDER with the weights saved as {held}", stacklevel=2)
    folder = tempfile.mkdtemp(prefix="dora-adapter-")
    try:
        peft_model.save_pretrained(folder, selected_adapters=[active])
        found = sorted(Path(folder).rglob("adapter_config.json"))
        if not found:
            raise ValueError(f"PEFT saved no adapter_config.json for the adapter {active!r}")
        return _TemporaryAdapter(folder, model, adapters={name or active: found[0].parent}, **options)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def quantization(model: Any) -> str | None:
    """The ``quantize`` of a model in memory that bitsandbytes quantized from a 16- or 32-bit checkpoint.

    >>> from types import SimpleNamespace as Model
    >>> def held(**fields):
    ...     return quantization(Model(config=Model(quantization_config=fields)))
    >>> held(load_in_8bit=True), held(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    ('int8', 'nf4-double')
    >>> held(quant_method="awq") is None and quantization(Model()) is None
    True
    """
    config = getattr(getattr(model, "config", None), "quantization_config", None)
    if config is None:
        return None
    fields = config if isinstance(config, dict) else vars(config)

    def field(key: str, default: Any = None) -> Any:
        # bitsandbytes' configuration keeps some behind properties.
        return fields.get(key, fields.get("_" + key, default))

    if field("load_in_8bit"):
        return "int8"
    if field("load_in_4bit"):
        kind = field("bnb_4bit_quant_type", "fp4")
        return "nf4-double" if kind == "nf4" and field("bnb_4bit_use_double_quant") else str(kind)
    return None


def held_type(model: Any) -> str | None:
    """The type in which a model was loaded, and quantized then.

    >>> from types import SimpleNamespace as Model
    >>> held_type(Model(config=Model(dtype="torch.bfloat16"))), held_type(Model())
    ('bfloat16', None)
    """
    config = getattr(model, "config", None)
    found = getattr(config, "dtype", None) or getattr(config, "torch_dtype", None)
    return str(found).removeprefix("torch.") if found else None


def stored_type(base: str | os.PathLike[str]) -> str | None:
    """The type of a base's weights as its config.json names it; None where neither a folder nor the Hugging Face cache has one.

    >>> from dora_serve import demo_adapters
    >>> stored_type(Path(demo_adapters()["topic"]).parent.parent / "base"), stored_type("org/model")
    ('bfloat16', None)
    """
    path: Any = Path(base, "config.json")
    if not path.exists():
        try:
            # Who has PEFT has it.
            path = importlib.import_module("huggingface_hub").try_to_load_from_cache(os.fspath(base), "config.json")
        except (ImportError, ValueError):
            return None
    try:
        config = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, TypeError, ValueError):
        return None
    found = config.get("dtype") or config.get("torch_dtype") if isinstance(config, dict) else None
    return str(found).removeprefix("torch.") if found else None
