"""Writes Tests/Fixtures/gguf/vocabulary-*.gguf and tokenizers.json: what llama.cpp makes of texts.

    python Tests/Fixtures/make/gguf_tokenizers.py

Needs gguf, tokenizers, sentencepiece and llama-cpp-python. The vocabularies are those of `tokenizer_fixtures.py`.
"""

import contextlib
import ctypes
import json
import os
import sys
import tempfile
from pathlib import Path

import gguf
import llama_cpp
import sentencepiece
from tokenizer_fixtures import OUTPUT as TOKENIZERS, TEXTS

OUTPUT = TOKENIZERS.parent / "gguf"
Kind = gguf.TokenType

# Names of `tokenizer.ggml.pre` that dora knows.
PRE = """llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 dbrx smaug-bpe glm4 glm5 chatglm-bpe qwen2 deepseek-r1-qwen
kormo megrez stablelm2 hunyuan solar-open grok-2 qwen35 seed-coder gpt-2 phi-2 mpt olmo jais trillion exaone4 gigachat a.x-4.0
mellum granite-docling smollm starcoder refact command-r codeshell exaone minerva-7b mellum2 falcon default tekken gpt-4o
llama4 kanana2 minimax-m2 deepseek-v3 hunyuan-dense joyai-llm bloom poro-chat gpt3-finnish viking""".split()

NUMBERS = ["12345", " 12345 1 22 333 4444", "١٢٣٤٥", "1a2b3c", "x1 y22z", "$12,345.67", "v2.0.1-rc1"]
WORDS = ["helloWorld HelloWorld HELLOworld", "don'T DON'T can'T", "a's b'S c'LL", "it's/that's\nthe/path/", "!!!foo ???bar",
         "naïveÉcole", "ǅ ǆ ʰa", "日本語abc한국어", "a\r\nb\n\n\nc  \n", "\u0301abc e\u0301f", "#tag @user <b>", "~`|^=+<>$"]
EXTRA = NUMBERS + WORDS


class Vocabulary:
    """A vocabulary inside llama.cpp."""

    def __init__(self, path):
        with silenced():
            options = llama_cpp.llama_model_default_params()
            options.vocab_only = True
            self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), options)
        assert self.model, path
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)

    def ids(self, text, special):
        text = text.encode()
        out = (ctypes.c_int32 * (4 * len(text) + 16))()
        count = llama_cpp.llama_tokenize(self.vocab, text, len(text), out, len(out), special, True)
        assert count >= 0
        return list(out[:count])


@contextlib.contextmanager
def silenced():
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept), os.close(null)


def write(path, model, tokens, kinds, add):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(16)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model(model)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    add(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def byte_level(path, pre):
    """The vocabulary of the Llama-3-like fixture, with added tokens of both kinds."""
    file = json.loads((TOKENIZERS / "llama3" / "tokenizer.json").read_text())
    model = file["model"]
    tokens = [t for t, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    kinds = [Kind.NORMAL] * len(tokens)
    for token in ("<|begin|>", "<|end|>", "<tool>"):
        tokens.append(token)
        kinds.append(Kind.USER_DEFINED if token == "<tool>" else Kind.CONTROL)
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]

    def add(writer):
        writer.add_tokenizer_pre(pre)
        writer.add_token_merges(merges)
        writer.add_bos_token_id(tokens.index("<|begin|>"))
        writer.add_eos_token_id(tokens.index("<|end|>"))

    write(path, "gpt2", tokens, kinds, add)


def pieces(path, prefix):
    """The vocabulary of the SentencePiece fixture; without a prefix as Gemma's, with tokens of spaces."""
    model = sentencepiece.SentencePieceProcessor(model_file=str(TOKENIZERS / "sentencepiece" / "tokenizer.model"))
    tokens, kinds, scores = [], [], []
    for i in range(model.get_piece_size()):
        tokens.append(model.id_to_piece(i))
        scores.append(model.get_score(i))
        kinds.append(
            Kind.UNKNOWN if model.is_unknown(i) else Kind.CONTROL if model.is_control(i)
            else Kind.BYTE if model.is_byte(i) else Kind.NORMAL)
    for token in ("<|end|>", "<tool>") if prefix else ("<|end|>", "\n\n", "  ", "    "):
        tokens.append(token)
        scores.append(-1000.0)
        kinds.append(Kind.CONTROL if token == "<|end|>" else Kind.USER_DEFINED)

    def add(writer):
        writer.add_tokenizer_pre("default")
        writer.add_token_scores(scores)
        writer.add_bos_token_id(tokens.index("<s>"))
        writer.add_eos_token_id(tokens.index("<|end|>"))
        writer.add_unk_token_id(tokens.index("<unk>"))
        writer.add_add_space_prefix(prefix)

    write(path, "llama", tokens, kinds, add)


def main():
    OUTPUT.mkdir(exist_ok=True)
    # llama.cpp takes no long s for an s, as the models' own files do.
    texts = [text for text in TEXTS + EXTRA if "ſ" not in text]
    result = {"texts": texts, "pre": {}, "files": {}}
    for name, make in {
        "vocabulary-byte-level.gguf": lambda path: byte_level(path, "llama-bpe"),
        "vocabulary-pieces.gguf": lambda path: pieces(path, True),
        "vocabulary-pieces-bare.gguf": lambda path: pieces(path, False),
    }.items():
        make(OUTPUT / name)
        vocabulary = Vocabulary(OUTPUT / name)
        result["files"][name] = [vocabulary.ids(text, True) for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        for pre in PRE:
            path = Path(folder) / f"{pre}.gguf"
            byte_level(path, pre)
            vocabulary = Vocabulary(path)
            result["pre"][pre] = [vocabulary.ids(text, True) for text in texts]
    # Equal answers are written once.
    lists = []
    for pre, ids in result["pre"].items():
        if ids not in lists:
            lists.append(ids)
        result["pre"][pre] = lists.index(ids)
    result["answers"] = lists
    (OUTPUT / "tokenizers.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(f"  {len(texts)} texts, {len(lists)} ways of cutting them")


if __name__ == "__main__":
    main()
