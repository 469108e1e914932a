"""``make say``: one signed event to the assistant, and its way as it goes."""

from __future__ import annotations

import json
import shlex
import ssl
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from standardwebhooks import Webhook

from tools.stack.assistant import Assistant, AssistantError
from tools.stack.engine import Engine
from tools.stack.platform import platform

FINAL_STATES = frozenset({"done", "dead", "unknown"})
PATIENCE_SECONDS = 90.0  # an answer of a small model on a busy machine
POLL_SECONDS = 0.05
SETTLE_SECONDS = 0.3  # the platform prints its last line after the worker has its reply
LABEL_WIDTH = 10


@dataclass(frozen=True, kw_only=True)
class SignedEvent:
    """A message of the generic platform with the headers of Standard Webhooks: valid for five minutes from its signing."""

    id: str
    body: bytes
    headers: Mapping[str, str]

    def curl(self, url: str, ca_file: Path | None) -> str:
        """The same request for a shell; without ``ca_file``, a public authority's certificate. The signature in it reveals
        nothing of the secret."""
        headers = " \\\n    ".join(f"-H {shlex.quote(f'{name}: {value}')}" for name, value in self.headers.items())
        authority = f"--cacert {shlex.quote(str(ca_file))} " if ca_file else ""
        return f"curl {authority}{url} \\\n    {headers} \\\n    -d {shlex.quote(self.body.decode())}"


def sign(text: str, secret: str) -> SignedEvent:
    """``secret``: a single ``whsec_…``."""
    number, now = f"msg_{uuid.uuid4().hex}", datetime.now(UTC)
    event = {"id": number, "type": "message", "conversation": "make-say", "sender": "you", "text": text}
    body = json.dumps(event, ensure_ascii=False)
    headers = {
        "webhook-id": number,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(msg_id=number, timestamp=now, data=body),
        "content-type": "application/json",
    }
    return SignedEvent(id=number, body=body.encode(), headers=headers)


def say(engine: Engine, outputs: Mapping[str, Any], text: str) -> int:
    """Send ``text`` and print each step until the event is done. Returns 0 when it is, 1 otherwise."""
    assistant = Assistant.from_outputs(outputs, engine.make_option)
    with platform(engine, lambda line: _line("platform", line)):
        event = sign(text, webhook_secret(outputs))
        _line("sent", text)
        start = time.monotonic()
        key = _post(assistant, outputs, event)
        _line("gateway", f"200: stored, will not be lost ({_since(start)})")
        state = _follow(assistant, key, start)
        time.sleep(SETTLE_SECONDS)
    _line(state, f"after {_since(start)}")
    return 0 if state == "done" else 1


def webhook_secret(outputs: Mapping[str, Any]) -> str:
    return str(outputs["webhookSecrets"]["generic"]).split()[0]


def _post(assistant: Assistant, outputs: Mapping[str, Any], event: SignedEvent) -> str:
    url = outputs["webhookUrls"]["generic"]
    context = ssl.create_default_context(cadata=assistant.ca_certificate)
    try:
        response = httpx2.post(
            url, content=event.body, headers=dict(event.headers), verify=context, timeout=10, trust_env=False
        )
    except httpx2.HTTPError as error:
        raise AssistantError(f"{url} does not answer ({error}). {assistant.advice}") from error
    document = response.json()
    if response.is_error:
        raise AssistantError(f"{url} answered {response.status_code}: {document['error']['message']}")
    return str(document["event"])


def _follow(assistant: Assistant, key: str, start: float) -> str:
    """Print the trace as it grows; returns the final state, or the last one seen when patience ends."""
    shown = 0
    while True:
        trace = assistant.trace(key)
        for step in trace["timeline"][shown:]:
            _line("trace", " ".join(filter(None, (step["stage"], step.get("detail")))))
        shown = len(trace["timeline"])
        if trace["state"] in FINAL_STATES or time.monotonic() - start > PATIENCE_SECONDS:
            return str(trace["state"])
        time.sleep(POLL_SECONDS)


def _line(label: str, text: str) -> None:
    print(f"  {label:<{LABEL_WIDTH}}{text}", flush=True)


def _since(start: float) -> str:
    return f"{time.monotonic() - start:.2f} s"
