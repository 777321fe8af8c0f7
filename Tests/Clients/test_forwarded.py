"""Behind a balancer: what it says of a client (X-Forwarded-*, Forwarded) opens no door."""
import json

import pytest
from conftest import PROMPT
from test_attacks import raw, request, status

BODY = json.dumps({"model": "topic", "prompt": PROMPT, "max_tokens": 1}).encode()
CLAIMS = {
    "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost", "X-Forwarded-Proto": "https",
    "X-Forwarded-Server": "localhost", "X-Real-IP": "127.0.0.1", "X-Original-URL": "/health", "X-Rewrite-URL": "/health",
    "Forwarded": "for=127.0.0.1;host=localhost;proto=https", "X-Forwarded-User": "admin",
}
LINES = [f"{name}: {value}" for name, value in CLAIMS.items()]


@pytest.fixture(scope="module")
def guarded(start_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "clients").write_text("a-client\n")
    (folder / "administrators").write_text("an-administrator\n")
    return start_server("--token-file", folder / "clients", "--admin-token-file", folder / "administrators",
                        "--allow-load", "--metrics-listen", "tcp:127.0.0.1:0")


def test_another_host_stays_another_host(server):
    assert status(raw(server, request(BODY, host="evil.example"))) == 403
    assert status(raw(server, request(BODY, host="evil.example", headers=LINES))) == 403


def test_the_own_host_is_not_taken_away(server):
    claims = [line.replace("localhost", "evil.example").replace("127.0.0.1", "6.6.6.6") for line in LINES]
    assert status(raw(server, request(BODY, headers=claims))) == 200


def test_another_origin_stays_another_origin(server):
    origin = ["Origin: https://evil.example"]
    assert status(raw(server, request(BODY, headers=origin + LINES))) == 403
    assert status(raw(server, request(
        BODY, headers=origin + ["X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"]))) == 403


def test_tokens_are_wanted(guarded):
    for path in ("/v1/completions", "/v1/load_lora_adapter", "/v1/drain"):
        assert status(raw(guarded, request(BODY, path=path, headers=LINES))) == 401, path


def test_administrators_are_wanted(guarded):
    lines = [*LINES, "Authorization: Bearer a-client"]
    assert status(raw(guarded, request(BODY, headers=lines))) == 200
    for path, body in [("/v1/unload_lora_adapter", b'{"lora_name": "topic"}'), ("/v1/drain", b"{}")]:
        assert status(raw(guarded, request(body, path=path, headers=lines))) == 403, path


def test_a_url_is_the_one_that_was_asked(server):
    assert status(raw(server, request(path="/nowhere", method="GET", headers=LINES))) == 404
