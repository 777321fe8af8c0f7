"""hub/: a Hugging Face cache, laid out by huggingface_hub itself, which downloads two repositories from a hub that
this script plays on a port of this machine: a tiny base of two revisions, and an adapter that names it."""

import hashlib, json, os, shutil, sys, tempfile, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "hub"
BASE, ADAPTER = "dora-fixtures/tiny-llama", "dora-fixtures/tiny-dora"


def saved(model):
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        names = (name for name in sorted(os.listdir(folder)) if name != "README.md")
        return {name: (Path(folder) / name).read_bytes() for name in names}


def repositories():
    """By repository, the files of each of its revisions."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = dict(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1)
    heads = dict(num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=128)
    model = LlamaForCausalLM(LlamaConfig(**shape, **heads, initializer_range=0.2))
    first = saved(model)
    model.config.rms_norm_eps = 1e-3
    revisions = {"v1": first, "main": saved(model)}
    # The name that a training from the hub leaves in the adapter's configuration.
    model.name_or_path = BASE
    lora = LoraConfig(r=2, use_dora=True, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    adapted = get_peft_model(model, lora)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return {BASE: revisions, ADAPTER: {"main": saved(adapted)}}


def commit(held):
    return hashlib.sha1(b"".join(name.encode() + held[name] for name in held)).hexdigest()


class Hub(BaseHTTPRequestHandler):
    repositories = {}

    def log_message(self, *_):
        pass

    def answer(self, body, kind="application/json", **headers):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def held(self, repository, revision):
        revisions = self.repositories[repository]
        return revisions.get(revision) or next(r for r in revisions.values() if commit(r) == revision)

    def do_GET(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            repository, verb, revision = "/".join(parts[2:4]), parts[4], parts[5]
            held = self.held(repository, revision)
            if verb == "revision":
                value = {"id": repository, "sha": commit(held), "siblings": [{"rfilename": name} for name in held]}
            else:
                value = [
                    {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for name, data in held.items()
                ]
            self.answer(json.dumps(value).encode())
        else:
            repository, revision, name = "/".join(parts[:2]), parts[3], parts[4]
            held = self.held(repository, revision)
            etag = hashlib.sha1(held[name]).hexdigest()
            self.answer(
                held[name], "application/octet-stream", ETag=f'"{etag}"', X_Repo_Commit=commit(held), Accept_Ranges="bytes"
            )

    do_HEAD = do_GET


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.pop("HF_HUB_OFFLINE", None)
    # Not before: the library reads its environment when it is imported.
    Hub.repositories = repositories()
    from huggingface_hub import snapshot_download

    with tempfile.TemporaryDirectory() as cache:
        for repository, revisions in Hub.repositories.items():
            for revision in revisions:
                print(snapshot_download(repository, revision=revision, cache_dir=cache, max_workers=1))
        shutil.rmtree(OUT, ignore_errors=True)
        # What guards a download, and what is known of the repository besides its files, is not needed.
        shutil.copytree(
            cache, OUT, symlinks=True, ignore=shutil.ignore_patterns(".locks", "CACHEDIR.TAG", "*.incomplete", "trees")
        )
    server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
