"""How Feishu signs, encrypts and repeats what it delivers: written from its documentation, apart from the application's code.

Encryption is pycryptodome's, and not the library that the application decrypts with, so that the two cannot share a misreading.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import time
import uuid
from typing import Any

from Crypto.Cipher import AES
from Crypto.Util.Padding import pad

RETRY_SECONDS = (0.0, 15.0, 300.0, 3600.0, 21600.0)  # at once, and then after each of these
ANSWER_SECONDS = 3.0
CHALLENGE_SECONDS = 1.0


def encrypt(key: str, plain: bytes, iv: bytes | None = None) -> str:
    iv = os.urandom(16) if iv is None else iv
    cipher = AES.new(hashlib.sha256(key.encode()).digest(), AES.MODE_CBC, iv)
    return base64.b64encode(iv + cipher.encrypt(pad(plain, 16))).decode()


def signature(key: str, timestamp: str, nonce: str, body: bytes) -> str:
    digest = hashlib.sha256()
    for part in (timestamp.encode(), nonce.encode(), key.encode(), body):
        digest.update(part)
    return digest.hexdigest()


def signed(key: str, body: bytes, at: float | None = None) -> dict[str, str]:
    timestamp, nonce = str(int(time.time() if at is None else at)), str(secrets.randbelow(10**9))
    return {
        "X-Lark-Request-Timestamp": timestamp,
        "X-Lark-Request-Nonce": nonce,
        "X-Lark-Signature": signature(key, timestamp, nonce, body),
        "Content-Type": "application/json; charset=utf-8",
    }


def enclosed(payload: dict[str, Any], key: str | None) -> bytes:
    """The body as it goes over the wire: encrypted where there is a key."""
    plain = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return plain if key is None else json.dumps({"encrypt": encrypt(key, plain)}).encode()


def message_event(
    text: str,
    *,
    tenant: str = "tenant1",
    app_id: str = "cli_a1",
    token: str = "",
    chat: str = "oc_1",
    chat_type: str = "p2p",
    sender: str = "ou_ada",
    message_id: str | None = None,
    mentions: list[dict[str, Any]] | None = None,
    kind: str = "text",
    content: dict[str, Any] | None = None,
    sender_type: str = "user",
    **more: Any,
) -> dict[str, Any]:
    """An ``im.message.receive_v1``; ``more`` are further fields of the message (``root_id``, ``thread_id``)."""
    message = {
        "message_id": message_id or f"om_{uuid.uuid4().hex}",
        "create_time": str(int(time.time() * 1000)),
        "chat_id": chat,
        "chat_type": chat_type,
        "message_type": kind,
        "content": json.dumps({"text": text} if content is None else content, ensure_ascii=False),
        **({"mentions": mentions} if mentions else {}),
        **more,
    }
    sender_id = {"open_id": sender, "union_id": f"on_{sender[3:]}", "user_id": None}
    return {
        "schema": "2.0",
        "header": {
            "event_id": uuid.uuid4().hex,
            "event_type": "im.message.receive_v1",
            "create_time": str(int(time.time() * 1000)),
            "token": token,
            "app_id": app_id,
            "tenant_key": tenant,
        },
        "event": {
            "sender": {"sender_id": sender_id, "sender_type": sender_type, "tenant_key": tenant},
            "message": message,
        },
    }


def mention(key: str, open_id: str, name: str, kind: str = "user") -> dict[str, Any]:
    return {
        "key": key,
        "id": {"open_id": open_id, "union_id": f"on_{open_id[3:]}", "user_id": None},
        "name": name,
        "mentioned_type": kind,
        "tenant_key": "tenant1",
    }
