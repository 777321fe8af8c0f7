"""A server with the API of dora-serve and made-up answers: the slow, broken and hostile ones that no small model gives.

    python3 Tests/Page/mock.py [PORT]      serves the page from the source folder, to look at it while changing it
"""
import json
import os
import select
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Sources/Serve/Page")
FILES = {"/": ("index.html", "text/html"), "/app.js": ("app.js", "text/javascript"), "/app.css": ("app.css", "text/css")}
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
MODELS = [("base", None, None), ("sentiment", "base", "loaded"), ("topic", "base", "available")]
HOSTILE = ("<img src=x onerror=\"document.title='owned'\"></p></article><script>document.title='owned'</script>"
           "<style>*{display:none}</style> &amp; Grüße, 漢字 🙂")
LONG = "slowly " * 400


def answer(model, prompt, turns):
    if "hostile" in prompt:
        return HOSTILE
    if "slowly" in prompt:
        return LONG
    return f"{model} read {turns} messages, the last of {len(prompt)} characters.\nAll is well."


def template(messages):
    return "".join(f"<|{message['role']}|>\n{message['content']}<|end|>\n" for message in messages) + "<|assistant|>\n"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            with self.server.lock:
                self.server.disconnects += 1

    def pause(self, seconds):
        """Waits, and notices if the client goes."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionError

    def send(self, status, body, kind="application/json", **headers):
        data = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        headers |= {"Content-Type": f"{kind}; charset=utf-8" if kind.startswith("text") else kind,
                    "Content-Length": str(len(data)), "Content-Security-Policy": POLICY,
                    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, code, message, **headers):
        self.send(status, {"error": {"message": message, "type": "error", "param": None, "code": code}}, **headers)

    def is_allowed(self):
        token = self.server.token
        if token is None or self.headers.get("Authorization") == f"Bearer {token}":
            return True
        self.refuse(401, "invalid_api_key", "This server wants a token.", WWW_Authenticate="Bearer")
        return False

    def do_GET(self):
        if self.path in FILES:
            name, kind = FILES[self.path]
            with open(os.path.join(PAGE, name), "rb") as file:
                self.send(200, file.read(), kind)
        elif not self.is_allowed():
            pass
        elif self.path == "/v1/models":
            listed = [{"id": name, "object": "model", "created": 1, "owned_by": "dora", "root": name, "parent": parent,
                       "max_model_len": 8192} | ({"state": state} if state else {}) for name, parent, state in MODELS]
            self.send(200, {"object": "list", "data": listed})
        else:
            self.refuse(404, "unknown_url", f"There is nothing at {self.path}.")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.is_allowed():
            return
        is_chat = self.path == "/v1/chat/completions"
        if self.path == "/apply-template":
            return self.send(200, {"prompt": template(body["messages"])})
        prompt = body["messages"][-1]["content"] if is_chat else body["prompt"]
        if "busy" in prompt:
            return self.refuse(429, "busy", "All places are taken.", Retry_After="3")
        if "untemplated" in prompt and is_chat:
            return self.refuse(400, "no_chat_template", "This model has no chat template; /v1/completions works.")
        text = answer(body["model"], prompt, len(body.get("messages", "1")))
        words = text.split(" ")[:body.get("max_tokens", 1000)]
        pieces = [word + " " for word in words[:-1]] + words[-1:]
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(pieces),
                 "total_tokens": len(prompt.split()) + len(pieces), "prompt_tokens_details": {"cached_tokens": 1}}
        reason = "stop" if len(pieces) == len(text.split(" ")) else "length"
        if body.get("stream"):
            self.stream(body, is_chat, prompt, pieces, reason, usage)
        else:
            whole = "".join(pieces)
            content = {"message": {"role": "assistant", "content": whole}} if is_chat else {"text": whole}
            self.pause(20 if "slowly" in prompt else 0)
            self.send(200, {"choices": [{"index": 0, "finish_reason": reason} | content], "usage": usage})

    def stream(self, body, is_chat, prompt, pieces, reason, usage):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        shape = {"model": body["model"], "usage": None}

        def event(piece, end=None):
            content = {"delta": {"content": piece} if piece else {}} if is_chat else {"text": piece}
            self.event(shape | {"choices": [{"index": 0, "finish_reason": end} | content]})

        self.write(b": ping\n\n")
        for number, piece in enumerate(pieces):
            if number == 2 and "crash" in prompt:
                self.event({"error": {"message": "The engine stopped.", "type": "server_error", "code": "internal"}})
                return self.end()
            if number == 2 and "break" in prompt:
                return self.end(b"")
            event(piece)
            self.pause(0.05 if "slowly" in prompt else 0.002)
        event("", reason)
        self.event(shape | {"choices": [], "usage": usage, "dora": {"timing": {"decode": 0.02 * len(pieces)}}})
        self.end()

    def event(self, value):
        data = f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()
        middle = len(data) // 2  # also amid a character
        self.write(data[:middle])
        self.write(data[middle:])

    def end(self, last=b"data: [DONE]\n\n"):
        if last:
            self.write(last)
        self.wfile.write(b"0\r\n\r\n")

    def write(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    def __init__(self, port, token):
        self.token, self.lock, self.disconnects, self.connections = token, threading.Lock(), 0, []
        super().__init__(("127.0.0.1", port), Handler)

    def get_request(self):
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def server_close(self):
        super().server_close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed long ago


class MockServer:
    def __init__(self, token=None, port=0):
        self.server = Server(port, token)
        self.url, self.token = f"http://127.0.0.1:{self.server.server_port}", token
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def disconnects(self):
        return self.server.disconnects

    def close(self):
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    print(MockServer(port=int(sys.argv[1]) if len(sys.argv) > 1 else 8077).url, flush=True)
    threading.Event().wait()
