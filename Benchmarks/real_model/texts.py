"""The texts that are measured, as token ids."""

QUESTIONS = [
    "What is the capital of France?",
    "Write a short poem about the sea.",
    "Explain why the sky is blue.",
    "Give me three tips for a job interview.",
    "What is 17 plus 25?",
    "Write a Python function that reverses a string.",
    "Who wrote Romeo and Juliet, and when?",
    "Translate 'good morning' into Spanish and Italian.",
    "Summarize in one sentence: The company raised its profit forecast after strong sales of its new engine in Europe.",
    "What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.\n"
    "Input: Tarnholt Foods cuts 400 jobs at its Lyon plant\nAnswer: ",
    "How do I make pancakes?",
    "What is photosynthesis?",
]


def chat(tokenizer, question):
    messages = [{"role": "user", "content": question}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def answered(tokenizer, row):
    """Prompt and answer encoded apart, as they were trained and as a server meets them."""
    answer = tokenizer(row["target"], add_special_tokens=False)["input_ids"]
    return tokenizer(row["context"])["input_ids"] + answer + [tokenizer.eos_token_id]


def closed(tokenizer, ids):
    """A chat as dora-accuracy reads it from a file: without blank lines, and ended."""
    lines = tokenizer.decode(ids).removesuffix(tokenizer.eos_token).split("\n")
    return tokenizer("\n".join(filter(None, lines)), add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
