"""What transformers and PEFT compute in F32 on the decoded weights."""

import json
import sys
import warnings
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

import texts
import quantized  # of models/train: mends a helper of PEFT for 8-bit weights on a CPU

NEW_TOKENS, LABEL_TOKENS = 48, 12
FORMS = {
    "16-bit": None,
    "int8": dict(load_in_8bit=True),
    "nf4": dict(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
    "nf4-double": dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True),
    "fp4": dict(load_in_4bit=True, bnb_4bit_quant_type="fp4"),
}


def decoded(checkpoint, form):
    """The base whose linear layers hold V: quantized by bitsandbytes and decoded again."""
    if FORMS[form] is None:
        return AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    settings = BitsAndBytesConfig(bnb_4bit_compute_dtype=torch.float32, **FORMS[form])
    model = AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype=torch.float16, device_map="cpu", quantization_config=settings)
    # 4-bit weights decode to the checkpoint's type, F16; without a type, transformers would round int8 to bfloat16.
    model.dequantize(dtype=torch.float32)
    return model.to(torch.float32).eval()


@torch.inference_mode()
def predictions(model, ids):
    """Log probabilities of all tokens at every position but the last, which predicts nothing of the text."""
    logits = model(torch.tensor([ids[:-1]]), use_cache=False).logits[0]
    return torch.log_softmax(logits.double(), -1).float()


@torch.inference_mode()
def greedy(model, ids, new_tokens):
    prompt = torch.tensor([ids])
    end = model.generation_config.eos_token_id
    out = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
                         max_new_tokens=new_tokens, pad_token_id=end)
    return out[0, len(ids):].tolist()


def chats(checkpoint, work, prompts):
    """The 16-bit base's answers with their prompts: every format is measured on these texts."""
    file = work / "chats.json"
    if not file.exists():
        tokenizer, model = AutoTokenizer.from_pretrained(checkpoint), decoded(checkpoint, "16-bit")
        made = [texts.closed(tokenizer, ids + greedy(model, ids, NEW_TOKENS)) for ids in prompts]
        file.write_text(json.dumps(made))
    return json.loads(file.read_text())


class Reference:
    """Greedy answers of the base and of the trained adapter, and predictions on the texts.

    The texts are the chats for the base and the light adapter, and held-out examples for the trained adapter.
    """

    def __init__(self, checkpoint, form, adapters, prompts, chats, examples, held_out):
        model = PeftModel.from_pretrained(decoded(checkpoint, form), adapters["task"], "task").eval()
        model.load_adapter(adapters["light"], "light")
        with model.disable_adapter():
            self.answers = [greedy(model, ids, NEW_TOKENS) for ids in prompts]
            self.base = [predictions(model, ids) for ids in chats]
        model.set_adapter("light")
        self.light = [predictions(model, ids) for ids in chats]
        model.set_adapter("task")
        self.task = [predictions(model, ids) for ids in examples]
        self.labels = [greedy(model, ids, LABEL_TOKENS) for ids in held_out]


def speed(checkpoint, adapter, prompt, new_tokens):
    """Tokens a second of transformers and PEFT: the base, the adapter unmerged and merged."""
    sys.path.append(str(Path(__file__).resolve().parent.parent / "peers"))
    from torch_run import timed

    warnings.simplefilter("ignore")
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=dtype).eval()
        yield f"transformers {name}", timed(model, prompt, new_tokens)
        model = PeftModel.from_pretrained(model, adapter).eval()
        yield f"PEFT {name}, unmerged", timed(model, prompt, max(4, new_tokens // 4))
        yield f"PEFT {name}, merged", timed(model.merge_and_unload(), prompt, new_tokens)
