"""Tiny random models: built, filled, saved as a checkpoint, and loaded again as transformers loads it, in F32."""

import json
import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["BITSANDBYTES_NOWELCOME"] = "1"

import torch
import transformers
from transformers import AutoConfig
from transformers.utils import logging

import spelling

logging.set_verbosity(50)
logging.disable_progress_bar()
torch.set_num_threads(1)
torch.set_grad_enabled(False)


def build(family, config):
    """A model in F32 of the drawn configuration, its weights not yet filled."""
    if family.wraps:
        tied = config["tie_word_embeddings"]
        ids = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
        vision = dict(family.vision)
        if "depth" in vision:
            vision["out_hidden_size"] = config["hidden_size"]
        config = dict(
            text_config=dict(config, model_type=family.wraps), vision_config=vision, tie_word_embeddings=tied,
            **images(family, config["vocab_size"]), **ids)
    config = getattr(transformers, family.config)(**config)
    config._attn_implementation = "eager"
    return getattr(transformers, family.model)(config).eval()


def images(family, vocabulary):
    """Ids that stand for images, in the small vocabulary; no prompt has them."""
    if family.wraps == "gemma3_text":
        return dict(boi_token_index=vocabulary - 3, eoi_token_index=vocabulary - 2, image_token_index=vocabulary - 1)
    if family.wraps in ("mistral", "ministral3"):
        return dict(image_token_index=vocabulary - 1)
    return dict(
        image_token_id=vocabulary - 1, video_token_id=vocabulary - 2, vision_start_token_id=vocabulary - 3,
        vision_end_token_id=vocabulary - 4)


def text_config(config):
    return config.get_text_config() if hasattr(config, "text_config") else config


def fill(model, family, seed):
    """Scales such that every matrix, norm and bias shows in the logits, and these are of order 1 to 10."""
    generator = torch.Generator().manual_seed(seed)

    def normal(parameter, std):
        parameter.normal_(0, std, generator=generator)

    tied = model.config.tie_word_embeddings
    for name, parameter in model.named_parameters():
        leaf = name.rpartition(".")[0].rpartition(".")[2]
        if name.endswith("bias"):
            normal(parameter, 0.3)
        elif "norm" in name.split(".", 3)[-1] or parameter.ndim == 1:
            parameter.uniform_(0.5, 1.5, generator=generator).sub_(1.0 if family.one_plus else 0.0)
        elif "embed_tokens" in name:
            # Gemma multiplies what it reads by √hidden, which would drown the layers; the head is this matrix, too.
            normal(parameter, (0.15 if "Gemma" in family.model else 0.3) if tied else 0.6)
        elif "lm_head" in name:
            normal(parameter, 0.3)
        else:
            gain = 1.4 if leaf in ("q_proj", "k_proj", "qkv_proj") else 1.0
            normal(parameter, gain / parameter[0].numel() ** 0.5)
    model.tie_weights()


def save(model, family, folder, dtype, words=None):
    """A checkpoint as transformers saves it; `words`, if given, respells its configuration."""
    model.to(dtype).save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    if words is not None:
        config = spelling.respell(config, type(model.config), family, words)
    path.write_text(json.dumps(config, indent=2) + "\n")


def load(family, folder):
    """What transformers makes of the saved files, computing in F32."""
    config = AutoConfig.from_pretrained(folder)
    config._attn_implementation = "eager"
    model = getattr(transformers, family.model).from_pretrained(
        folder, config=config, dtype=torch.float32, attn_implementation="eager").eval()
    stray = {p.dtype for p in model.parameters()} - {torch.float32}
    assert not stray, stray
    return model
