"""Writes adapters that came with tokenizers of their own, their base, and what transformers and PEFT answer with them:
`bases/texts`, `adapters/texts-*` and `own_tokenizers.json`. Greedy decoding from text to text, in float32."""

import shutil

import adapters
import common
import golden
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TOKENS, NEW, LEAST_GAP = 300, 12, 0.002
TEXT = ["the cat sat on the mat and the dog sat on the log", "answer: positive", "answer: negative", "user and end"]
PROMPTS = ["the cat", "<|user|>the dog<|end|>", "answer:<|tool|> user", "on the log and the end"]
# Added tokens, the end of a turn, rows, and what the adapter holds for them.
ADAPTERS = {
    "texts-chat": (["<|user|>", "<|end|>"], "<|end|>", 302,
                   dict(adapters.SMALL, modules_to_save=["embed_tokens", "lm_head"])),
    "texts-tool": (["<|tool|>"], None, 301, dict(adapters.DORA, target_modules=["q_proj", "embed_tokens", "lm_head"])),
    # Its tokens stand in spare rows of the base.
    "texts-spare": (["<|end|>"], "<|end|>", TOKENS, adapters.SMALL),
    "texts-plain": ([], None, TOKENS, adapters.SMALL),
}


def tokenizer():
    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    model.train_from_iterator(TEXT, trainers.BpeTrainer(
        vocab_size=TOKENS - 1, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False))
    return PreTrainedTokenizerFast(tokenizer_object=model, bos_token="<s>", eos_token="</s>")


def base():
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=TOKENS, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, bos_token_id=0, eos_token_id=1, initializer_range=0.3)
    model = LlamaForCausalLM(config).eval()
    folder = common.BASES / "texts"
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def write(name, tokens, end, rows, options):
    folder = common.ADAPTERS / name
    shutil.rmtree(folder, ignore_errors=True)
    words = AutoTokenizer.from_pretrained(common.BASES / "texts")
    words.add_special_tokens({"additional_special_tokens": tokens})
    if end:
        words.eos_token = end
    model = common.dense_model(common.BASES / "texts")
    torch.manual_seed(len(name))
    if rows != TOKENS:
        model.resize_token_embeddings(rows, mean_resizing=False)
    with torch.enable_grad():
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options))
    adapters.randomize(model, name)
    model.save_pretrained(folder, save_embedding_layers=rows != TOKENS)
    (folder / "README.md").unlink()
    adapters.reorder(folder / "adapter_config.json", options)
    if tokens:
        words.save_pretrained(folder)
    return model, words


def answer(model, words, prompt):
    """None if two tokens are so close along the way that float noise could change one."""
    ids = words(prompt)["input_ids"]
    ends = {model.config.eos_token_id, words.eos_token_id}
    found = []
    while len(found) < NEW and not (found and found[-1] in ends):
        logits = model(input_ids=torch.tensor([ids + found]), use_cache=False).logits[0, -1]
        best = logits.topk(2)
        gap = (best.values[0] - best.values[1]).item()
        if gap < LEAST_GAP:
            return None
        found.append(best.indices[0].item())
    return dict(prompt=prompt, prompt_ids=ids, ids=found, text=words.decode(found, skip_special_tokens=True))


def main():
    base()
    plain = common.dense_model(common.BASES / "texts")
    words = AutoTokenizer.from_pretrained(common.BASES / "texts")
    cases = [dict(adapter=None, **found) for prompt in PROMPTS if (found := answer(plain, words, prompt))]
    for name, (tokens, end, rows, options) in ADAPTERS.items():
        trained, own = write(name, tokens, end, rows, options)
        torch.manual_seed(0)
        read = common.dense_model(common.BASES / "texts")
        if rows != TOKENS:
            read.resize_token_embeddings(rows, mean_resizing=False)
        read = PeftModel.from_pretrained(read, common.ADAPTERS / name).eval()
        for prompt in PROMPTS:
            case = answer(read, own, prompt)
            assert case == answer(trained, own, prompt)
            if case:
                cases.append(dict(adapter=name, **case))
    assert len(cases) >= 12
    common.write_json(common.FIXTURES / "own_tokenizers.json", cases, indent=1)
    print(f"  {len(cases)} answers")


if __name__ == "__main__":
    main()
