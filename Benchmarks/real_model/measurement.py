"""The tables: every path of the programs beside transformers and PEFT."""

import tempfile

from transformers import AutoTokenizer

import engine
import reference
import texts
from tables import header, kl, row, say, share

EXACT = dict(weights="f32", merged="f32", head="native", kv="f32")
# Held-out examples whose every position is compared; the answers of all of them are.
COMPARED = 12
PROMPT, CONTEXT, NEW_TOKENS = 256, 64, 32


def paths(form, quick):
    """(name, settings) of the ways to run the base in this form."""
    precisions = ("auto",) if quick else ("auto", "16", "8")
    if form == "16-bit":
        yield "16-bit", {}
        for bits in precisions:
            yield f"`--weights q8 --activations {bits}`", dict(weights="q8", activations=bits)
    else:
        for bits in precisions:
            yield f"`--quantize {form} --activations {bits}`", dict(activations=bits)


def exact_path(form):
    quantize = "" if form == "16-bit" else f"--quantize {form} "
    return f"`{quantize}--weights f32 --merged f32`", EXACT


def same(made, wanted):
    return f"{sum(a == b for a, b in zip(made, wanted, strict=True))} of {len(wanted)}"


def divergence(exact, other):
    """Mean KL of one list of predictions from another."""
    sums = [(p.double().exp() * (p.double() - q.double())).sum().item() for p, q in zip(exact, other)]
    return sum(sums) / sum(map(len, exact))


class Measurement:
    def __init__(self, checkpoint, work, adapters, held_out, quick):
        self.checkpoint, self.work, self.adapters, self.quick = checkpoint, work, adapters, quick
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self.prompts = [texts.chat(self.tokenizer, question) for question in texts.QUESTIONS]
        say("chats")
        self.chats = reference.chats(checkpoint, work, self.prompts)
        self.targets = [example["target"] for example in held_out]
        self.held_out = [self.tokenizer(example["context"])["input_ids"] for example in held_out]
        self.compared = [texts.answered(self.tokenizer, example) for example in held_out[:COMPARED]]

    def agreement(self, forms):
        header("beside F32 on V", "KL", "first choice equal", "Δ log p", "KL, adapter", "first choice equal",
               "KL, light adapter", "chats equal", "labels equal", "of the light adapter's change kept")
        first, notes = None, []
        for form in forms:
            say(f"{form}: transformers and PEFT")
            exact = reference.Reference(self.checkpoint, form, self.adapters, self.prompts, self.chats, self.compared,
                                        self.held_out)
            with engine.packed(self.checkpoint, form, self.work) as model:
                for name, settings in [exact_path(form), *paths(form, self.quick)]:
                    say(name)
                    self.path(name, model, settings, exact)
            first = first or exact.base
            notes.append((form, divergence(first, exact.base), exact.labels))
        print(f"\n{sum(len(ids) - 1 for ids in self.chats)} positions of {len(self.chats)} chats; with the adapter "
              f"{sum(len(ids) - 1 for ids in self.compared)} of {len(self.compared)} held-out examples\n")
        header("V", f"its own KL from {forms[0]}", "labels of PEFT that are right")
        for form, moved, labels in notes:
            words = [self.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in labels]
            row(form, kl(moved), same(words, [target.strip() for target in self.targets]))
        print()

    def path(self, name, model, settings, exact):
        task, light = self.adapters["task"], self.adapters["light"]
        base = engine.agreement(model, settings, None, self.chats, exact.base)
        adapted = engine.agreement(model, settings, task, self.compared, exact.task)
        barely = engine.agreement(model, settings, light, self.chats, exact.light)
        answers = engine.answers(model, settings, None, self.prompts, reference.NEW_TOKENS)
        labels = engine.answers(model, settings, task, self.held_out, reference.LABEL_TOKENS)
        row(name, kl(base.divergence), share(base.equal), f"{base.distance:.1e}", kl(adapted.divergence),
            share(adapted.equal), kl(barely.divergence), same(answers, exact.answers), same(labels, exact.labels),
            share(engine.survival(model, settings, light)))

    def arithmetic(self, forms):
        """What computing adds to storing, ours and llama.cpp's: each against F32 on its own stored weights."""
        header("beside F32 on the weights as stored", "KL", "first choice equal")
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n\n".join(self.tokenizer.decode(ids[:-1]) for ids in self.chats) + "\n")
            file.flush()
            for form in forms:
                for name, settings in paths(form, self.quick):
                    say(name)
                    row(name, *engine.as_stored(self.checkpoint, form, settings, file.name))
        try:
            import llama
        except ImportError as error:
            print(f"\nllama.cpp was not measured: {error}\n")
            return
        for name in ("Q8_0", "Q4_0"):
            say(f"llama.cpp {name}")
            value, equal = llama.divergence(self.checkpoint, self.work, self.chats, name)
            row(f"llama.cpp {name}", kl(value), share(equal))
        print(f"\nllama.cpp: {llama.flags()}\n")

    def speed(self, forms):
        header("tokens/s", "prefill", "prefill, adapter", "decode", "decode, adapter", "MB of matrices")
        for form in forms:
            with engine.packed(self.checkpoint, form, self.work) as model:
                for name, settings in paths(form, self.quick):
                    say(f"speed of {name}")
                    rates, size = engine.speed(model, settings, self.adapters["task"], PROMPT, CONTEXT, NEW_TOKENS)
                    row(name, *(f"{rates[key]:.0f}" for key in engine.RATES), f"{size / 1e6:.0f}")
        say("speed of transformers and PEFT")
        for name, rates in reference.speed(self.checkpoint, self.adapters["task"], PROMPT, NEW_TOKENS):
            prefill, decode = (f"{rates[kind]:.1f}" for kind in ("prefill", "decode"))
            row(name, *(("", prefill, "", decode) if "PEFT" in name else (prefill, "", decode, "")), "")
        print(f"\nprefill of {PROMPT} tokens; {NEW_TOKENS} tokens decoded after {CONTEXT} (dora) or {PROMPT} (PyTorch)\n")
