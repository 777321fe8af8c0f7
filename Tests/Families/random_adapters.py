"""Random adapters, saved by PEFT: LoRA and DoRA of any rank on any linear layers, fused ones and a wrapper's too."""

import copy
import os
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer

warnings.simplefilter("ignore")


def leaves(model):
    """The last names of the text part's linear layers."""
    return sorted({
        name.rpartition(".")[2] for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and ".layers." in name
        and "vision" not in name and "visual" not in name})


def options(r, model):
    """What PEFT's LoraConfig is given."""
    names = leaves(model)
    some = r.sample(names, r.randint(1, len(names)))
    found = dict(
        r=r.choice((1, 2, 4, 8)), lora_alpha=r.choice((2, 4, 8)), use_dora=r.random() < 0.6,
        use_rslora=r.random() < 0.3, target_modules=r.choice(("all-linear", some, some)))
    extra = r.random()
    if found["target_modules"] != "all-linear":
        if extra < 0.08:
            found["modules_to_save"] = [r.choice(("norm", "lm_head"))]
        elif extra < 0.16:
            found["target_modules"] = some + [r.choice(("embed_tokens", "lm_head"))]
        elif extra < 0.24:
            found["bias"] = r.choice(("all", "lora_only"))
    return found


def fill(model, seed):
    """Both factors such that the change is nearly half of the weight's spread, magnitudes off their norms."""
    generator = torch.Generator().manual_seed(seed)

    def normal(parameter, std):
        parameter.copy_(torch.empty_like(parameter).normal_(0, std, generator=generator))

    done = set()
    for layer in model.modules():
        if not isinstance(layer, LoraLayer) or "default" not in layer.scaling:
            continue
        a = layer.lora_A["default"].weight if "default" in layer.lora_A else layer.lora_embedding_A["default"]
        b = layer.lora_B["default"].weight if "default" in layer.lora_B else layer.lora_embedding_B["default"]
        spread = layer.get_base_layer().weight.std().item()
        normal(a, 0.1)
        normal(b, 0.4 * spread / (0.1 * layer.scaling["default"] * layer.r["default"] ** 0.5))
        done |= {id(a), id(b)}
        if "default" in layer.lora_magnitude_vector:
            m = layer.lora_magnitude_vector["default"].weight
            m.mul_(torch.empty_like(m).uniform_(0.7, 1.4, generator=generator))
            done.add(id(m))
    for parameter in model.parameters():  # saved modules and biases
        if parameter.requires_grad and id(parameter) not in done:
            parameter.add_(torch.empty_like(parameter).normal_(0, 0.2, generator=generator))


def save(base, folder, settings, seed):
    """A folder as PEFT saves it."""
    with torch.enable_grad():  # PEFT reads requires_grad
        model = get_peft_model(copy.deepcopy(base), LoraConfig(task_type="CAUSAL_LM", **settings))
    fill(model, seed)
    model.save_pretrained(folder, save_embedding_layers=False)
    readme = os.path.join(folder, "README.md")
    if os.path.exists(readme):
        os.unlink(readme)


def load(base, folder):
    return PeftModel.from_pretrained(copy.deepcopy(base), folder).eval()
