"""The golden cases: (case, base, adapter, quantize, description, the base that holds the decoded weights)."""

import adapters
import bases
import gguf_bases
import methods
import quantized_bases
import spellings

NOTES = {
    "gqa-f32": "grouped-query attention, float32",
    "tied-f32": "tied embeddings: the head is the embedding matrix",
    "llama3-rope": "llama3 rope scaling in the old spelling, biting from position 16 on",
    "linear-rope": "linear rope scaling in the new spelling (rope_parameters, dtype)",
    "biases": "attention_bias and mlp_bias",
    "head-dim": "head_dim 24, not hidden / heads",
    "head-dim-8": "head_dim 8, multi-head attention",
    "bf16": "BF16 checkpoint, three layers, one key/value head",
    "f16": "F16 checkpoint",
    "sharded": "BF16 shards and an index",
    "old-config": "Llama-2-style config: no head_dim, no num_key_value_heads, legacy rope_scaling.type",
    "gguf-classic.gguf": "GGUF of 32-weight blocks and floats, Llama 3's rope scaling as divisors",
    "gguf-k.gguf": "GGUF of K and IQ4_XS blocks, tied",
    "gguf-q4_k.gguf": "GGUF, all of it Q4_K, tied",
    "gguf-q8_0.gguf": "GGUF, all of it Q8_0",
    "gguf-split-00001-of-00003.gguf": "GGUF in three parts, F16, biases, linear rope scaling",
    "gptq-4": "GPTQ of 4 bits by AutoGPTQ, with its empty biases",
    "gptq-8-asymmetric": "GPTQ of 8 bits with zero points, configured in a file of its own",
    "gptq-4-ordered": "GPTQ in the order of activations (desc_act), gptq_v2",
    "gptq-4-carried": "GPTQ by GPTQModel as version 1: zero points of 0 borrow from their neighbours",
    "gptq-dynamic": "GPTQ with 8 bits for one kind of module and none for another, tied, in shards",
    "awq-gemm": "AWQ, gemm", "awq-gemv": "AWQ, gemv",
    "compressed-4": "compressed-tensors, packed, symmetric",
    "compressed-4-asymmetric": "compressed-tensors, packed, zero points",
    "compressed-4-ordered": "compressed-tensors, packed, groups in the order of activations",
    "compressed-mixed": "compressed-tensors with six groups: integers and floats of 8 bits by tensor, row and block",
    "compressed-8": "compressed-tensors, int8 by row",
    "fp8-blocks": "FP8 in blocks that do not divide the matrices", "fp8-exponents": "FP8 with exponents for scales",
    "fp8-tensor": "FP8 with one scale", "fp8-rows": "FP8 by row (FBGEMM)",
    "dora-quantized": "DoRA on q, v, down", "lora-quantized": "LoRA on k, o, gate",
    "dora-qkv": "DoRA on q, k, v with r 8 and alpha 16, as FinLoRA trains it",
    "dora-qv": "DoRA on q, v with r 4 and alpha 8",
    "dora-rslora": "scaling alpha / sqrt(r)",
    "lora-plain": "LoRA without magnitudes",
    "lora-rslora": "LoRA with scaling alpha / sqrt(r)",
    "dora-all-linear": "all-linear, which PEFT saves expanded",
    "dora-regex": "target_modules is a regex that picks different modules per layer",
    "dora-exclude": "exclude_modules as a list",
    "dora-exclude-regex": "exclude_modules as a regex",
    "dora-patterns": "overlapping rank_pattern and alpha_pattern: the first match in file order wins",
    "dora-layers": "layers_to_transform as a list",
    "dora-layers-one": "layers_to_transform as one number",
    "dora-layers-pattern": "layers_to_transform with layers_pattern",
    "dora-save-head": "modules_to_save lm_head",
    "dora-save-embed": "modules_to_save embed_tokens, untied",
    "dora-save-norm": "modules_to_save norm, which PEFT matches by ending: every norm is saved",
    "dora-save-input-norm": "modules_to_save input_layernorm",
    "dora-save-embed-tied": "tied, modules_to_save embed_tokens: the head stays the base's",
    "dora-save-both-tied": "tied, modules_to_save embed_tokens and lm_head: two different tensors",
    "dora-save-ensure-tied": "tied, modules_to_save embed_tokens with ensure_weight_tying",
    "lora-bias-only": "bias lora_only: replaced biases of the adapted modules",
    "lora-bias-all": "bias all: replaced biases everywhere",
    "dora-bias-only": "bias lora_only with DoRA, which does not rescale biases",
    "dora-bias-all": "bias all with DoRA",
    "lora-bias-b": "lora_bias: B has a bias, added scaled, on modules without a bias",
    "lora-bias-b-biases": "lora_bias on modules with a bias",
    "dora-embed": "DoRA on embed_tokens: norm over the vocabulary",
    "dora-head": "DoRA on lm_head",
    "dora-embed-head": "DoRA on embed_tokens and lm_head, untied",
    "dora-embed-tied": "tied, DoRA on embed_tokens only: the head stays the base's",
    "dora-head-tied": "tied, DoRA on lm_head only: the embedding stays the base's",
    "dora-embed-head-tied": "tied, DoRA on both with their own factors",
    "dora-embed-ensure-tied": "tied, DoRA on embed_tokens with ensure_weight_tying",
    "lora-embed": "LoRA on embed_tokens",
    "lora-embed-tied": "tied, LoRA on embed_tokens only: the head stays the base's",
    "dora-tokens": "trainable_token_indices as a list: replaced rows",
    "dora-tokens-dict": "trainable_token_indices as a dictionary, unsorted",
    "dora-tokens-tied": "tied, trainable_token_indices: rows of the head are replaced too",
    "dora-resized-save": "trained on 131 tokens for 128, modules_to_save embed_tokens and lm_head",
    "dora-resized-save-tied": "tied, 131 tokens for 128, modules_to_save embed_tokens and lm_head",
    "dora-resized-factors": "133 tokens for 128, DoRA on embed_tokens and lm_head, the base layers saved along",
    "dora-resized-factors-tied": "tied, 133 tokens for 128, DoRA on both, the base layers saved along",
    "dora-resized-plain-tied": "tied, 130 tokens for 128, embedding and head saved along",
    "dora-resized-tokens-tied": "tied, 131 tokens for 128, the new rows among trainable_token_indices",
    "dora-resized-tokens-saved": "131 tokens for 128, trainable_token_indices, the base layers saved along",
    "dora-shrunk-save": "trained on 100 of 128 tokens, modules_to_save embed_tokens and lm_head",
    "dora-rank-1": "rank 1 on every projection",
    "dora-rank-37": "rank 37 of 64 and alpha 11.5",
    "dora-axolotl": "fan_in_fan_out null, as axolotl writes it, on int8",
    "dora-saved-bf16": "adapter stored in BF16, computed in float32",
    "dora-saved-f16": "adapter stored in F16, computed in float32",
    "spelled-magnitude-weight": "magnitude keys end in .weight",
    "spelled-magnitude-default": "magnitude keys end in .default.weight",
    "spelled-magnitude-2d": "magnitudes of shape [out, 1] and [1, out]",
    "spelled-default": "lora_A.default.weight and lora_B.default.weight",
    "spelled-no-prefix": "keys without base_model.model. (PEFT itself would load nothing)",
    "spelled-wrapped": "keys with module., _orig_mod. and _fsdp_wrapped_module.",
    "spelled-save-leftovers": "keys with .modules_to_save.default. and .original_module.",
    "spelled-null-fields": "many config fields null",
    "ia3-default": "(IA)³ as PEFT targets a Llama by default",
    "ia3-biases": "(IA)³ on every projection: outputs scale their bias, inputs do not",
    "ia3-regex": "(IA)³, targets and feedforward modules by regex, norms saved",
    "loha-all": "LoHa on every projection, with a rank_pattern",
    "lokr-whole": "LoKr, both sides whole",
    "lokr-right": "LoKr, the right side in factors, with an alpha_pattern",
    "lokr-both": "LoKr, both sides in factors",
    "vera-all": "VeRA on every projection: shared projections, cut to size",
    "oft-blocks": "OFT, the series of five terms",
    "oft-adjusted": "OFT, a block size that PEFT adjusts, three terms",
    "oft-exact": "OFT by number of blocks, exact Cayley transform",
    "oft-shared": "OFT, one block for all, on modules with a bias",
    "oft-coft": "constrained OFT: blocks projected to a bound",
    "paper-dora": "DoRA as NVlabs' code saves it, with one module of magnitudes alone",
    "scaled-dora": "DoRA times 0.5: the magnitudes stay",
    "scaled-lora": "LoRA times -0.75",
    "summed-lora": "two LoRA adapters of different ranks and targets, weighted",
}

# name -> adapters and factors, as the command line sums them
SUMS = {
    "scaled-dora": [("dora-qkv", 0.5)],
    "scaled-lora": [("lora-plain", -0.75)],
    "summed-lora": [("lora-plain", 0.5), ("lora-embed", 1.0), ("lora-rslora", -0.25)],
}


def expression(adapter):
    """A sum as the command line writes it; any other name as it is."""
    parts = SUMS.get(adapter, [(adapter, 1.0)])
    return adapter and "+".join(name if factor == 1 else f"{name}*{factor}" for name, factor in parts)


def original(adapter):
    """The PEFT adapter of the same answers."""
    if adapter == methods.PAPER:
        return methods.PAPER_SOURCE
    return spellings.SPELLINGS.get(adapter, (adapter,))[0]


def note(base, adapter):
    text = NOTES.get(base, "bitsandbytes: " + base)
    if adapter is None:
        return text
    if adapter in NOTES:
        return f"{NOTES[adapter]}; base: {base}"
    method = "LoRA" if adapter.startswith("lora") else "DoRA"
    kind = "q, v" if "-qv-" in adapter else "q, k, v" if "-qkv-" in adapter else "every projection"
    return f"{method} on {kind}; {text}"


def all_cases():
    cases = []

    def add(base, adapter=None, quantize=None):
        case = base + (f"-as-{quantize}" if quantize else "") + (f"--{adapter}" if adapter else "")
        weights = f"{base}-{quantize}" if quantize else base
        text = note(base, adapter) + (f"; quantized at load as {quantize}" if quantize else "")
        cases.append(dict(
            case=case, base=base, adapter=expression(adapter), quantize=quantize, description=text, weights=weights, source=original(adapter)))

    for base in [*bases.DENSE, *bases.QUANTIZED, *gguf_bases.BASES, *quantized_bases.BASES]:
        add(base)
    for base in quantized_bases.BASES:
        for adapter, (source, _) in adapters.QUANTIZED.items():
            if base != source:
                add(base, adapter)
    for adapter, (base, _) in adapters.CONFIGS.items():
        if not base.startswith("source-"):
            add(base, adapter)
    for adapter, (base, *_) in methods.METHODS.items():
        add(base, adapter)
    for adapter in (methods.PAPER, *SUMS):
        add("gqa-f32", adapter)
    for adapter, (source, *_) in spellings.SPELLINGS.items():
        add(adapters.CONFIGS[source][0], adapter)
    for source in bases.SOURCES:
        adapter = f"dora-qv-{source}"
        add(source, adapter)
        for mode in bases.LOAD_MODES:
            for chosen in (None, adapter):
                add(f"{source}-{mode}", chosen)
                add(source, chosen, mode)
    return cases
