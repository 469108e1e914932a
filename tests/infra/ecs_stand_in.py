"""ECS, CloudWatch Logs and S3 on a socket, as far as a one-off task needs them, in states that a test writes down.

moto runs no container and knows no time: what becomes of a task is told here, one answer of DescribeTasks after the other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from app.models.manifest import (
    Architecture,
    FileRecord,
    Gate,
    Manifest,
    Sizes,
    SourceRecord,
    Thresholds,
    TokenizerRecord,
    dump,
)

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/assistant-test/0123456789abcdef"


def state(status: str, *, exit_code: int | None = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    """A task, as DescribeTasks answers it."""
    container: dict[str, Any] = {"name": "model", "lastStatus": status}
    if exit_code is not None:
        container["exitCode"] = exit_code
    if reason is not None:
        container["reason"] = reason
    return {"taskArn": TASK, "lastStatus": status, "containers": [container], **more}


def pointer(kl: float = 0.001) -> bytes:
    """What a conversion writes last: the manifest of a model, of which no file has to be there."""
    return dump(
        Manifest(
            name="a-model",
            digest="d" * 64,
            source=SourceRecord(uri="pypi:x==1", sha256="0" * 64, licence="Apache-2.0"),
            architecture=Architecture(
                family="llama",
                layers=1,
                hidden_size=1,
                intermediate_size=1,
                heads=1,
                kv_heads=1,
                head_size=1,
                vocab_size=1,
                context_length=1,
                rope_theta=1,
                rms_norm_epsilon=1,
            ),
            precision="int8",
            files={"model.onnx": FileRecord(sha256="0" * 64, size=5)},
            tokenizer=TokenizerRecord(bos=None, eos_ids=[1], add_bos=False, chat_template=None),
            gate=Gate(
                kl=kl,
                top1=0.99,
                perplexity_fp32=1.0,
                perplexity=1.0,
                tokens=1,
                thresholds=Thresholds(max_kl=0.5, min_top1=0.5),
            ),
            versions={},
            sizes=Sizes(parameters=1, bytes=5),
        )
    ).encode()


@dataclass
class EcsStandIn:
    """``states``: of the task, one after the other; the last stays. ``lines``: what it has written. ``objects``: of S3 by
    ``/bucket/key``. ``ends``: called when the task is first seen STOPPED. ``failures``: RunTask starts nothing but these."""

    states: list[dict[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    ends: Callable[[], None] = lambda: None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    def names(self) -> list[str]:
        return [name for name, _ in self.asked]

    def one(self, name: str) -> dict[str, Any]:
        (found,) = [request for asked, request in self.asked if asked == name]
        return found

    def answer(self, name: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append((name, request))
        if name == "ListTasks":
            return 200, {"taskArns": self.running}
        if name == "RunTask":
            return 200, {"tasks": [] if self.failures else [state("PROVISIONING")], "failures": self.failures}
        if name == "DescribeTasks":
            now = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            if now["lastStatus"] == "STOPPED":
                self.ends()
            return 200, {"tasks": [now], "failures": []}
        if name == "StopTask":
            return 200, {"task": state("STOPPING")}
        if name == "GetLogEvents":
            if not self.lines:
                return 400, {"__type": "ResourceNotFoundException", "message": "no such stream"}
            start = int(request.get("nextToken", "0"))
            events = [{"timestamp": 0, "message": line} for line in self.lines[start:]]
            return 200, {"events": events, "nextForwardToken": str(len(self.lines))}
        return 400, {"__type": "UnknownOperationException", "message": name}


@contextmanager
def ecs_stand_in() -> Iterator[EcsStandIn]:
    stand_in = EcsStandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = stand_in.answer(self.headers["X-Amz-Target"].split(".")[-1], json.loads(body))
            self._send(status, json.dumps(answer).encode(), "application/x-amz-json-1.1")

        def do_GET(self) -> None:
            found = stand_in.objects.get(self.path)
            missing = b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"
            self._send(404 if found is None else 200, missing if found is None else found, "application/xml")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()


def converts(stand_in: EcsStandIn, s3: Any) -> None:
    """Let the task end well, once it has published into the models' bucket of the account that ``s3`` speaks to."""

    def publish() -> None:
        key = next(request["startedBy"] for name, request in stand_in.asked if name == "RunTask").partition("/")[2]
        for bucket in s3.list_buckets()["Buckets"]:
            if "-models-" in bucket["Name"]:
                s3.put_object(Bucket=bucket["Name"], Key=f"models/recipes/{key}.json", Body=pointer())

    stand_in.states, stand_in.ends = [state("RUNNING"), state("STOPPED", exit_code=0)], publish
