"""What is refused, and how: nothing of it takes the server down or stays in the log."""
import json
import socket
import time

import pytest
from conftest import PROMPT

SECRET = "a-word-that-no-log-may-hold"


def raw(server, data, timeout=10.0, pieces=None):
    """All that the server says to these bytes, up to its end or a pause."""
    with socket.create_connection(("127.0.0.1", server.http), timeout=timeout) as connection:
        for piece in pieces or [data]:
            connection.sendall(piece)
        reply = b""
        connection.settimeout(2)
        try:
            while part := connection.recv(1 << 16):
                reply += part
        except (TimeoutError, ConnectionResetError):
            pass
        return reply


def status(reply):
    return int(reply.split(b" ", 2)[1]) if reply.startswith(b"HTTP/") else None


def request(body=b"{}", path="/v1/completions", headers=(), host="localhost", method="POST"):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", *headers]
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


GOOD = json.dumps({"model": "topic", "prompt": PROMPT, "max_tokens": 1}).encode()
BROKEN = {
    "two lengths": request(GOOD, headers=[f"Content-Length: {len(GOOD)}", "Content-Length: 3"]),
    "length and chunks": request(b"0\r\n\r\n", headers=["Content-Length: 5", "Transfer-Encoding: chunked"]),
    "folded header": b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n",
    "blank before colon": b"GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "negative length": request(GOOD, headers=["Content-Length: -1"]),
    "no version": b"GET /health\r\n\r\n",
    "garbage": bytes(range(256)) * 8 + b"\r\n\r\n",
    "NUL in a header": b"GET /health HTTP/1.1\r\nHost: local\x00host\r\n\r\n",
    "long line": b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "long headers": b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"b" * 90000 + b"\r\n\r\n",
    "many headers": b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 2000 + b"\r\n",
    "bad chunk": request(b"zz\r\nxx\r\n", headers=["Transfer-Encoding: chunked"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_messages(server, name):
    found = status(raw(server, BROKEN[name]))
    assert found is None or 400 <= found < 500 or found == 505, found
    assert server.post("/health", None, method="GET")[0] == 200


def json_body(text):
    return request(text if isinstance(text, bytes) else text.encode())


BODIES = {
    "not JSON": (b"{", 400), "an array": (b"[]", 400), "empty": (b"", 400), "deep": (b"[" * 100000, 400),
    "deep inside": (b'{"model":"topic","prompt":' + b"[" * 100 + b"]" * 100 + b"}", 400),
    "twice the same key": (b'{"model":"topic","model":"base","prompt":"x"}', 400),
    "NUL": (b'{"model":"topic","prompt":"x\x00y"}', 400), "bad UTF-8": (b'{"model":"topic","prompt":"\xff"}', 400),
    "half a surrogate": (b'{"model":"topic","prompt":"\\ud800"}', 400), "NaN": (b'{"model":"topic","prompt":"x","seed":NaN}', 400),
    "a trailing comma": (b'{"model":"topic","prompt":"x",}', 400), "more behind": (b'{"model":"topic","prompt":"x"} {}', 400),
    "a long number": (b'{"model":"topic","prompt":"x","max_tokens":' + b"9" * 5000 + b"}", 400),
}


@pytest.mark.parametrize("name", BODIES)
def test_broken_bodies(server, name):
    body, wanted = BODIES[name]
    reply = raw(server, json_body(body))
    assert status(reply) == wanted, reply[:200]
    assert b'"error"' in reply


def test_what_is_too_large(server):
    reply = raw(server, request(b"", headers=["Content-Length: 999999999"]))
    assert status(reply) == 413 and b"body_too_large" in reply
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    reply = raw(server, b"", pieces=[request(b"", headers=["Transfer-Encoding: chunked"])] + [chunk] * 12)
    assert status(reply) in (413, None)
    messages = json.dumps({"model": "topic", "messages": [{"role": "user", "content": "x"}] * 5000}).encode()
    assert status(raw(server, request(messages, path="/v1/chat/completions"))) == 400


@pytest.mark.parametrize("path, wanted", [
    ("/v1/../etc/passwd", 404), ("/%2e%2e/%2e%2e/etc/passwd", 404), ("//v1/models", 404), ("/v1/models/..", 404),
    ("/v1/models/%00", 404), ("/v1/models/a%2fb", 404), ("/models", 404), ("/v1/embeddings", 404), ("/v1/models/", 200),
    ("/health/", 200), ("/v1/models?x=y", 200)])
def test_paths(server, path, wanted):
    assert status(raw(server, request(b"", path=path, method="GET"))) == wanted


def test_hints(server):
    reply = raw(server, request(GOOD, path="/completions"))
    assert status(reply) == 404 and b"/v1/completions" in reply
    reply = raw(server, request(b"", path="/v1/completions", method="GET"))
    assert status(reply) == 405 and b"\r\nallow: post" in reply.lower()


@pytest.mark.parametrize("headers, wanted", [
    (["Content-Type: text/plain"], 415), (["Content-Type: application/x-www-form-urlencoded"], 415),
    (["Content-Encoding: gzip"], 415), (["Content-Type: application/json; charset=utf-8"], 200),
    (["Content-Type: application/json; charset=utf-16"], 415)])
def test_kinds_of_bodies(server, headers, wanted):
    lines = ["POST /v1/completions HTTP/1.1", "Host: localhost", f"Content-Length: {len(GOOD)}", *headers]
    if not any(line.startswith("Content-Type") for line in lines):
        lines.append("Content-Type: application/json")
    assert status(raw(server, "\r\n".join(lines).encode() + b"\r\n\r\n" + GOOD)) == wanted


@pytest.mark.parametrize("host, wanted", [
    ("localhost", 200), ("127.0.0.1", 200), ("[::1]", 200), ("localhost:9999", 200), ("evil.example", 403),
    ("localhost.evil.example", 403), ("127.0.0.1.nip.io", 403), ("", 403)])
def test_names_of_hosts(server, host, wanted):
    assert status(raw(server, request(b"", path="/v1/models", method="GET", host=host))) in (wanted, 400 if host == "" else wanted)


@pytest.mark.parametrize("origin, wanted", [("https://evil.example", 403), ("null", 403), ("http://localhost.evil", 403)])
def test_origins_of_others(server, origin, wanted):
    for path, method in (("/v1/models", "GET"), ("/v1/completions", "POST"), ("/v1/completions", "OPTIONS")):
        reply = raw(server, request(GOOD if method == "POST" else b"", path=path, method=method, headers=[f"Origin: {origin}"]))
        assert status(reply) == wanted and b"access-control-allow-origin" not in reply.lower()


def test_our_own_origin(server):
    reply = raw(server, request(b"", path="/v1/models", method="GET", host=f"127.0.0.1:{server.http}",
                                headers=[f"Origin: {server.origin}"]))
    assert status(reply) == 200


def test_origins_that_are_listed(start_server):
    server = start_server("--cors-origin", "https://good.example")
    reply = raw(server, request(b"", method="OPTIONS", headers=[
        "Origin: https://good.example", "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization, x-stainless-os"])).lower()
    assert status(reply.upper()) == 204
    for header in (b"access-control-allow-origin: https://good.example", b"vary: origin", b"x-stainless-os", b"access-control-max-age: 600"):
        assert header in reply
    assert b"credentials" not in reply
    reply = raw(server, request(GOOD, headers=["Origin: https://good.example"])).lower()
    assert status(reply.upper()) == 200 and b"access-control-expose-headers" in reply
    assert status(raw(server, request(GOOD, headers=["Origin: https://evil.example"]))) == 403


def test_tokens(start_server, tmp_path):
    (tmp_path / "tokens").write_text("first-of-the-tokens\nsecond-of-the-tokens\n")
    (tmp_path / "admin").write_text("the-admin-token\n")
    server = start_server("--token-file", tmp_path / "tokens", "--admin-token-file", tmp_path / "admin", "--allow-load")
    body = {"model": "topic", "prompt": PROMPT, "max_tokens": 1}
    assert server.post("/health", None, method="GET")[0] == 200 and server.post("/ready", None, method="GET")[0] == 200
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic Zmlyc3Q="}, {"Authorization": "Bearer"}):
        code, found, reply = server.post("/v1/completions", body, headers)
        assert code == 401 and found["www-authenticate"].startswith("Bearer") and b"invalid_api_key" in reply
    for token in ("first-of-the-tokens", "second-of-the-tokens"):
        assert server.post("/v1/completions", body, {"Authorization": f"Bearer {token}"})[0] == 200
    load = {"lora_name": "mine", "lora_path": "topic"}
    assert server.post("/v1/load_lora_adapter", load, {"Authorization": "Bearer first-of-the-tokens"})[0] == 403
    code, _, reply = server.post("/v1/load_lora_adapter", load, {"Authorization": "Bearer the-admin-token"})
    assert code == 200 and reply.decode().strip() == "Success: LoRA adapter 'mine' added successfully."
    assert server.post("/v1/load_lora_adapter", load, {"Authorization": "Bearer the-admin-token"})[0] == 409
    unload = {"lora_name": "mine"}
    assert server.post("/v1/unload_lora_adapter", unload, {"Authorization": "Bearer the-admin-token"})[0] == 200
    assert server.post("/v1/unload_lora_adapter", unload, {"Authorization": "Bearer the-admin-token"})[0] == 404
    assert "of-the-tokens" not in server.logged() and "the-admin-token" not in server.logged()


def test_loading_is_off_by_default(server):
    assert server.post("/v1/load_lora_adapter", {"lora_name": "mine", "lora_path": "topic"})[0] in (403, 404)


def test_a_template_that_loops(start_server, tmp_path):
    (tmp_path / "loop.jinja").write_text("{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}")
    server = start_server("--chat-template", tmp_path / "loop.jinja")
    start = time.monotonic()
    code, _, reply = server.post("/v1/chat/completions", {"model": "topic", "messages": [{"role": "user", "content": "x"}]})
    assert code == 400 and json.loads(reply)["error"]["code"] == "template_error" and time.monotonic() - start < 20


def test_the_log_says_one_line_and_no_prompt(server):
    before = len(server.logged().splitlines())
    server.post("/v1/completions", {"model": "topic", "prompt": SECRET, "max_tokens": 1})
    server.post("/v1/completions", {"model": SECRET[:8] + "-x", "prompt": SECRET, "max_tokens": 1})
    server.post("/v1/chat/completions", {"model": "topic", "messages": [{"role": SECRET, "content": SECRET}], "n": 5})
    time.sleep(0.3)
    lines = server.logged().splitlines()
    assert SECRET not in "\n".join(lines)
    assert len(lines) - before == 3, lines[before:]


def test_slow_ones_hold_up_nobody(server):
    slow = []
    for _ in range(200):
        connection = socket.create_connection(("127.0.0.1", server.http))
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n")
        slow.append(connection)
    readers = []
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", server.http))
        body = json.dumps({"model": "base", "prompt": PROMPT, "max_tokens": 400, "ignore_eos": True, "stream": True}).encode()
        connection.sendall(request(body))
        readers.append(connection)
    start = time.monotonic()
    assert server.post("/health", None, method="GET")[0] == 200
    assert time.monotonic() - start < 1
    assert server.post("/v1/completions", {"model": "topic", "prompt": PROMPT, "max_tokens": 4})[0] == 200
    for connection in slow + readers:
        connection.close()
