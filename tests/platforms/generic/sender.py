"""The other half of the emulated platform: signed events to the assistant, signed by the ``standardwebhooks`` package.

python tests/platforms/generic/sender.py --url https://127.0.0.1:8443 --ca ca.pem --webhook-secret-file FILE --text "…"
"""

from __future__ import annotations

import argparse
import json
import ssl
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from standardwebhooks import Webhook


def signed_headers(secret: str, message_id: str, body: bytes, at: datetime | None = None) -> dict[str, str]:
    """The Standard Webhooks headers of ``body`` at ``at`` (now)."""
    moment = at or datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(msg_id=message_id, timestamp=moment, data=body.decode()),
        "content-type": "application/json",
    }


def event_body(text: str, *, event_id: str, conversation: str = "conversation-1", sender: str = "ada", **more: Any) -> bytes:
    event = {"id": event_id, "type": "message", "conversation": conversation, "sender": sender, "text": text, **more}
    return json.dumps(event, ensure_ascii=False).encode()


def send_event(
    url: str,
    secret: str,
    text: str,
    *,
    event_id: str | None = None,
    conversation: str = "conversation-1",
    sender: str = "ada",
    at: datetime | None = None,
    verify: ssl.SSLContext | bool = True,
    timeout: float = 10.0,
    **more: Any,
) -> httpx2.Response:
    """One signed event to ``{url}/events``; ``secret`` is a single ``whsec_…``."""
    number = event_id or f"msg_{uuid.uuid4().hex}"
    body = event_body(text, event_id=number, conversation=conversation, sender=sender, **more)
    headers = signed_headers(secret, number, body, at)
    return httpx2.post(f"{url}/events", content=body, headers=headers, verify=verify, timeout=timeout)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Send the assistant a signed event, as the generic platform does.")
    parser.add_argument("--url", required=True, help="the assistant's address, for instance https://127.0.0.1:8443")
    parser.add_argument("--ca", type=Path, help="the certificate authority of the stack (PEM)")
    parser.add_argument("--webhook-secret-file", type=Path, required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--event-id")
    parser.add_argument("--conversation", default="conversation-1")
    parser.add_argument("--sender", default="ada")
    options = parser.parse_args(arguments)
    secret = options.webhook_secret_file.read_text().split()[0]
    verify = ssl.create_default_context(cafile=str(options.ca)) if options.ca else True
    try:
        response = send_event(
            options.url.rstrip("/"),
            secret,
            options.text,
            event_id=options.event_id,
            conversation=options.conversation,
            sender=options.sender,
            verify=verify,
        )
    except httpx2.HTTPError as error:
        print(f"the assistant at {options.url} could not be reached: {error}", file=sys.stderr)
        return 1
    print(response.status_code, response.text)
    return 0 if response.status_code == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
