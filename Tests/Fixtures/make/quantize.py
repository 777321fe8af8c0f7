"""How bitsandbytes quantizes on a CPU with AVX2, in numpy, checked against every `source-*` checkpoint.

A loader that quantizes a dense checkpoint itself has to follow these lines to get the same bytes.
All arithmetic is float32, in the order written.
"""

import bases
import common
import decode
import numpy as np
import torch

BLOCK, NESTED_BLOCK = 64, 256
F32 = np.float32


def int8(weight):
    """One scale per row: float16 first, then `round_half_even(w · ((1 / absmax) · 127))`.

    The source says `127 / absmax`, which torch computes as a reciprocal and a product.
    """
    weight = weight.half().float().numpy()
    absmax = np.abs(weight).max(axis=1)
    return np.rint(weight * (F32(1) / absmax * F32(127))[:, None]).astype(np.int8), absmax


def four_bit_indices(weight, table):
    """Blocks over the flattened matrix; the nearest entry of the sorted table, the lower one on a tie."""
    flat = weight.float().numpy().reshape(-1)
    absmax = np.array([np.abs(flat[i : i + BLOCK]).max() for i in range(0, flat.size, BLOCK)], dtype=F32)
    full = flat.size - flat.size % BLOCK
    scaled = flat * np.repeat(F32(1) / absmax, BLOCK)[: flat.size]
    scaled[full:] = flat[full:] / absmax[-1]  # the short last block is divided, not multiplied
    order = np.argsort(table, kind="stable")
    middles = (table[order][:-1] + table[order][1:]) / F32(2)
    return order[np.searchsorted(middles, np.clip(scaled, -1, 1), side="left")], absmax


def torch_sum(values):
    """torch's order of summation with AVX2: 4 accumulators of 8 lanes, cascaded over 4 levels; the rest singly."""
    lanes, ways = (8 if values.size >= 8 else 1), 4
    rows = values[: values.size // lanes * lanes].reshape(-1, lanes)
    steps = len(rows) // ways
    power = max(4, int(np.ceil(np.log2(max(steps, 1)))) // 4)
    levels = [np.zeros((ways, lanes), F32) for _ in range(4)]
    for step in range(steps):
        levels[0] += rows[step * ways : (step + 1) * ways]
        for level in range(1, 4):
            if (step + 1) % (1 << level * power):
                break
            levels[level] += levels[level - 1]
            levels[level - 1][:] = 0
    lane = levels[0] + levels[1] + levels[2] + levels[3]
    for row in rows[steps * ways :]:
        lane[0] += row
    total = F32(0)
    for value in [*values[rows.size :], *(((lane[0] + lane[1]) + lane[2]) + lane[3])]:
        total += value
    return total


def nested(absmax, table):
    """Scales of scales: absmax minus their mean, one more absmax per 256, then an entry of the table of 256.

    Not quite the nearest entry: the library first rounds to one of 65536 points and looks that one up.
    """
    offset = torch_sum(absmax) / F32(absmax.size)
    centred = absmax - offset
    blocks = range(0, centred.size, NESTED_BLOCK)
    outer = np.array([np.abs(centred[i : i + NESTED_BLOCK]).max() for i in blocks], dtype=F32)
    scaled = centred * np.repeat(F32(1) / outer, NESTED_BLOCK)[: centred.size]
    point = np.floor((scaled + F32(1)) * F32(32767.5) + F32(0.5)) / 32767.5 - 1
    return np.abs(point[:, None] - table[None, :].astype(np.float64)).argmin(axis=1), outer, offset


def check_int8(module, weight, stored):
    q, scale = int8(weight)
    assert np.array_equal(q, stored[f"{module}.weight"].numpy()), module
    assert np.array_equal(scale, stored[f"{module}.SCB"].numpy()), module


def check_four_bit(module, weight, stored):
    state = decode.state_of(stored, module)
    prefix = f"{module}.weight."
    q, absmax = four_bit_indices(weight, stored[prefix + "quant_map"].numpy())
    packed = decode.raw(stored[f"{module}.weight"])
    assert np.array_equal(q[::2] << 4 | q[1::2], packed), module
    if "nested_blocksize" not in state:
        assert np.array_equal(absmax, stored[prefix + "absmax"].numpy()), module
        return
    q, outer, offset = nested(absmax, stored[prefix + "nested_quant_map"].numpy())
    assert offset == F32(state["nested_offset"]), module
    assert np.array_equal(q, stored[prefix + "absmax"].numpy()), module
    assert np.array_equal(outer, stored[prefix + "nested_absmax"].numpy()), module


def check_sum():
    for size in (1, 5, 8, 31, 513, 5000):
        values = common.rng("sum", size).uniform(0.2, 0.5, size).astype(F32)
        assert torch_sum(values) == torch.from_numpy(values).sum().item(), size


if __name__ == "__main__":
    check_sum()
    for source in bases.SOURCES:
        dense = common.checkpoint(common.BASES / source)
        for mode in bases.LOAD_MODES:
            stored = common.checkpoint(common.BASES / f"{source}-{mode}")
            check = check_int8 if mode == "int8" else check_four_bit
            for module in decode.all_linears(stored):
                check(module, dense[f"{module}.weight"], stored)
    print("  every written checkpoint is reproduced byte by byte")
