"""The door to the model: the real one behind it where it is at hand. An answer longer than it ever gives is played."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from app.models import default
from app.models.errors import ModelError
from app.models.recipe import Recipe
from app.models.sources import parse
from app.models.store import Store

HANDBOOK = "Please write the whole handbook"
PLAYED_DIGEST = "played-by-make-demo"
SECTIONS = 90
CALL_SECONDS = 120.0
PARAGRAPH = (
    "Whoever is on duty reads the alarms of the night first, then the backlog, and says in the channel what was found. 值班 "
    "\U0001f44d This is paragraph {number}, as long as a paragraph of a handbook is."
)
LIST = """\
- look at the queue
- look at the oldest event
- if it is older than {number} minutes, look at the worker
- tell whoever is on duty after you, in words that can be understood without having been there"""
FENCE = """\
```sh
make logs LINES={number}
make dead-letters
make audit-verify
# each of them says itself what to do next, in one line, at the end of what it prints
```"""


def in_store(root: Path) -> Path | None:
    """The default model, where it was made before."""
    recipe = Recipe(source=parse(default.SOURCE, default.SHA256))
    try:
        found = Store(root).find(recipe.key)
    except ModelError:
        return None
    return found[0] if found else None


def handbook() -> str:
    """About 35,000 characters of Markdown with what is easily torn: fences, lists, ideographs, emoji."""
    return "\n\n".join(_section(number) for number in range(1, SECTIONS + 1))


def _section(number: int) -> str:
    kind = (LIST, FENCE)[number % 2].format(number=number)
    return f"### Section {number}\n\n{PARAGRAPH.format(number=number)}\n\n{kind}"


def played(prompt: str) -> str:
    """What is said where no model is at hand."""
    if "France" in prompt:
        return "The capital of France is Paris."
    return "This answer is played: no model is at hand here."


class Door:
    """``upstream``: the inference service; None plays the model too. Holds a port while it is entered."""

    def __init__(self, upstream: str | None) -> None:
        class Handler(_Handler):
            model = upstream

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    model: str | None = None
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.model:
            self._pass_on(None)
        else:
            self._answer(200, json.dumps({"status": "ready", "reason": None, "digest": PLAYED_DIGEST}).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        prompt = str(json.loads(body).get("prompt", ""))
        if HANDBOOK in prompt:
            self._answer(200, json.dumps({"prediction": handbook()}).encode())
        elif self.model:
            self._pass_on(body)
        else:
            self._answer(200, json.dumps({"prediction": played(prompt)}).encode())

    def _pass_on(self, body: bytes | None) -> None:
        kept = {name: value for name, value in self.headers.items() if name in ("Authorization", "Content-Type")}
        request = urllib.request.Request(f"{self.model}{self.path}", data=body, headers=kept)  # noqa: S310 (our own address)
        try:
            with urllib.request.urlopen(request, timeout=CALL_SECONDS) as answer:  # noqa: S310
                self._answer(answer.status, answer.read(), answer.headers.get("X-Model-Digest"))
        except urllib.error.HTTPError as error:
            with error:
                self._answer(error.code, error.read())
        except OSError:
            self._answer(503, b"{}")

    def _answer(self, status: int, body: bytes, model_digest: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if model_digest:
            self.send_header("X-Model-Digest", model_digest)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""
