"""Writes golden/peft_matching.json: which modules PEFT's own code targets, with which rank and alpha."""

import common
import peft
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key
from transformers import LlamaConfig, LlamaForCausalLM

Q11 = "model.layers.11.self_attn.q_proj"
LAYER_1 = [f"model.layers.1.{m}" for m in (
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")]
EDGES = ["model.embed_tokens", "lm_head", "model.norm"]
LAYERS = [f"model.layers.{i}.self_attn.q_proj" for i in (0, 1, 2, 10, 11)]
EXPERTS = [f"model.layers.{i}.mlp.experts.{j}.up_proj" for i in (0, 1) for j in (0, 1)]
FUSED = ["model.layers.0.self_attn.qkv_proj", "model.layers.0.qq_proj", "q_proj", "model.q_proj.layers.0"]
QV = ["q_proj", "v_proj"]

# (config, modules to ask about)
TARGETS = [
    (dict(target_modules=QV), LAYER_1 + FUSED),
    (dict(target_modules=["proj"]), LAYER_1[:2]),
    (dict(target_modules=["self_attn.q_proj", "mlp.up_proj"]), LAYER_1),
    (dict(target_modules=["attn.q_proj"]), LAYER_1[:1]),
    (dict(target_modules=[Q11]), LAYERS),
    (dict(target_modules=["layers.1.self_attn.q_proj"]), LAYERS),
    (dict(target_modules=["1.self_attn.q_proj"]), LAYERS),
    (dict(target_modules=["q.proj", ".*v_proj", "^k_proj", "o_proj|up_proj"]), LAYER_1),
    (dict(target_modules=["embed_tokens", "lm_head"]), LAYER_1[:1] + EDGES),
    (dict(target_modules=r".*\.(q|v)_proj"), LAYER_1 + FUSED),
    (dict(target_modules="q_proj"), LAYER_1[:1] + FUSED),
    (dict(target_modules="q_proj|.*v_proj"), LAYER_1 + FUSED),
    (dict(target_modules=r".*layers\.\d\.self_attn\.q_proj"), LAYERS),
    (dict(target_modules=r"^model\.layers\.1\..*proj$"), LAYER_1 + LAYERS),
    (dict(target_modules=r"model\.layers\.(?P<n>1)\.self_attn\.q_proj\Z"), LAYERS),
    (dict(target_modules=r".*\.1\."), LAYER_1[:1]),
    (dict(target_modules=r"(?!.*lm_head).*_proj"), LAYER_1[:1] + EDGES),
    (dict(target_modules="all-linear"), LAYER_1 + EDGES),
    (dict(target_modules="All-Linear"), LAYER_1[:1] + EDGES[1:2]),
    (dict(target_modules=QV, exclude_modules=["v_proj"]), LAYER_1),
    (dict(target_modules=QV, exclude_modules=["proj"]), LAYER_1[:1]),
    (dict(target_modules=QV, exclude_modules=["layers.1.self_attn.q_proj"]), LAYERS),
    (dict(target_modules=QV, exclude_modules=["1.self_attn.q_proj"]), LAYERS),
    (dict(target_modules=[Q11], exclude_modules=["q_proj"]), LAYERS[4:]),
    (dict(target_modules=QV, exclude_modules=r".*\.1\..*"), LAYERS),
    (dict(target_modules=QV, exclude_modules="v_proj"), LAYER_1),
    (dict(target_modules=r".*_proj", exclude_modules=r".*mlp.*"), LAYER_1),
    (dict(target_modules="all-linear", exclude_modules=["o_proj"]), LAYER_1 + EDGES),
    (dict(target_modules=["q_proj", "lm_head"], modules_to_save=["lm_head"]), LAYER_1[:1] + EDGES),
    (dict(target_modules=QV, modules_to_save=["self_attn"]), LAYER_1[:3]),
    (dict(target_modules=QV, modules_to_save=["attn", "layers.1"]), LAYERS[:3]),
    (dict(target_modules=QV, layers_to_transform=1), LAYERS),
    (dict(target_modules=QV, layers_to_transform=[0, 11]), LAYERS),
    (dict(target_modules=QV, layers_to_transform=[]), LAYERS),
    (dict(target_modules=[Q11, "v_proj"], layers_to_transform=[1]), LAYERS + LAYER_1[2:3]),
    (dict(target_modules=["lm_head", "embed_tokens", "q_proj"], layers_to_transform=[1]), LAYERS[:2] + EDGES),
    (dict(target_modules=QV, layers_to_transform=[1], layers_pattern="layers"), LAYERS),
    (dict(target_modules=QV, layers_to_transform=[1], layers_pattern=["h", "layers"]), LAYERS),
    (dict(target_modules=QV, layers_to_transform=[1], layers_pattern="h"), LAYERS),
    (dict(target_modules=QV, layers_to_transform=[1], layers_pattern="model.layers"), LAYERS),
    (dict(target_modules=QV, layers_to_transform=[1], layers_pattern="ayers"), LAYERS),
    (dict(target_modules=["up_proj"], layers_to_transform=[1]), EXPERTS),
    (dict(target_modules=["up_proj"], layers_to_transform=[1], layers_pattern="layers"), EXPERTS),
    (dict(target_modules=["up_proj"], layers_to_transform=[1], layers_pattern="experts"), EXPERTS),
]
# rank_pattern keys, in file order, asked about one module; alpha_pattern takes the same way.
PATTERNS = [
    ({"q_proj": 1}, LAYERS), ({"self_attn.q_proj": 1}, LAYERS), ({"layers.11.self_attn.q_proj": 1}, LAYERS),
    ({"attn.q_proj": 1}, [Q11]), ({"_proj": 1}, [Q11]), ({"proj": 1}, [Q11]),
    ({"layers.1.self_attn.q_proj": 1}, LAYERS), ({"1.self_attn.q_proj": 1}, LAYERS), ({Q11: 1}, LAYERS),
    ({"^" + Q11: 1}, LAYERS), ({"^layers.11.self_attn.q_proj": 1}, [Q11]), ({"^q_proj": 1}, [Q11, "q_proj"]),
    ({"model.layers.*.q_proj": 1}, LAYERS), ({r"layers.1[0-9].*q_proj": 1}, LAYERS),
    ({r"layers\.\d\.self_attn\.q_proj": 1}, LAYERS), ({"q_proj|v_proj": 1}, LAYER_1), ({"q.proj": 1}, [Q11]),
    ({"q_proj$": 1}, [Q11]), ({".*q_proj": 1}, [Q11]), ({"layers.11": 1}, [Q11]), ({"layers.11.*": 1}, [Q11]),
    ({"^model.layers.1.self_attn.q_proj": 1}, LAYERS), ({"^model.layers.1.": 1}, LAYERS),
    ({"^model.layers.1.*": 1}, LAYERS), ({"self_attn.*": 1}, LAYER_1),
    ({"q_proj": 1, "self_attn.q_proj": 2}, [Q11]), ({"self_attn.q_proj": 2, "q_proj": 1}, [Q11]),
    ({"v_proj|q_proj": 1, "q_proj": 2}, LAYER_1), ({"q_proj": 2, "v_proj|q_proj": 1}, LAYER_1),
    ({"layers.1.*": 3, "q_proj": 5}, LAYERS), ({"q_proj": 5, "layers.1.*": 3}, LAYER_1),
    ({"k_proj": 7, "^model.layers.0.*": 2, "layers.*.q_proj": 4, "down_proj|up_proj": 6}, LAYERS + LAYER_1),
    ({"(q|k)_proj": 1}, LAYER_1),
    ({"(?:self_attn|mlp).(?:q|up)_proj": 1}, LAYER_1), ({"": 1}, [Q11, "lm_head"]),
    ({"lm_head": 1, "embed_tokens": 2}, EDGES), ({"Q_PROJ": 1}, [Q11]),
]


def tiny_model():
    with torch.device("meta"):
        return LlamaForCausalLM(LlamaConfig(
            hidden_size=8, intermediate_size=8, num_hidden_layers=12, num_attention_heads=2,
            num_key_value_heads=1, vocab_size=8))


def expanded(options):
    """PEFT expands all-linear against a model, and that is what it saves."""
    if options["target_modules"].lower() != "all-linear":
        return options["target_modules"]
    model = get_peft_model(tiny_model(), LoraConfig(task_type="CAUSAL_LM", **options))
    return model.peft_config["default"].target_modules


def agrees_with_injection(options, verdicts):
    """The same question put to get_peft_model, for the modules that a Llama has."""
    try:
        model = get_peft_model(tiny_model(), LoraConfig(task_type="CAUSAL_LM", **options))
    except ValueError:  # nothing was targeted
        injected = set()
    else:
        injected = set(model.base_model.targeted_module_names)
    names = {name for name, _ in tiny_model().named_modules()}
    for module, targeted in verdicts.items():
        assert module not in names or targeted == (module in injected), (options, module, targeted)


def targets():
    for options, modules in TARGETS:
        config = LoraConfig(task_type="CAUSAL_LM", **options)
        if isinstance(options["target_modules"], str):
            config.target_modules = expanded(options)
        verdicts = {m: bool(check_target_module_exists(config, m)) for m in modules}
        agrees_with_injection(options, verdicts)
        for module, targeted in verdicts.items():
            yield {"config": options, "module": module, "targeted": targeted, "rank": 8, "alpha": 8}


def patterns():
    """Ranks from each table alone, alphas from it reversed, so that the two never depend on each other."""
    for table, modules in PATTERNS:
        alphas = {key: 10 * value for key, value in reversed(table.items())}
        options = dict(r=16, lora_alpha=160, rank_pattern=table, alpha_pattern=alphas)
        config = LoraConfig(target_modules=".*", **options)
        ranks, alphas = config.rank_pattern, config.alpha_pattern
        for module in dict.fromkeys(modules):
            yield {
                "config": {"target_modules": ".*", **options},
                "module": module,
                "targeted": bool(check_target_module_exists(config, module)),
                "rank": ranks.get(get_pattern_key(ranks.keys(), module), config.r),
                "alpha": alphas.get(get_pattern_key(alphas.keys(), module), config.lora_alpha),
            }


if __name__ == "__main__":
    rows = [*targets(), *patterns()]
    lines = ",\n".join("    " + common.json.dumps(row) for row in rows)
    text = f'{{\n  "peft_version": "{peft.__version__}",\n  "rows": [\n{lines}\n  ]\n}}\n'
    (common.GOLDEN / "peft_matching.json").write_text(text)
    print(f"  {len(rows)} matching questions")
