"""bitsandbytes checkpoints decoded with numpy, following the format and no library kernel.

`bitsandbytes.functional.dequantize_4bit` is no reference where the row width is not a multiple of the
block size and the CPU has AVX-512: that kernel indexes absmax per row, while the quantizer wrote blocks over
the flattened matrix. `check` compares with the library everywhere else.
"""

import hashlib
import json

import numpy as np
import torch

INT8_SCALE = np.float32(7.874015718698502e-3)
STATE = ".weight.quant_state.bitsandbytes__"


def raw(tensor):
    return tensor.contiguous().flatten().view(torch.uint8).numpy()


def state_of(stored, module):
    """The quant_state JSON of a 4-bit module and its type, or None."""
    for kind in ("nf4", "fp4"):
        if (blob := stored.get(f"{module}{STATE}{kind}")) is not None:
            return json.loads(bytes(raw(blob)))
    return None


def int8(stored, module):
    q = stored[f"{module}.weight"].numpy().astype(np.float32)
    scb = stored[f"{module}.SCB"].numpy()
    return (q * scb[:, None]) * INT8_SCALE


def absmax(stored, module, state):
    values = stored[f"{module}.weight.absmax"].numpy()
    if "nested_blocksize" not in state:
        return values
    outer = stored[f"{module}.weight.nested_absmax"].numpy()
    table = stored[f"{module}.weight.nested_quant_map"].numpy()
    outer = np.repeat(outer, state["nested_blocksize"])[: values.size]
    return table[values] * outer + np.float32(state["nested_offset"])


def four_bit(stored, module, state):
    packed = raw(stored[f"{module}.weight"])
    nibbles = np.stack([packed >> 4, packed & 15], axis=1).reshape(-1)
    count = int(np.prod(state["shape"]))
    scale = np.repeat(absmax(stored, module, state), state["blocksize"])[:count]
    values = stored[f"{module}.weight.quant_map"].numpy()[nibbles[:count]] * scale
    assert values.dtype == np.float32
    rounded = torch.from_numpy(values).to(getattr(torch, state["dtype"])).float()
    return rounded.numpy().reshape(state["shape"])


def all_linears(stored):
    """module -> decoded float32 [out, in], for every quantized Linear of a checkpoint."""
    decoded = {}
    for key in stored:
        if key.endswith(".SCB"):
            module = key.removesuffix(".SCB")
            decoded[module] = int8(stored, module)
        elif STATE in key:
            module = key.split(STATE)[0]
            decoded[module] = four_bit(stored, module, state_of(stored, module))
    return dict(sorted(decoded.items()))


def belongs_to(key, decoded):
    """Whether a stored tensor is part of a quantized Linear (its bias is not)."""
    module, _, rest = key.partition(".weight")
    if not rest and key.endswith((".SCB", ".weight_format")):
        module = key.rsplit(".", 1)[0]
    elif key.endswith(".weight_format"):
        module = key.removesuffix(".weight_format")
    return module in decoded and not key.endswith(".bias")


def check(stored, module, ours):
    """Bit equality with bitsandbytes, wherever its CPU kernel follows the format."""
    import bitsandbytes.functional as bnb

    if f"{module}.SCB" in stored:
        theirs = bnb.int8_vectorwise_dequant(stored[f"{module}.weight"], stored[f"{module}.SCB"])
    else:
        state = state_of(stored, module)
        if state["shape"][1] % state["blocksize"] and torch.backends.cpu.get_cpu_capability() == "AVX512":
            return False
        prefix = f"{module}.weight."
        parts = {k.removeprefix(prefix): v for k, v in stored.items() if k.startswith(prefix)}
        quant_state = bnb.QuantState.from_dict(parts, device=torch.device("cpu"))
        packed = torch.from_numpy(raw(stored[f"{module}.weight"]).copy()).reshape(-1, 1)
        theirs = bnb.dequantize_4bit(packed, quant_state).float()
    assert np.array_equal(theirs.numpy(), ours), module
    return True


def digest(weight):
    return hashlib.sha256(np.ascontiguousarray(weight, dtype="<f4").tobytes()).hexdigest()
