"""Small random models whose shapes no fixture has: what llama.cpp knows of families whose fixtures show what it does not.

Each is made by transformers and adapted by PEFT; a name says what is special about it.
"""

import models
import random_adapters
from families import FAMILIES
from fixture_configs import DEFAULT, FULL, LLAMA3, SLIDING, shaped

HALF = DEFAULT | dict(partial_rotary_factor=0.5)
SIXTY_FOUR = [FULL if (layer + 1) % 4 == 0 else SLIDING for layer in range(64)]

# name -> (family, configuration)
CONFIGS = {
    "glm4": ("glm4", shaped(head_dim=8, attention_bias=True, rope=HALF)),
    "glm4-unbiased": ("glm4", shaped(head_dim=8, attention_bias=False, rope=HALF)),
    "seed_oss": ("seed_oss", shaped(head_dim=16, attention_bias=True)),
    "seed_oss-unbiased": ("seed_oss", shaped(head_dim=8, attention_bias=False)),
    # The fourth is not rotated.
    "smollm3": ("smollm3", shaped(5, tied=True, no_rope_layer_interval=4)),
    "smollm3-head": ("smollm3", shaped(4, tied=False, no_rope_layer_interval=4)),
    "cohere": ("cohere", shaped(tied=True, logit_scale=1.5)),
    "exaone4": ("exaone4", shaped(3, sliding_window=None, layer_types=[FULL] * 3, rope=LLAMA3)),
    "exaone4-64": ("exaone4", shaped(64, sliding_window=6, sliding_window_pattern=4, layer_types=SIXTY_FOUR)),
}
# name -> what the line that refuses them as GGUF says.
REFUSED = {
    "cohere-normed": ("cohere", shaped(tied=True, use_qk_norm=True), "queryKeyNorm"),
    "exaone4-12": (
        "exaone4", shaped(12, sliding_window=6, sliding_window_pattern=4, layer_types=SIXTY_FOUR[:12]), "layers"),
    "seed_oss-out": ("seed_oss", shaped(attention_bias=True, attention_out_bias=True), "bias"),
    "smollm3-third": ("smollm3", shaped(3, no_rope_layer_interval=3), "layers"),
    "smollm3-window": ("smollm3", shaped(4, use_sliding_window=True, sliding_window=6), "layers"),
}


def make(name, folder):
    """Writes `base` and `adapter`, DoRA of all linear layers.

    Returns: base and adapted model, in F32.
    """
    kind, config = (CONFIGS.get(name) or REFUSED[name])[:2]
    family = FAMILIES[kind]
    model = models.build(family, config)
    models.fill(model, family, sum(map(ord, name)))
    models.save(model, family, folder / "base", model.dtype)
    base = models.load(family, folder / "base")
    random_adapters.save(
        base, folder / "adapter", dict(r=2, lora_alpha=4, use_dora=True, target_modules="all-linear"), 1)
    return base, random_adapters.load(base, folder / "adapter")
