"""Writes Tests/Fixtures/tokenizers: small tokenizers with the ids and texts that the reference libraries give.

    python Tests/Fixtures/make/tokenizer_fixtures.py

Needs tokenizers (written with 0.23.3), transformers (5.23.0), sentencepiece (0.2.3) and protobuf. All text is generated here; the output is the
same on every run.
"""

import io
import json
import random
import shutil
import tempfile
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers
from transformers import LlamaTokenizer, PreTrainedTokenizerFast

OUTPUT = Path(__file__).resolve().parents[1] / "tokenizers"

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL
QWEN = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL
CASED = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + CONTRACTIONS + "?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + CONTRACTIONS + "?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

WORDS = """the of and to in is that it was for on are with as his they be at one have this from or had by hot word
but what some we can out other were all there when up use your how said an each she which do their time if will way
about many then them write would like so these her long make thing see him two has look more day could go come did
number sound no most people my over know water than call first who may down side been now find any new work part
naïve café über straße Москва привет мир слово 你好 世界 日本語 한국어 สวัสดี مرحبا שלום don't it's we'll I've""".split()

TEXTS = [
    "", " ", "  ", " " * 17, "\n", "\n\n\n", "\r\n", " \r\n \n x", "\t\tx", "Hello world", " Hello  world ",
    "It's we'LL they'RE I'm x'd 'tis don'T 'ſ x'ſ", "1 12 123 1234 12345678 3.14 ٣٤٥٦ ½² Ⅷ", "naïve cafe\u0301 café",
    "a\u0300\u0316\u0316\u0300b A\u030a\u0327 \u0344 \u212b \u1e9b\u0323", "각 각 가\u11a8 \u1100\u1161\u11a8",
    "a\u1df6\u0334 \U00011935\U00011930", "你好，世界！日本語テキスト", "สวัสดีชาวโลก", "مرحبا بالعالم", "नमस्ते दुनिया",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 👍🏽", "x\u00a0y\u00a0\u00a0z \u3000 \u2003w\u2028v\u0085u\u180et\u200bs", "ﬁﬂ ﬆ ß İı Ａ ſ K ſtraſse",
    "\x00\x01\x07\x1b[0m\x7f\x1c \x1f", "\ufeffbom \ufffd \u00ad\u2060", "def f(x):\n    return {'a': [1, 2]}  # ok\n\n",
    "<html><b>&amp;</b></html> a/b\\c //!!?? ...", "https://example.org/a?b=c&d=1#e", "<s>hi</s> <s> x <unk>y", "a </s> \n b</s>c  <s>\td", "a\n\n  x \n   y", "'ſtraſse it'ſx straße",
    "the word of the hot word",
    "<|begin|>user<|end|>\n\n<|begin|> <|end|>x", "a<|end", "<tool> x<tool>y < tool>", "THE Word wOrd worD 'S",
    "word hotword wordhot word, word.word _word word_ 1word word1 éword wordé", "  strip  me \n", "\u2581x \u2581\u2581y\u2581",
    "aaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbb", "<0x41><0xE2> <0xff>", "Ġx Ċ â", "hot hot  hot   hot\thot",
    "a\u0742\u0f81 a\u0f73\u0334 \u11de2 word\U00011de2 ² word½", "\U000e0041\U0010ffff\U0001f600\U00020000", "x" * 300, "日" * 40 + "1" * 40, "e\u0301" * 20,
]  # fmt: skip


def corpus():
    rng = random.Random(7)
    for _ in range(400):
        words = [rng.choice(WORDS) for _ in range(rng.randrange(3, 14))]
        words = [w.title() if rng.random() < 0.1 else w for w in words]
        yield " ".join(words) + rng.choice([".", "!", "?", "\n", " 12 345", ", 7"])


def bpe(pre, size=600, alphabet=(), normalizer=None, special=(), **options):
    """A trained model; `pre` cuts the training text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre
    if normalizer:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=list(alphabet), special_tokens=list(special), show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokenizer = Tokenizer(
        models.BPE(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]], **options)
    )
    tokenizer.pre_tokenizer = pre
    return tokenizer


def byte_level(size=560, pattern=None, **options):
    pre = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    if pattern:
        pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), pre])
    tokenizer = bpe(pre, size, pre_tokenizers.ByteLevel.alphabet(), **options)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def template(tokenizer, single, names):
    return processors.TemplateProcessing(
        single=single, pair=single + " $B:1", special_tokens=[(n, tokenizer.token_to_id(n)) for n in names]
    )


def special(*names):
    return [AddedToken(n, special=True, normalized=False) for n in names]


def byte_spelling(text):
    """`text` in the alphabet of ByteLevel."""
    pre = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return "".join(piece for piece, _ in pre.pre_tokenize_str(text))


def llama3():
    tokenizer = byte_level(pattern=LLAMA3, ignore_merges=True)
    model = json.loads(tokenizer.to_str())["model"]
    # Tokens that no merge makes. The second is no pre-token: 'ſ is cut off as a contraction.
    for text in ["Hello", "'ſtraſse", " straße"]:
        model["vocab"][byte_spelling(text)] = len(model["vocab"])
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer.model = models.BPE(vocab=model["vocab"], merges=merges, ignore_merges=True)
    tokenizer.add_special_tokens(special("<|begin|>", "<|end|>", "<s>"))
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), template(tokenizer, "<|begin|> $A", ["<|begin|>"])]
    )
    return tokenizer


def gpt2():
    tokenizer = byte_level()
    tokenizer.add_special_tokens(special("<|end|>"))
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def qwen():
    tokenizer = byte_level(pattern=QWEN)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens(special("<|begin|>", "<|end|>"))
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    return tokenizer


BYTES = [f"<0x{b:02X}>" for b in range(256)]


def sentencepiece_like(size=700, **options):
    pre = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer = bpe(pre, size, special=["<unk>", "<s>", "</s>", *BYTES], unk_token="<unk>", **options)
    tokenizer.pre_tokenizer = None
    tokenizer.add_special_tokens(special("<unk>", "<s>", "</s>"))
    tokenizer.post_processor = template(tokenizer, "<s> $A", ["<s>"])
    return tokenizer


def llama2():
    tokenizer = sentencepiece_like(byte_fallback=True, fuse_unk=True)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def gemma():
    tokenizer = sentencepiece_like(byte_fallback=True, fuse_unk=True)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = template(tokenizer, "<s> $A </s>", ["<s>", "</s>"])
    return tokenizer


def metaspace(scheme, split, fuse):
    def make():
        # Trained on whole lines, so that there are merges across spaces, which `split` forbids.
        pre = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
        tokenizer = bpe(pre, 420, special=["<unk>", "<s>", "</s>"], unk_token="<unk>", fuse_unk=fuse)
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
        tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
        tokenizer.add_special_tokens(special("<s>", "</s>"))
        return tokenizer

    return make


def flags():
    """Added tokens with every flag, on normalized text."""
    tokenizer = byte_level(pattern=CASED)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Strip(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\.{2,}"), "…")]
    )
    tokenizer.add_tokens(
        [
            AddedToken("word", single_word=True, normalized=False),
            AddedToken("<s>", lstrip=True, normalized=False, special=True),
            AddedToken("</s>", rstrip=True, normalized=False, special=True),
            AddedToken("<tool>", lstrip=True, rstrip=True, normalized=False),
            AddedToken("THE", normalized=True),
            AddedToken("Hot", single_word=True, lstrip=True, normalized=True, special=True),
            AddedToken("<|end", normalized=False),
            AddedToken("<|end|>", normalized=False, special=True),
        ]
    )
    return tokenizer


def digits():
    tokenizer = byte_level()
    tokenizer.add_special_tokens(
        [
            AddedToken("<s>", lstrip=True, normalized=False, special=True),
            AddedToken("</s>", rstrip=True, normalized=False, special=True),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=True)]
    )
    return tokenizer


def splits():
    """Every behaviour of Split, with expressions as DeepSeek's files have them."""
    tokenizer = byte_level()
    split = pre_tokenizers.Split
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            split(Regex(r"[\r\n]"), "isolated"),
            split(Regex(r"\s?\p{P}+"), "merged_with_previous"),
            split(Regex(r"\s+$"), "isolated"),
            split(Regex(r"[一-龥ࠀ-一가-퟿]+"), "contiguous"),
            split("ot", "merged_with_next"),
            split("!", "removed"),
            split(Regex(r"[^\x{3b1}-\u03c9\s]++(?=w)|(?<=\p{Lu})\p{^Lu}|(?>a+?)(?:b|ab){2}"), "isolated", True),
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def bare():
    """No decoder, unknown characters kept apart, decomposed text."""
    tokenizer = bpe(pre_tokenizers.Split(" ", "isolated"), 330, special=["<unk>"], unk_token="<unk>")
    tokenizer.normalizer = normalizers.NFD()
    return tokenizer


def decoding():
    """Decoder steps in an uncommon order: the text is known only at the end."""
    tokenizer = sentencepiece_like(450, byte_fallback=True, fuse_unk=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.ByteFallback(),
            decoders.Metaspace(prepend_scheme="always"),
            decoders.Strip("h", 1, 0),
            decoders.Replace(Regex("[aeiou]{2}"), "_"),
            decoders.Fuse(),
            decoders.Replace("t ", "T"),
            decoders.Strip(" ", 2, 0),
        ]
    )
    return tokenizer


def character_map():
    """What SentencePiece compiles of a few rules; its own tables would be 240 KB."""
    rules = {
        "\ufb01": "fi", "\u00bd": "1/2", "\uff21": "A", "e\u0301": "\u00e9", "\u3000": " ", "\u200b": "",
        "\u1100\u1161": "\uac00", "\u00df": "ss", "\t": " ",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rules.tsv"
        table.write_text("".join(
            " ".join(f"{ord(c):X}" for c in old) + "\t" + " ".join(f"{ord(c):X}" for c in new) + "\n"
            for old, new in rules.items()
        ))  # fmt: skip
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus()), model_writer=model, vocab_size=200, normalization_rule_tsv=str(table),
            minloglevel=2, num_threads=1,
        )  # fmt: skip
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


def unigram(normalizer, pre, size=420, single="<s> $A </s>", extra=()):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre
    names = ["<s>", "<unk>", "</s>"]
    tokenizer.train_from_iterator(
        corpus(),
        trainers.UnigramTrainer(vocab_size=size, special_tokens=names, unk_token="<unk>", show_progress=False),
    )
    data = json.loads(tokenizer.to_str())
    data["model"]["vocab"] += [[name, -20.0] for name in extra]
    data["model"]["byte_fallback"] = bool(extra)
    tokenizer = Tokenizer.from_str(json.dumps(data))
    template(tokenizer, single, [name for name in names if name in single])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=True), AddedToken("<|end|>", rstrip=True, special=True)])
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def xlmr():
    normalizer = normalizers.Sequence(
        [normalizers.Precompiled(character_map()), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    return unigram(normalizer, pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]))


def t5():
    normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Strip(left=False, right=True)]
    )
    return unigram(normalizer, pre_tokenizers.Metaspace(), single="$A </s>")


def albert():
    normalizer = normalizers.Sequence(
        [normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    return unigram(normalizer, pre_tokenizers.Metaspace(), size=300)


def unigram_bytes():
    """As a Llama whose model is Unigram."""
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer = unigram(normalizer, None, single="<s> $A", extra=[f"<0x{byte:02X}>" for byte in range(256)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def old_spellings(data):
    """Merges as "a b", Metaspace with add_prefix_space: as files before 0.14 have them."""
    data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]
    del data["model"]["ignore_merges"], data["model"]["byte_fallback"]
    for part in ("pre_tokenizer", "decoder"):
        if data[part]["type"] == "Metaspace":
            always = data[part].pop("prepend_scheme") == "always"
            data[part] |= {"add_prefix_space": always, "str_rep": "▁"}
            data[part].pop("split")
    # The order of keys is nobody's business.
    data["model"] = {"merges": data["model"].pop("merges"), **data["model"]}
    return data


TOKENIZERS = {
    "llama3": (llama3, None),
    "gpt2": (gpt2, old_spellings),
    "qwen": (qwen, None),
    "llama2": (llama2, None),
    "gemma": (gemma, None),
    "metaspace-always": (metaspace("always", True, False), old_spellings),
    "metaspace-first": (metaspace("first", False, True), None),
    "metaspace-never": (metaspace("never", True, True), None),
    "flags": (flags, None),
    "digits": (digits, None),
    "splits": (splits, None),
    "bare": (bare, None),
    "decoding": (decoding, None),
    "unigram-xlmr": (xlmr, None),
    "unigram-t5": (t5, None),
    "unigram-albert": (albert, None),
    "unigram-bytes": (unigram_bytes, None),
}


EXPRESSIONS = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    LLAMA3, QWEN, CASED, r"\w+", r"[\W_]", r"\d{2,3}?", r"o+?t|o{1,2}", r"[a-y]++x", r"[a-x]+x", r"(?>a|ab)c|b", r"(?:ab|a)(?:c|bcd)",
    r"(?<=\p{Lu})\p{Ll}", r"(?<!o)[trd]", r"(?<=a(?:b|c))d", r"^\S|\S$", r"\A.|.\z", r"x{0}y|x*", r"\s*?\n|b??c", r"(?i:HOT|[k-s]\x{6f})",
    r"(ab){2,}|(?:a|b){2}", r"[\p{^L}\s]+|[^\P{L}a-m]+", r"[-a]+|[a\-\]]+|[\]\[]", r"\p{P}+|\p{S}|\p{Sc}|[\p{M}\u0300]", r"a(?=b)|b(?!c)", r"(?:|a)b",
    r"[\u0100-\x{1FFFF}]", r"x{,2}y", r"(?i:'S)(?-i:t)", r"(?:a+b?)*c|\.{2}",
]  # fmt: skip

SAMPLES = [
    "abcd abac aabb ababab xxxy xy y", "foo hot Hot HOTTER koko ſo Ko", "12345 x²½ a_b", "AbCd ABcd ohm oto",
    "line\nline two\r\n\n end", "a-]b[c] $5 €7 + e\u0301", "aaax aaxb axx", "'st 'St it'ſt", "acd abd aad .. ...", "",
]


def write_expressions():
    """For each expression and text: the lengths, in scalars, of the matches and of what is between them."""
    rows = []
    for expression in EXPRESSIONS:
        split = pre_tokenizers.Split(Regex(expression), "isolated")
        for text in SAMPLES + (TEXTS if len(expression) > 60 else []):
            rows.append([expression, text, [len(piece) for piece, _ in split.pre_tokenize_str(text)]])
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    (OUTPUT / "expressions.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


def random_ids(size, rng):
    for count in [0, 1, 1, 2, 3, 5, 8, 13] * 3:
        yield [rng.randrange(3, min(size, 280)) if rng.random() < 0.6 else rng.randrange(size) for _ in range(count)]


def write(name, texts, sequences):
    """One list per text, one per sequence of ids."""
    lines = [json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in texts]
    others = [json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in sequences]
    body = '{"texts":[\n' + ",\n".join(lines) + '\n],"ids":[\n' + ",\n".join(others) + "\n]}\n"
    (OUTPUT / name / "vectors.json").write_text(body)


def write_tokenizer(name, make, rewrite):
    data = json.loads(make().to_str())
    if rewrite:
        data = rewrite(data)
    folder = OUTPUT / name
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def both(ids):
        return [tokenizer.decode(ids, skip_special_tokens=True), tokenizer.decode(ids, skip_special_tokens=False)]

    texts = []
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        full = tokenizer.encode(text, add_special_tokens=True).ids
        texts.append([text, ids, full, *both(full)])
    size = max(tokenizer.get_vocab().values()) + 1
    rng = random.Random(11)
    write(name, texts, [[ids, *both(ids)] for ids in random_ids(size + 2, rng)])


def write_sentencepiece(name, config=None, **options):
    folder = OUTPUT / name
    folder.mkdir(parents=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=model, model_type="bpe", character_coverage=1.0,
        normalization_rule_name="identity", minloglevel=2, num_threads=1, **options,
    )  # fmt: skip
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    start = [] if config and not config["add_bos_token"] else [processor.bos_id()]
    texts = []
    for text in TEXTS:
        ids = processor.encode(text)
        texts.append([text, ids, start + ids, *[processor.decode(start + ids)] * 2])
    sequences = [[ids, *[processor.decode(ids)] * 2] for ids in random_ids(processor.get_piece_size(), random.Random(13))]
    write(name, texts, sequences)


def token(content, **flags):
    return {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
            "special": True} | flags  # fmt: skip


def write_configured(name, vocabulary="sentencepiece/tokenizer.model", library=LlamaTokenizer, **files):
    """A vocabulary with the files that transformers writes beside it."""
    folder = OUTPUT / name
    folder.mkdir(parents=True)
    shutil.copy(OUTPUT / vocabulary, folder)
    for file, content in files.items():
        (folder / f"{file}.json").write_text(json.dumps(content) + "\n")
    tokenizer = library.from_pretrained(str(folder))

    def both(ids):
        return [tokenizer.decode(ids, skip_special_tokens=skips) for skips in (True, False)]

    texts = []
    for text in TEXTS:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        full = tokenizer(text)["input_ids"]
        texts.append([text, ids, full, *both(full)])
    # The reference stumbles over ids that no token has.
    write(name, texts, [[ids, *both(ids)] for ids in random_ids(len(tokenizer), random.Random(17))])


def main():
    if OUTPUT.exists():
        shutil.rmtree(OUTPUT)
    OUTPUT.mkdir(parents=True)
    write_expressions()
    for name, (make, rewrite) in TOKENIZERS.items():
        write_tokenizer(name, make, rewrite)
    write_sentencepiece(
        "sentencepiece", vocab_size=700, byte_fallback=True, remove_extra_whitespaces=False,
        split_digits=True, allow_whitespace_only_pieces=True, unk_surface=" <?> ",
    )  # fmt: skip
    write_sentencepiece(
        "sentencepiece-plain", config={"add_bos_token": False}, vocab_size=420,
        control_symbols=["<ctl>"], user_defined_symbols=["<tool>", "hot"],
    )  # fmt: skip
    base = {"add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "LlamaTokenizer"}
    write_configured(
        "sentencepiece-added", tokenizer_config=base | {"legacy": False, "pad_token": "<pad>"},
        added_tokens={"<|begin|>": 700, "<|end|>": 701, "<tool>": 702}, special_tokens_map={"eos_token": "<|end|>"},
    )  # fmt: skip
    flags = [
        token("<|begin|>", lstrip=True), token("<|end|>", rstrip=True), token("<tool>", special=False),
        token("wordhot", special=False, normalized=True, single_word=True), token("<|", special=False),
        token("<tool> x<tool>", special=False, normalized=True),
    ]  # fmt: skip
    core = {"0": token("<unk>"), "1": token("<s>"), "2": token("</s>")}
    write_configured(
        "sentencepiece-decoder", tokenizer_config=base | {
            "legacy": False, "add_eos_token": True,
            "added_tokens_decoder": core | {str(700 + i): flag for i, flag in enumerate(flags)}},
    )  # fmt: skip
    write_configured(
        "sentencepiece-legacy", tokenizer_config=base | {
            "legacy": True, "add_bos_token": False, "additional_special_tokens": ["<|end|>"]},
    )  # fmt: skip
    # What the tokenizer's own file has otherwise becomes as it is here; the rest is added behind it, whatever its id.
    qwen = dict(vocabulary="qwen/tokenizer.json", library=PreTrainedTokenizerFast)
    fast = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "pad_token": "<pad>", "image_token": "<html>"}
    write_configured(
        "configured", **qwen, tokenizer_config=fast | {
            "extra_special_tokens": ["wordhot", "<tool>"], "added_tokens_decoder": {
                "560": token("<|begin|>", lstrip=True), "562": token("<tool>", special=False),
                "563": token("THE", special=False, normalized=True), "600": token("word", rstrip=True, single_word=True)}},
    )  # fmt: skip
    write_configured(
        "configured-roles", **qwen,
        tokenizer_config=fast | {"extra_special_tokens": {"zz": "THE", "yy": "hot"}, "image_token": "<tool>",
                                 "audio_token": {"__type": "AddedToken"} | token("</b>", lstrip=True), "x_token": {"content": "x"}},
        special_tokens_map={"pad_token": None, "eos_token": "the", "yy_token": token("<b>", rstrip=True)},
    )  # fmt: skip
    write_configured(
        "configured-list", **qwen, tokenizer_config={"tokenizer_class": "PreTrainedTokenizerFast"},
        special_tokens_map={"additional_special_tokens": ["wordhot", "<html>"], "eos_token": "<|end|>", "unk_token": "<tool>"},
    )  # fmt: skip


if __name__ == "__main__":
    main()
