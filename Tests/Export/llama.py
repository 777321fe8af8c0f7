"""llama.cpp on a GGUF file: log probabilities and ids."""

import ctypes
import os
import sys

import llama_cpp as ll
import numpy as np
import torch


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def quiet(level, text, data):
    if level >= 4 and os.environ.get("LLAMA_LOG"):
        sys.stderr.write(text.decode(errors="replace"))


ll.llama_log_set(quiet, None)
ll.llama_backend_init()


class Model:
    """A model in F32 arithmetic as far as llama.cpp has it: keys and values in F32, no flash attention."""

    def __init__(self, path, context=256):
        self.model = ll.llama_model_load_from_file(str(path).encode(), ll.llama_model_default_params())
        assert self.model, f"llama.cpp does not load {path}"
        options = ll.llama_context_default_params()
        options.n_ctx = options.n_batch = options.n_ubatch = context
        options.n_threads = options.n_threads_batch = 2
        options.type_k = options.type_v = 0
        if hasattr(options, "flash_attn_type"):
            options.flash_attn_type = 0
        self.context = ll.llama_init_from_model(self.model, options)
        assert self.context
        self.vocab = ll.llama_model_get_vocab(self.model)
        self.size = ll.llama_vocab_n_tokens(self.vocab)

    def close(self):
        ll.llama_free(self.context)
        ll.llama_model_free(self.model)

    def adapt(self, path):
        """Puts a LoRA beside the weights."""
        adapter = ll.llama_adapter_lora_init(self.model, str(path).encode())
        assert adapter and ll.llama_set_adapter_lora(self.context, adapter, 1.0) == 0

    def logprobs(self, ids):
        """[position, token]"""
        ll.llama_memory_clear(ll.llama_get_memory(self.context), True)
        batch = ll.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for position, token in enumerate(ids):
            batch.token[position], batch.pos[position] = token, position
            batch.n_seq_id[position], batch.seq_id[position][0], batch.logits[position] = 1, 0, 1
        assert ll.llama_decode(self.context, batch) == 0
        rows = np.ctypeslib.as_array(ll.llama_get_logits(self.context), shape=(len(ids), self.size)).copy()
        ll.llama_batch_free(batch)
        return torch.from_numpy(rows).double().log_softmax(-1)

    def ids(self, text, special=True):
        text = text.encode()
        out = (ctypes.c_int32 * (4 * len(text) + 16))()
        count = ll.llama_tokenize(self.vocab, text, len(text), out, len(out), special, True)
        assert count >= 0
        return list(out[:count])

    def ends(self, token):
        return ll.llama_vocab_is_eog(self.vocab, token)
