"""The server behind the page that is checked: made-up answers (mock.py), or dora-serve with the bundled model."""
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

REPOSITORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
# The bundled model has none: this one makes the conversation its prompt.
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


class DoraServer:
    def __init__(self, program, token=None):
        self.token = token
        self.folder = tempfile.TemporaryDirectory()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [program, "--model", f"{REPOSITORY}/models/base", "--adapter-root", f"{REPOSITORY}/models/adapters",
                   "--chat-template", self.file("template.jinja", TEMPLATE), "--listen", "tcp:127.0.0.1:0",
                   "--http", f"tcp:127.0.0.1:{port}", "--log-level", "error"]
        if token:
            command += ["--token-file", self.file("token", token + "\n")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.wait()

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def wait(self):
        for _ in range(300):
            try:
                return urllib.request.urlopen(self.url + "/ready", timeout=5).close()
            except (urllib.error.URLError, ConnectionError):
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise RuntimeError("dora-serve is not ready")

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


def call(server, path, body=None):
    """What a server answers."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {server.token}"} if server.token else {})
    data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(urllib.request.Request(server.url + path, data, headers), timeout=60) as response:
        return json.load(response)


def chat(server, model, *contents, **fields):
    """The answer to a conversation, whose turns alternate from the user's."""
    messages = [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]
    body = {"model": model, "messages": messages, "max_tokens": 256} | fields
    return call(server, "/v1/chat/completions", body)["choices"][0]["message"]["content"]


def complete(server, model, prompt, **fields):
    body = {"model": model, "prompt": prompt, "max_tokens": 256} | fields
    return call(server, "/v1/completions", body)["choices"][0]["text"]
