"""From a training notebook to a served adapter."""

from __future__ import annotations

import os
import shutil
import tempfile
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
    """
    active = getattr(peft_model, "active_adapter", "default")
    active = active[0] if isinstance(active, (list, tuple)) else active
    options.setdefault("quantize", quantization(peft_model))
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
