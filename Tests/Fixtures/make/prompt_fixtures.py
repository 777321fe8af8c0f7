"""Writes Tests/Fixtures/prompts.json: prompts with the ids that transformers gives them.

    python Tests/Fixtures/make/prompt_fixtures.py

Needs transformers (written with 5.23.0). A chat's ids are those of `apply_chat_template` itself, so whatever a
program loses between the rendered text and its own tokenizer shows. The tokenizers are fixtures and the bundled
model's; the templates are those of chat models, with the special tokens that these tokenizers have.
"""

import json
from pathlib import Path

from transformers import PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parents[3]

# Zephyr's and TinyLlama's, which ends with one line feed, and Llama 3's, which ends with two.
ZEPHYR = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>\n\n{{ m['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n\n{% endif %}"
)
TOKENIZERS = {
    "Tests/Fixtures/tokenizers/llama2": ("<s>", "</s>", ZEPHYR),
    "Tests/Fixtures/tokenizers/llama3": ("<|begin|>", "<|end|>", LLAMA3),
    "models/base": ("<|begin_of_text|>", "<|end_of_text|>", ZEPHYR),
}
CHATS = [
    [{"role": "user", "content": "Hello"}],
    [{"role": "system", "content": "Be brief.\n"}, {"role": "user", "content": "What is new?\n\n- this\n- that\n"}],
]
TEXTS = [
    "Answer:", "Answer: ", "Answer: \n", "Answer: \n\n", "\n", " \n", "a\r\n", "a\r", "\tx\t", "  two", "- a list", "--json",
    "{\"json\": 1}", "back\\slash \\n", "!loud", "\ufeffbom", "cafe\u0301", "naïve 日本語 🦜",
]  # fmt: skip


def rows():
    for folder, (bos, eos, template) in TOKENIZERS.items():
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(ROOT / folder / "tokenizer.json"), bos_token=bos, eos_token=eos, chat_template=template
        )
        for chat in CHATS:
            text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
            assert ids != tokenizer(text.removesuffix("\n"), add_special_tokens=False).input_ids
            yield {"tokenizer": folder, "chat": True, "text": text, "ids": ids}
        for text in TEXTS:
            plain = tokenizer(text, add_special_tokens=False).input_ids
            ids = tokenizer(text).input_ids
            yield {"tokenizer": folder, "chat": False, "text": text, "ids": plain, "with_special": ids}


lines = [json.dumps(row, separators=(",", ":")) for row in rows()]
(ROOT / "Tests/Fixtures/prompts.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
