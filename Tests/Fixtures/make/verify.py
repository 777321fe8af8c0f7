"""Recomputes every golden answer from the files alone: factors merged by formula, PEFT not involved.

The adapter file is read tensor by tensor, `W' = m / ‖V + s·BA‖ · (V + s·BA)` is formed in float64, tied
matrices are untied first, and the merged weights run through a plain LlamaForCausalLM. This is also, in 150
lines, what a loader of these files has to do.
"""

import json
import re
import sys

import adapters
import common
import torch
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

OTHERS = ("ia3", "loha", "lokr", "vera", "oft", "paper")  # left to PEFT

PARTS = {
    "lora_A.weight": "A", "lora_B.weight": "B", "lora_B.bias": "b",
    "lora_embedding_A": "A", "lora_embedding_B": "B",
    "lora_magnitude_vector": "m", "base_layer.weight": "V", "base_layer.bias": "bias",
    "token_adapter.trainable_tokens_delta": "rows",
}


def normalized(key):
    key = re.sub(r"^module\.|_orig_mod\.|_fsdp_wrapped_module\.", "", key).removeprefix("base_model.model.")
    key = key.replace(".modules_to_save.default.", ".")
    key = re.sub(r"(lora_[AB])\.default\.", r"\1.", key)
    return re.sub(r"(lora_magnitude_vector)(\.default)?(\.weight)?$", r"\1", key)


def grouped(tensors):
    """module -> part -> tensor for adapted modules, and the tensors that simply replace the base's."""
    modules, replaced = {}, {}
    for key, value in tensors.items():
        if ".original_module." in (key := normalized(key)):
            continue
        for ending, part in PARTS.items():
            if key.endswith("." + ending):
                modules.setdefault(key.removesuffix("." + ending), {})[part] = value.double()
                break
        else:
            replaced[key] = value.double()
    return modules, replaced


def pattern(table, module, default):
    for key, value in (table or {}).items():
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return default


def scaling(config, module, rank):
    assert rank == pattern(config["rank_pattern"], module, config["r"]), module
    alpha = pattern(config["alpha_pattern"], module, config["lora_alpha"])
    return alpha / (rank**0.5 if config["use_rslora"] else rank)


def adapted(config, module, parts, weight):
    """One merged matrix. An embedding is the transposed case: `B·A` is [hidden, vocab]."""
    s = scaling(config, module, parts["A"].shape[0])
    embedding = module.endswith("embed_tokens")
    v = parts.get("V", weight)
    v = v.T if embedding else v
    w = v + s * parts["B"] @ parts["A"]
    assert ("m" in parts) == bool(config["use_dora"]), module
    if "m" in parts:
        w = w * (parts["m"].flatten() / w.norm(dim=1))[:, None]
    return (w.T if embedding else w), s


def replaced_rows(config, rows, weights, tied):
    indices = config["trainable_token_indices"]
    indices = indices if isinstance(indices, list) else indices["embed_tokens"]
    for side in ("model.embed_tokens", "lm_head") if tied else ("model.embed_tokens",):
        weights[f"{side}.weight"][indices] = rows


def merge(weights, folder, tied):
    config = json.loads((folder / "adapter_config.json").read_text())
    modules, replaced = grouped(load_file(folder / "adapter_model.safetensors"))
    assert all(key in weights and weights[key].shape == v.shape for key, v in replaced.items())
    weights.update(replaced)
    for module, parts in modules.items():
        if "rows" in parts:
            replaced_rows(config, parts["rows"], weights, tied)
            continue
        weights[f"{module}.weight"], s = adapted(config, module, parts, weights[f"{module}.weight"])
        bias = parts.get("bias", weights.get(f"{module}.bias"))
        if "b" in parts:
            bias = s * parts["b"] + (0 if bias is None else bias)
        if bias is not None:
            weights[f"{module}.bias"] = bias


def merged_model(folder, adapter):
    template = adapters.resized(common.dense_model(folder), adapter)
    tied = template.config.tie_word_embeddings
    weights = {k: v.double().clone() for k, v in template.state_dict().items()}
    if adapter:
        merge(weights, common.ADAPTERS / adapter, tied)
    template.config.tie_word_embeddings = False
    model = LlamaForCausalLM(template.config).float().eval()
    for key, value in weights.items():
        if key.endswith(".bias"):
            model.get_submodule(key.removesuffix(".bias")).bias = torch.nn.Parameter(torch.zeros(value.shape))
    model.load_state_dict({k: v.float() for k, v in weights.items()})
    return model


def difference(model, prompt):
    """The largest deviation in any recorded log-probability; the greedy ids must be the same."""
    ids = torch.tensor([prompt["prompt_ids"] + prompt["greedy_ids"]])
    start = len(prompt["prompt_ids"]) - 1
    logprobs = model(input_ids=ids, use_cache=False).logits[0].double().log_softmax(-1)
    assert logprobs[start:-1].argmax(-1).tolist() == prompt["greedy_ids"]
    following = logprobs[:-1].gather(-1, ids[0, 1:, None])[:, 0]
    recorded = torch.tensor(prompt["prompt_logprobs"] + prompt["greedy_logprobs"], dtype=torch.float64)
    worst = (following - recorded).abs().max().item()
    for row, tops in zip(logprobs[start:], prompt["top"], strict=False):
        worst = max(worst, *(abs(row[i].item() - value) for i, value in tops))
    return worst


def main(wanted):
    worst, cases, answers = 0, 0, {}
    for file in sorted(common.GOLDEN.glob("*.json")):
        if file.stem == "peft_matching" or (wanted and not re.search(wanted, file.stem)):
            continue
        case = json.loads(file.read_text())
        assert case["case"] == file.stem
        if set(case["adapter"] or "") & set("*+") or (case["adapter"] or "").startswith(OTHERS):
            continue
        folder = common.BASES / (f"{case['base']}-{case['quantize']}" if case["quantize"] else case["base"])
        same = answers.setdefault((folder.name, case["adapter"]), case["prompts"])
        assert same == case["prompts"], f"{file.stem}: differs from the written checkpoint's"
        model = merged_model(folder, case["adapter"])
        found = max(difference(model, prompt) for prompt in case["prompts"])
        assert found < case["tolerance"] / 2, f"{file.stem}: {found}"
        worst, cases = max(worst, found), cases + 1
    print(f"  {cases} cases agree with merged weights within {worst:.1e}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
