"""Load the quantized base for training or for measuring."""

import peft.tuners.lora.dora
import torch
from peft.utils.integrations import dequantize_bnb_weight
from transformers import AutoModelForCausalLM, AutoTokenizer


def decoded_weight(module):
    """The weight that DoRA takes norms of, decoded in place of PEFT's helper.

    PEFT 0.21.2 decodes an 8-bit weight and then moves it back "to its device".
    On a CPU that move builds a new Int8Params without its scales (SCB), and
    the next forward pass of bitsandbytes fails for want of them. Nothing has
    to be moved here, so this decodes only.
    """
    if type(module.weight).__name__ == "Int8Params":
        return dequantize_bnb_weight(module.weight, state=module.state)
    return module.weight


peft.tuners.lora.dora.dequantize_module_weight = decoded_weight


def load_int8(folder):
    """The base as bitsandbytes runs it: int8 weights, int8 activations."""
    return AutoModelForCausalLM.from_pretrained(folder, device_map="cpu")


def load_decoded(folder):
    """The base with every weight decoded to float32, as a server that merges at load has it."""
    model = load_int8(folder)
    # Without the type, transformers would round the decoded weights to bfloat16.
    model.dequantize(dtype=torch.float32)
    return model.to(torch.float32)


def load_tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)
