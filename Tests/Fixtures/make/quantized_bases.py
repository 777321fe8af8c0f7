"""Writes Tests/Fixtures/bases in the formats of the hub's quantized checkpoints: GPTQ, AWQ, compressed-tensors, FP8.

The libraries pack and decode; what they are given is rounded to nearest here. QUANTIZERS names the folder that they lie in
(README). Where a library decodes nothing on a CPU, or not what its quantizer wrote, `decode` says so.
"""

import importlib
import json
import os
import re
import shutil
import sys
import types
from pathlib import Path

import bases
import common
import numpy as np
import torch
from peft import import_utils
from safetensors.torch import save_file

LIBRARIES = Path(os.environ.get("QUANTIZERS", common.FIXTURES / "make" / "quantizers"))
SHAPE = dict(num_hidden_layers=1)
GROUP = 32

# PEFT is to see plain layers, and asks once whether this library, which is to be imported, is installed.
import_utils.is_gptqmodel_available()


def library(name):
    """A module of a library without what its packages import at once: kernels, and transformers of other years."""
    if str(LIBRARIES) not in sys.path:
        sys.path.insert(0, str(LIBRARIES))
    parts = name.split(".")
    if parts[0] in ("awq", "auto_gptq"):
        for end in range(1, len(parts)):
            package = ".".join(parts[:end])
            if package not in sys.modules:
                sys.modules[package] = types.ModuleType(package)
                sys.modules[package].__path__ = [str(LIBRARIES.joinpath(*parts[:end]))]
    return importlib.import_module(name)


# --- GPTQ


def gptq_groups(name, columns, ordered):
    """The group of each input: in the order of made-up activations, or of neighbours."""
    groups = torch.arange(columns) // GROUP
    if ordered:
        groups = groups[torch.from_numpy(common.rng("g_idx", name).permutation(columns))]
    return groups.int()


def rounded(weight, groups, bits, symmetric):
    """Scales and zero points `[out, groups]` of codes that reach from the least to the greatest weight of a group."""
    top = 2**bits - 1
    scales, zeros = [], []
    for group in range(int(groups.max()) + 1):
        part = weight[:, groups == group].float()
        low, high = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
        if symmetric:
            high = torch.maximum(-low, high)
            low = -high
        scale = ((high - low) / top).half().float()
        scales.append(scale)
        zeros.append(torch.full_like(scale, (top + 1) // 2) if symmetric else (-low / scale).round())
    return torch.stack(scales, 1), torch.stack(zeros, 1)


def linear_of(weight, scales, zeros, groups, bits):
    """What the quantizers hand to `pack`: values that codes stand for."""
    scales, zeros = scales[:, groups.long()], zeros[:, groups.long()]
    codes = ((weight.float() / scales).round() + zeros).clamp(0, 2**bits - 1)
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight.data = ((codes - zeros) * scales).half()
    return layer


def gptq(bits, symmetric=True, ordered=False, version="gptq", writer="auto_gptq", dynamic=None, empty_bias=False, lowest=False):
    def bits_of(module):
        for pattern, change in (dynamic or {}).items():
            if re.match(pattern[2:], module):
                return None if pattern[0] == "-" else change.get("bits", bits)
        return bits

    def pack(name, module, weight):
        own = bits_of(module)
        if own is None:
            return None
        groups = gptq_groups(name + module, weight.shape[1], ordered)
        scales, zeros = rounded(weight, groups, own, symmetric)
        if writer == "auto_gptq":  # a zero point of 0 would run into its neighbours
            zeros = zeros.clamp(min=1)
        if lowest:
            zeros[::5] = 0
        linear = linear_of(weight, scales, zeros, groups, own)
        if writer == "auto_gptq":
            layer = library("auto_gptq.nn_modules.qlinear.qlinear_cuda").QuantLinear(
                own, GROUP, weight.shape[1], weight.shape[0], empty_bias)
            layer.pack(linear, scales, zeros.clone(), groups)
        else:
            layer = torch_linear(own, *weight.shape, symmetric, ordered)
            layer.pack_original(linear, scales, zeros.clone(), groups)
            if version == "gptq":
                model = library("gptqmodel.utils.model")
                model.convert_gptq_v2_to_v1_format_module(layer, types.SimpleNamespace(bits=own, pack_dtype=torch.int32))
        parts = {part: getattr(layer, part) for part in ("qweight", "qzeros", "scales", "g_idx")}
        if empty_bias:
            parts["bias"] = torch.zeros(weight.shape[0], dtype=torch.float16)
        return parts

    config = dict(quant_method="gptq", bits=bits, group_size=GROUP, sym=symmetric, desc_act=ordered,
                  checkpoint_format=version, damp_percent=0.1, true_sequential=True)
    return pack, {**config, **(dict(dynamic=dynamic) if dynamic else {})}


def torch_linear(bits, rows, columns, symmetric, ordered):
    layer = library("gptqmodel.nn_modules.qlinear.torch").TorchLinear(
        bits=bits, group_size=GROUP, sym=symmetric, desc_act=ordered, in_features=columns, out_features=rows, bias=False)
    return layer.eval()


def decode_gptq(parts, config):
    rows, columns = parts["qweight"].shape[1], parts["g_idx"].shape[0]
    bits = 32 * parts["qweight"].shape[0] // columns
    layer = torch_linear(bits, rows, columns, config["sym"], config["desc_act"])
    for part in ("qweight", "qzeros", "scales", "g_idx"):
        setattr(layer, part, parts[part])
    if config["checkpoint_format"] == "gptq":
        library("gptqmodel.utils.model").convert_gptq_v1_to_v2_format_module(layer, bits, torch.int32)
    layer.post_init()
    return layer.dequantize_weight().T


# --- AWQ


def awq(version):
    def pack(name, module, weight):
        groups = gptq_groups(name, weight.shape[1], False)
        scales, zeros = rounded(weight, groups, 4, False)
        kind = library(f"awq.modules.linear.{version}")
        layer = linear_of(weight, scales, zeros, groups, 4)
        if version == "gemm":
            layer = kind.WQLinear_GEMM.from_linear(
                layer, 4, GROUP, scales=scales.T.half().contiguous(), zeros=zeros.T.contiguous())
        else:
            layer = kind.WQLinear_GEMV.from_linear(layer, 4, GROUP, scales=scales.half(), zeros=zeros)
        return {part: getattr(layer, part) for part in ("qweight", "qzeros", "scales")}

    return pack, dict(quant_method="awq", bits=4, group_size=GROUP, zero_point=True, version=version,
                      modules_to_not_convert=None)


def decode_awq(parts, config):
    if config["version"] == "gemm":
        packing = library("awq.utils.packing_utils")
        return packing.dequantize_gemm(parts["qweight"], parts["qzeros"], parts["scales"], 4, GROUP).T
    # Its kernels are for GPUs only: what `WQLinear_GEMV.from_linear` packs, taken apart.
    places = torch.arange(0, 32, 4)

    def nibbles(words):
        return (words[:, :, None] >> places & 15).reshape(words.shape[0], -1).to(torch.int8)

    codes = nibbles(parts["qweight"])
    groups = torch.arange(codes.shape[1]) // GROUP
    return (codes - nibbles(parts["qzeros"])[:, groups]) * parts["scales"][:, groups]


# --- compressed-tensors


def compressor(form):
    base = library("compressed_tensors.compressors.base")
    library("compressed_tensors")
    return base.BaseCompressor.get_value_from_registry(form)


def scheme_of(weights):
    quantization = library("compressed_tensors.quantization")
    weights = {key: value for key, value in weights.items() if key != "actorder"}  # "group" is one of older versions
    return quantization.QuantizationScheme(targets=["Linear"], weights=quantization.QuantizationArgs(**weights))


def extremes(weight, weights):
    strategy = weights["strategy"]
    if strategy == "tensor":
        return weight.amin().reshape(1), weight.amax().reshape(1)
    if strategy == "channel":
        return weight.amin(1, keepdim=True), weight.amax(1, keepdim=True)
    if strategy == "group":
        parts = weight.reshape(weight.shape[0], -1, weights["group_size"])
        return parts.amin(-1), parts.amax(-1)
    rows, columns = weights["block_structure"]
    parts = weight.reshape(weight.shape[0] // rows, rows, -1, columns)
    return parts.amin((1, 3)), parts.amax((1, 3))


def compressed(form, dtype=torch.bfloat16, ordered=False, others=None, **weights):
    """`others`: regex of modules -> (format, weights) in groups of their own."""
    weights = dict(dict(num_bits=4, type="int", symmetric=True), **weights)
    groups = [("Linear", form, weights)] + [("re:" + k, *v) for k, v in (others or {}).items()]

    def pack(name, module, weight):
        weight = weight.to(dtype)
        _, own_form, own = next((g for g in groups[1:] if re.match(g[0][3:], module)), groups[0])
        scheme = scheme_of(own)
        order = None
        if ordered:
            g_idx = gptq_groups(name + module, weight.shape[1], True)
            order = torch.argsort(g_idx, stable=True)
            weight = weight[:, order]
        utils = library("compressed_tensors.quantization.utils")
        scale, zero = utils.calculate_qparams(*extremes(weight, own), scheme.weights)
        state = dict(weight=weight, weight_scale=scale.to(dtype), weight_zero_point=zero)
        parts = compressor(own_form).compress(state, scheme)
        if ordered:
            helpers = library("compressed_tensors.compressors.pack_quantized.helpers")
            codes = helpers.unpack_from_int32(parts["weight_packed"], own["num_bits"], weight.shape)
            codes = codes[:, torch.argsort(order)].contiguous()
            parts["weight_packed"] = helpers.pack_to_int32(codes, own["num_bits"])
            parts["weight_g_idx"] = g_idx
        return {key: value for key, value in parts.items() if value is not None}

    config = dict(
        quant_method="compressed-tensors", format=form, quantization_status="compressed", ignore=["lm_head"],
        kv_cache_scheme=None, global_compression_ratio=1.5,
        config_groups={
            f"group_{i}": dict(targets=[target], weights=own, input_activations=None, output_activations=None,
                               **(dict(format=own_form) if len(groups) > 1 else {}))
            for i, (target, own_form, own) in enumerate(groups)
        })
    if len(groups) > 1:
        config["format"] = "mixed-precision"
    return pack, config


def decode_compressed(parts, config, module):
    groups = list(config["config_groups"].values())
    own = next((g for g in groups if re.match(g["targets"][0].removeprefix("re:"), module)), groups[0])
    form, scheme = own.get("format") or config["format"], scheme_of(own["weights"])
    if (g_idx := parts.pop("weight_g_idx", None)) is None:
        return compressor(form).decompress(parts, scheme)["weight"]
    # As versions before 0.10 did: groups of neighbours in the order of g_idx.
    helpers = library("compressed_tensors.compressors.pack_quantized.helpers")
    order = torch.argsort(g_idx, stable=True)
    bits, shape = own["weights"]["num_bits"], parts["weight_shape"].tolist()
    codes = helpers.unpack_from_int32(parts["weight_packed"], bits, shape)[:, order]
    parts["weight_packed"] = helpers.pack_to_int32(codes.contiguous(), bits)
    return compressor(form).decompress(parts, scheme)["weight"][:, torch.argsort(order)]


# --- FP8


def grained(block, **options):
    """`block`: rows and columns, or None for one scale. Blocks at the edges may be partial."""
    config = dict(quant_method="fp8", activation_scheme="dynamic", modules_to_not_convert=["lm_head"], **options)
    if block:
        config["weight_block_size"] = list(block)

    def pack(name, module, weight):
        from transformers import FineGrainedFP8Config
        from transformers.integrations.finegrained_fp8 import Fp8Quantize

        settings = FineGrainedFP8Config(weight_block_size=block, scale_fmt=options.get("scale_fmt", "float"))
        op = Fp8Quantize(types.SimpleNamespace(quantization_config=settings))
        parts = op.convert({"weight": padded(weight.float(), block)})
        parts["weight"] = parts["weight"][: weight.shape[0], : weight.shape[1]].contiguous()
        if block is None:
            parts = {"weight": parts["weight"], "weight_scale": parts["weight_scale_inv"].reshape(()),
                     "input_scale": torch.tensor(0.01)}
        return parts

    return pack, config


def padded(weight, block):
    if block is None:
        return weight
    return torch.nn.functional.pad(weight, (0, -weight.shape[1] % block[1], 0, -weight.shape[0] % block[0]))


def decode_grained(parts, config):
    """By transformers; partial blocks are made whole first, because it takes rows / scales for the size of a block."""
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    rows, columns = parts["weight"].shape
    weight = padded(parts["weight"].view(torch.uint8), config.get("weight_block_size")).view(torch.float8_e4m3fn)
    scales = parts.get("weight_scale_inv", parts.get("weight_scale")).float()
    scales = scales if scales.ndim == 2 else scales.reshape(1, 1)
    return Fp8Dequantize(None)._dequantize_one(weight, scales, torch.float32)[:rows, :columns]


def fbgemm():
    def pack(name, module, weight):
        # FBGEMM's own quantizer is for GPUs only.
        scale = weight.float().abs().amax(1, keepdim=True) / 448
        return {"weight": (weight.float() / scale).to(torch.float8_e4m3fn), "weight_scale": scale}

    return pack, dict(quant_method="fbgemm_fp8", activation_scale_ub=1200.0, modules_to_not_convert=["lm_head"])


# --- all of them

# name -> (dtype of the model, what differs from SHAPE, packing and quantization_config). `apart`: where that is kept.
W8 = dict(num_bits=8, type="int", symmetric=True, strategy="channel")
BASES = {
    "gptq-4": ("float16", {}, gptq(4, empty_bias=True)),
    "gptq-8-asymmetric": ("float16", {}, gptq(8, symmetric=False)),
    "gptq-4-ordered": ("float16", {}, gptq(4, symmetric=False, ordered=True, writer="gptqmodel", version="gptq_v2")),
    "gptq-4-carried": ("float16", {}, gptq(4, symmetric=False, writer="gptqmodel", lowest=True)),
    "gptq-dynamic": ("bfloat16", dict(tie_word_embeddings=True, shards="30KB"), gptq(
        4, writer="gptqmodel", dynamic={r"+:.*\.mlp\.down_proj": dict(bits=8), r"-:.*\.self_attn\.k_proj": {}})),
    "awq-gemm": ("float16", {}, awq("gemm")),
    "awq-gemv": ("float16", {}, awq("gemv")),
    "compressed-4": ("bfloat16", {}, compressed("pack-quantized", strategy="group", group_size=GROUP)),
    "compressed-4-asymmetric": ("bfloat16", {}, compressed(
        "pack-quantized", strategy="group", group_size=GROUP, symmetric=False)),
    "compressed-4-ordered": ("float16", {}, compressed(
        "pack-quantized", torch.float16, ordered=True, strategy="group", group_size=GROUP, actorder="group")),
    "compressed-mixed": ("bfloat16", {}, compressed("pack-quantized", **W8, others={
        r".*\.o_proj": ("float-quantized", dict(num_bits=8, type="float", symmetric=True, strategy="channel")),
        r".*\.up_proj": ("int-quantized", dict(W8, symmetric=False)),
        r".*\.q_proj": ("float-quantized", dict(
            num_bits=8, type="float", symmetric=True, strategy="block", block_structure=[32, 16])),
        r".*\.v_proj": ("int-quantized", dict(W8, strategy="tensor")),
        r".*\.gate_proj": ("float-quantized", dict(num_bits=8, type="float", symmetric=True, strategy="tensor")),
    })),
    "compressed-8": ("bfloat16", {}, compressed("int-quantized", **W8)),
    "fp8-blocks": ("bfloat16", {}, grained((48, 40))),
    "fp8-exponents": ("bfloat16", {}, grained((32, 32), scale_fmt="ue8m0")),
    "fp8-tensor": ("bfloat16", {}, grained(None)),
    "fp8-rows": ("bfloat16", {}, fbgemm()),
}
APART = {"gptq-8-asymmetric": "quantize_config.json"}


def config_of(folder):
    folder = Path(folder)
    config = json.loads((folder / "config.json").read_text()).get("quantization_config")
    apart = folder / "quantize_config.json"
    return config or (dict(json.loads(apart.read_text()), quant_method="gptq") if apart.exists() else None)


def is_ours(folder):
    config = config_of(folder)
    return bool(config) and config.get("quant_method") in ("gptq", "awq", "compressed-tensors", "fp8", "fbgemm_fp8")


def split(stored):
    """module -> parts of quantized Linears; and the other tensors."""
    marks = ("qweight", "weight_packed", "weight_scale", "weight_scale_inv")
    modules = {key.rsplit(".", 1)[0] for key in stored if key.rsplit(".", 1)[1] in marks}
    parts, others = {m: {} for m in sorted(modules)}, {}
    for key, value in stored.items():
        module, part = key.rsplit(".", 1)
        if module in modules and part != "bias":
            parts[module][part] = value
        elif part != "bias" or value.any():  # AutoGPTQ's are empty
            others[key] = value
    return parts, others


def dense_weights(folder):
    """As `common.dense_weights`, quantized Linears as the libraries decode them."""
    config = config_of(folder)
    parts, others = split(common.checkpoint(folder))
    decoders = {
        "gptq": lambda p, m: decode_gptq(p, config), "awq": lambda p, m: decode_awq(p, config),
        "compressed-tensors": lambda p, m: decode_compressed(p, config, m),
        "fp8": lambda p, m: decode_grained(p, config),
        "fbgemm_fp8": lambda p, m: p["weight"].float() * p["weight_scale"],
    }
    decoded = {m: decoders[config["quant_method"]](dict(p), m).float().numpy() for m, p in parts.items()}
    dense = {key: value.float() for key, value in others.items()}
    dense.update({f"{m}.weight": torch.from_numpy(np.ascontiguousarray(w)) for m, w in decoded.items()})
    return dense, decoded


def write(name):
    dtype, options, (pack, config) = BASES[name]
    folder = common.BASES / name
    shutil.rmtree(folder, ignore_errors=True)
    model, shards, _ = bases.build(name, dtype, dict(SHAPE, **options))
    model.save_pretrained(folder, max_shard_size=shards)
    tensors = {}
    for key, value in common.checkpoint(folder).items():
        module, part = key.rsplit(".", 1)
        parts = pack(name, module, value) if part == "weight" and key.endswith("_proj.weight") else None
        for inner, tensor in ({part: value} if parts is None else parts).items():
            tensors[f"{module}.{inner}"] = tensor.detach().clone().contiguous()
    for file in folder.glob("model*"):
        file.unlink()
    names = sorted(tensors)
    if shards == "1GB":
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        # A matrix may lie across two files.
        halves = [names[0::2], names[1::2]]
        placed = {}
        for index, half in enumerate(halves, 1):
            file = f"model-0000{index}-of-00002.safetensors"
            save_file({key: tensors[key] for key in half}, folder / file, metadata={"format": "pt"})
            placed.update({key: file for key in half})
        common.write_json(folder / "model.safetensors.index.json", dict(metadata={}, weight_map=placed), indent=2)
    path = folder / "config.json"
    content = json.loads(path.read_text())
    if name in APART:
        config = {key: value for key, value in config.items() if key != "quant_method"}
        common.write_json(folder / APART[name], config, indent=2)
    else:
        content["quantization_config"] = config
    common.write_json(path, content, indent=2)


def write_digests(name):
    import decode

    _, decoded = dense_weights(common.BASES / name)
    source = bases.build(name, "float32", {k: v for k, v in dict(SHAPE, **BASES[name][1]).items() if k != "shards"})[0]
    weights = dict(source.named_modules())
    for module, values in decoded.items():
        error = np.abs(values - weights[module].weight.numpy()).mean()
        assert error < 0.03, f"{name}: {module} is off by {error}"
    digests = {module: decode.digest(w) for module, w in decoded.items()}
    common.write_json(common.GOLDEN / "decoded" / f"{name}.json", digests, indent=2)
    print(f"  {name}: {len(decoded)} quantized")


def main(wanted):
    for name in BASES:
        if wanted and not re.search(wanted, name):
            continue
        write(name)
        write_digests(name)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
