"""``POST /events`` and the trace: real process, real TLS, real Redis."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from generic.sender import event_body, signed_headers

from app.gateway.routes import EVENT_BYTES

MIB = 1024 * 1024


def code(response: Any) -> str:
    return str(response.json()["error"]["code"])


def test_a_signed_event_is_accepted_and_can_be_traced(gateway: Any) -> None:
    response = gateway.send("创建一个周会的日程", event_id="msg_1", tenant="acme")
    assert (response.status_code, response.json()) == (200, {"status": "accepted", "event": "generic:acme:msg_1"})
    trace = gateway.client.get("/api/v1/events/generic:acme:msg_1", headers=gateway.authorization)
    body = trace.json()
    assert trace.status_code == 200
    assert (body["event"], body["state"], body["attempts"]) == ("generic:acme:msg_1", "queued", 0)
    (entry,) = body["timeline"]
    assert datetime.fromisoformat(entry["at"]).utcoffset() == timedelta(0)
    assert abs(datetime.fromisoformat(entry["at"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_repeated_event_is_a_duplicate_whenever_it_was_signed(gateway: Any) -> None:
    body = event_body("hi", event_id="msg_1")
    earlier = datetime.now(UTC) - timedelta(seconds=200)
    answers = [
        gateway.client.post("/events", content=body, headers=signed_headers(gateway.secret, "msg_1", body, at)).json()
        for at in (earlier, earlier, datetime.now(UTC))
    ]
    assert [answer["status"] for answer in answers] == ["accepted", "duplicate", "duplicate"]


async def test_a_hundred_at_once_are_accepted_once(gateway: Any) -> None:
    body = event_body("hi", event_id="msg_1")
    headers = signed_headers(gateway.secret, "msg_1", body)
    async with httpx2.AsyncClient(base_url=gateway.url, verify=gateway.context(), timeout=30) as client:
        answers = await asyncio.gather(*(client.post("/events", content=body, headers=headers) for _ in range(100)))
    statuses = [answer.json()["status"] for answer in answers]
    assert (statuses.count("accepted"), statuses.count("duplicate")) == (1, 99)


def test_an_event_of_another_type_is_acknowledged_and_leaves_nothing(gateway: Any) -> None:
    body = b'{"type": "reaction"}'
    response = gateway.client.post("/events", content=body, headers=signed_headers(gateway.secret, "msg_7", body))
    assert (response.status_code, response.json()["status"]) == (200, "ignored")
    assert gateway.client.get(f"/api/v1/events/{response.json()['event']}", headers=gateway.authorization).status_code == 404


@pytest.mark.parametrize("offset", [-301, -3600, 330, 86_400])
def test_a_stale_or_future_time_stamp_is_401(gateway: Any, offset: int) -> None:
    body = event_body("hi", event_id="msg_1")
    at = datetime.now(UTC) + timedelta(seconds=offset)
    response = gateway.client.post("/events", content=body, headers=signed_headers(gateway.secret, "msg_1", body, at))
    assert (response.status_code, code(response)) == (401, "stale_timestamp")


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_401(gateway: Any, missing: str) -> None:
    body = event_body("hi", event_id="msg_1")
    headers = signed_headers(gateway.secret, "msg_1", body)
    del headers[missing]
    response = gateway.client.post("/events", content=body, headers=headers)
    assert (response.status_code, code(response)) == (401, "missing_signature")


def test_a_wrong_secret_a_changed_body_and_an_api_key_are_401(gateway: Any) -> None:
    body = event_body("hi", event_id="msg_1")
    wrong = signed_headers("whsec_" + "A" * 43 + "=", "msg_1", body)
    right = signed_headers(gateway.secret, "msg_1", body)
    for content, headers in ((body, wrong), (body + b" ", right), (body, gateway.authorization)):
        response = gateway.client.post("/events", content=content, headers=headers)
        assert response.status_code == 401
    assert gateway.client.get("/api/v1/events/generic:default:msg_1", headers=gateway.authorization).status_code == 404


def test_an_unsigned_body_is_not_parsed(gateway: Any) -> None:
    response = gateway.client.post("/events", content=b"\xff{", headers={**gateway.signed(b"other"), "webhook-id": "x"})
    assert (response.status_code, code(response)) == (401, "invalid_signature")


def test_a_signed_body_that_is_no_event_is_400(gateway: Any) -> None:
    for body in (b"\xff\xfe", b"{", b"[]", b'{"type": "message"}', b'{"a": 1, "a": 2}', b"[" * 100_000):
        response = gateway.client.post("/events", content=body, headers=gateway.signed(body))
        assert response.status_code == 400, body[:20]


def test_several_secrets_are_accepted_while_one_replaces_another(start_gateway: Any, redis_server: Any) -> None:
    old, new = ("whsec_" + (letter * 43) + "=" for letter in "AB")
    gateway = start_gateway(redis_server, GENERIC_WEBHOOK_SECRET=f"{new} {old}")
    for secret in (old, new):
        body = event_body("hi", event_id="msg_1")
        headers = signed_headers(secret, secrets.token_hex(8), body)
        assert gateway.client.post("/events", content=body, headers=headers).status_code == 200
    assert gateway.stop() == 0


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_ten_megabytes_are_413_and_are_not_kept(gateway: Any, framing: str) -> None:
    def chunks() -> Any:
        for _ in range(160):
            yield b"x" * 65536

    gateway.send()
    before = gateway.resident_bytes
    for _ in range(10):
        content = b"x" * (10 * MIB) if framing == "content-length" else chunks()
        response = gateway.client.post("/events", content=content, headers=gateway.signed(b""))
        assert (response.status_code, code(response)) == (413, "body_too_large")
    assert gateway.resident_bytes - before < 16 * MIB


def test_a_body_at_the_limit_is_read_and_one_byte_more_is_not(gateway: Any) -> None:
    for size, status in ((EVENT_BYTES, 400), (EVENT_BYTES + 1, 413)):
        body = b" " * size
        assert gateway.client.post("/events", content=body, headers=gateway.signed(body)).status_code == status


def test_no_body_is_read_for_who_shows_no_signature_headers(gateway: Any) -> None:
    head = b"POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"  # and no byte of the body follows
    assert gateway.raw(head).status == 401


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip"])
def test_a_compressed_body_is_415(gateway: Any, encoding: str) -> None:
    body = b"\x1f\x8b\x08" + bytes(100)
    headers = {**gateway.signed(body), "content-encoding": encoding}
    response = gateway.client.post("/events", content=body, headers=headers)
    assert response.status_code == 415


def test_a_full_queue_is_503_and_the_event_can_be_sent_again(start_gateway: Any, private_redis: Any) -> None:
    gateway = start_gateway(private_redis, QUEUE_LIMIT="1")
    assert gateway.send(event_id="msg_1").status_code == 200
    refused = gateway.send(event_id="msg_2")
    assert (refused.status_code, code(refused)) == (503, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    assert gateway.send(event_id="msg_1").json()["status"] == "duplicate"
    gateway.stop()


def eventually_taken(gateway: Any, event_id: str) -> str:
    """Sent until it is taken, as a platform does: on a busy machine 250 ms can pass without a fault."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        response = gateway.send(event_id=event_id)
        if response.status_code == 200:
            return str(response.json()["status"])
    pytest.fail(f"not taken: {response.status_code} {response.text}")


def test_redis_away_or_hanging_is_a_quick_503_and_recovery_needs_no_help(start_gateway: Any, private_redis: Any) -> None:
    gateway = start_gateway(private_redis, REDIS_TIMEOUT_SECONDS="0.25")
    assert eventually_taken(gateway, "msg_1")
    for hinder, mend in ((private_redis.kill, private_redis.start), (private_redis.pause, private_redis.resume)):
        hinder()
        started = time.monotonic()
        refused = gateway.send(event_id="msg_2")
        trace = gateway.client.get("/api/v1/events/generic:default:msg_1", headers=gateway.authorization)
        ready = gateway.client.get("/readyz")
        alive = gateway.client.get("/healthz")
        seconds = time.monotonic() - started
        assert (refused.status_code, code(refused)) == (503, "queue_unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        assert (trace.status_code, ready.status_code, alive.status_code) == (503, 503, 200)
        assert ready.json()["reason"]
        assert seconds < 5, "each within its deadline"
        mend()
        # A Redis that hung may have taken the event though its answer came too late: then it is a duplicate, never lost.
        assert eventually_taken(gateway, "msg_2")
        assert eventually_taken(gateway, "msg_1") == "duplicate", "what was acknowledged survived"
    gateway.stop()


@pytest.mark.parametrize(
    "key",
    ["nothing", "generic:default:none", "a/b/c", "%00", "%0d%0aX-Injected:%201", "%ff", "x" * 600, "..%2f..%2fetc%2fpasswd"],
)
def test_an_unknown_event_is_404(gateway: Any, key: str) -> None:
    response = gateway.client.get(f"/api/v1/events/{key}", headers=gateway.authorization)
    assert response.status_code == 404
    assert code(response) in ("unknown_event", "not_found")
    assert "x-injected" not in response.headers


def test_a_trace_needs_the_api_key_known_or_unknown(gateway: Any) -> None:
    gateway.send(event_id="msg_1")
    for key in ("generic:default:msg_1", "none"):
        assert gateway.client.get(f"/api/v1/events/{key}").status_code == 401


def test_neither_text_nor_secret_is_logged(gateway: Any) -> None:
    gateway.send("text-canary", event_id="msg_1", conversation="conversation-canary")
    gateway.client.get("/healthz", headers={"Authorization": "Bearer key-canary"})
    log = gateway.log
    assert '"route": "/events"' in log
    for canary in ("canary", gateway.api_key, gateway.secret, gateway.environment["REDIS_PASSWORD"]):
        assert canary not in log
