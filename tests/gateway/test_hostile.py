"""Hostile input on every route of the table: a 4xx with a JSON error, never a 500, and the gateway goes on."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from feishu.wire import enclosed

from app.gateway.routes import ROUTES, Authentication, Route

KEY = "generic:default:none"
EVENT = {"id": "1", "type": "message", "conversation": "c", "sender": "s", "text": "t"}
FEISHU_KEY, FEISHU_TOKEN = "key-of-these-tests", "token-of-these-tests"
SLACK_EVENT = {
    "type": "event_callback",
    "team_id": "T0ACME",
    "event_id": "Ev0ABC",
    "event": {"type": "message", "channel_type": "im", "channel": "D0ABC", "user": "U0ADA", "text": "t", "ts": "1.1"},
}
FEISHU_EVENT = {
    "schema": "2.0",
    "header": {
        "event_id": "1",
        "event_type": "im.message.receive_v1",
        "token": FEISHU_TOKEN,
        "app_id": "cli_a",
        "tenant_key": "acme",
        "create_time": "1700000000000",
    },
    "event": {
        "sender": {"sender_id": {"open_id": "ou_ada"}, "sender_type": "user", "tenant_key": "acme"},
        "message": {
            "message_id": "om_1",
            "chat_id": "oc_1",
            "chat_type": "p2p",
            "message_type": "text",
            "content": json.dumps({"text": "t"}),
            "create_time": "1700000000000",
        },
    },
}
VALID: dict[str, bytes] = {
    "/events": json.dumps(EVENT).encode(),
    "/events/slack": json.dumps(SLACK_EVENT).encode(),
    "/events/feishu": enclosed(FEISHU_EVENT, FEISHU_KEY),
    "/api/v1/answer": json.dumps({"question": "x"}).encode(),
}
EVERY = [pytest.param(route, id=f"{route.method} {route.path}") for route in ROUTES]
WITH_BODY = [pytest.param(route, id=f"{route.method} {route.path}") for route in ROUTES if route.path in VALID]
WITHOUT_BODY = [pytest.param(route, id=f"{route.method} {route.path}") for route in ROUTES if not route.limit]
PROTECTED = [
    pytest.param(route, id=f"{route.method} {route.path}")
    for route in ROUTES
    if route.authentication not in (Authentication.NONE, Authentication.OAUTH_STATE)
]


def path_of(route: Route) -> str:
    return route.path.replace("{key:path}", KEY)


def credentials(gateway: Any, route: Route, body: bytes) -> dict[str, str]:
    if route.authentication is Authentication.API_KEY:
        return dict(gateway.authorization)
    return gateway.signed_for(route.platform, body) if route.authentication is Authentication.PLATFORM else {}


def request(gateway: Any, route: Route, body: bytes = b"", method: str | None = None, extra: bytes = b"") -> bytes:
    """A whole request with right credentials for ``body``, whatever bytes it is made of."""
    headers = {"host": "127.0.0.1", "connection": "close", **credentials(gateway, route, body)}
    if body:
        headers["content-length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method or route.method} {path_of(route)} HTTP/1.1\r\n{head}".encode() + extra + b"\r\n" + body


def refused(reply: Any, *statuses: int) -> None:
    assert reply.status in statuses, (reply.status, reply.body[:300])
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert reply.headers["content-type"] == "application/json"
    assert "Traceback" not in reply.body.decode()


@pytest.fixture(autouse=True)
def the_gateway_goes_on(gateway: Any) -> Any:
    yield
    assert gateway.client.get("/healthz").status_code == 200
    assert '"status": 500' not in gateway.log


@pytest.mark.parametrize("route", WITH_BODY)
def test_the_valid_request_of_these_tests_is_accepted(gateway: Any, route: Route) -> None:
    assert gateway.raw(request(gateway, route, VALID[route.path])).status == 200


@pytest.mark.parametrize("route", PROTECTED)
@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "authorization: Bearer\r\n",
        "authorization: Bearer wrong-key-0123456789\r\n",
        "authorization: Basic YTpi\r\n",
        "authorization: {key}\r\n",
        "authorization: Bearer {key}\r\nauthorization: Bearer {key}\r\n",
        "authorization: Bearer \xff\xfe\r\n",
        "webhook-id: 1\r\nwebhook-timestamp: x\r\nwebhook-signature: v1,\r\n",
    ],
)
def test_missing_and_wrong_credentials_are_401(gateway: Any, route: Route, authorization: str) -> None:
    head = f"{route.method} {path_of(route)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    line = authorization.replace("{key}", gateway.api_key)
    refused(gateway.raw((head + line + "\r\n").encode("latin-1")), 401)


@pytest.mark.parametrize("route", EVERY)
def test_ten_megabytes_are_413(gateway: Any, route: Route) -> None:
    refused(gateway.raw(request(gateway, route, b"x" * (10 * 1024 * 1024))), 413)


@pytest.mark.parametrize("route", EVERY)
def test_ten_megabytes_in_chunks_are_413(gateway: Any, route: Route) -> None:
    body = (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 160 + b"0\r\n\r\n"
    refused(gateway.raw(request(gateway, route, extra=b"transfer-encoding: chunked\r\n") + body), 413)


@pytest.mark.parametrize("route", WITH_BODY)
@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe\xfd",
        b'{"question": "\xc3\x28"}',
        b"",
        b"{",
        b"nonsense",
        b"null",
        b"[" * 200_000,
        b'{"a":' * 40_000,
        b'{"question": "a", "question": "b"}',
        b'{"question": NaN}',
        b'{"question": -Infinity}',
        b'{"question": 1e999}',
        b'{"question": ' + b"9" * 10_000 + b"}",
        b'{"question": "a\\u0000b", "type": "message"}',
        b'{"question": "a\x00b", "type": "message"}',
        b'{"question": "\\ud800", "type": "message"}',
        b'{"question": {"a": 1}, "type": ["message"]}',
        b"a=b&c=d",
        b"\x1f\x8b\x08\x00",
    ],
)
def test_a_body_that_is_no_strict_json_is_400(gateway: Any, route: Route, body: bytes) -> None:
    refused(gateway.raw(request(gateway, route, body)), 400)


@pytest.mark.parametrize("route", WITHOUT_BODY)
@pytest.mark.parametrize("body", [b"{}", b"\xff", b"[" * 100_000])
def test_a_body_where_none_belongs_is_413(gateway: Any, route: Route, body: bytes) -> None:
    refused(gateway.raw(request(gateway, route, body)), 413)


@pytest.mark.parametrize("route", WITH_BODY)
def test_a_compressed_body_is_415(gateway: Any, route: Route) -> None:
    refused(gateway.raw(request(gateway, route, VALID[route.path], extra=b"content-encoding: gzip\r\n")), 415)


@pytest.mark.parametrize("route", WITH_BODY)
@pytest.mark.parametrize(
    "kind", ["text/html", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "\xff", ""]
)
def test_the_content_type_decides_nothing(gateway: Any, route: Route, kind: str) -> None:
    extra = f"content-type: {kind}\r\n".encode("latin-1")
    assert gateway.raw(request(gateway, route, VALID[route.path], extra=extra)).status == 200
    refused(gateway.raw(request(gateway, route, b"a=b", extra=extra)), 400)


@pytest.mark.parametrize("route", EVERY)
def test_ten_thousand_headers_are_431(gateway: Any, route: Route) -> None:
    refused(gateway.raw(request(gateway, route, extra=b"x-header: 1\r\n" * 10_000)), 431)


@pytest.mark.parametrize("route", EVERY)
def test_a_header_of_a_megabyte_is_431(gateway: Any, route: Route) -> None:
    refused(gateway.raw(request(gateway, route, extra=b"x-header: " + b"a" * 1_048_576 + b"\r\n")), 431)


@pytest.mark.parametrize("route", EVERY)
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "GET", "POST"])
def test_a_method_that_is_not_listed_is_405_and_says_which_is(gateway: Any, route: Route, method: str) -> None:
    allowed = {other.method for other in ROUTES if other.path in (route.path, route.path.removesuffix("/replay"))}
    if method in allowed:
        return
    reply = gateway.raw(request(gateway, route, method=method))
    assert reply.status == 405
    assert reply.headers["allow"] == ", ".join(sorted(allowed))
    if method != "HEAD":
        refused(reply, 405)


@pytest.mark.parametrize("method", ["BREW", "get", "G\x00T", "GET GET"])
def test_a_method_that_does_not_exist_is_4xx(gateway: Any, method: str) -> None:
    refused(gateway.raw(f"{method} /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()), 400, 405)


@pytest.mark.parametrize("route", EVERY)
@pytest.mark.parametrize(
    "suffix", ["/", "/..", "/../", "%2f", "%00", "%0d%0aset-cookie:%20a=b", "/../../../../etc/passwd", ";x", "%ff", "%", "é"]
)
def test_a_path_that_is_not_listed_is_404_or_asks_for_the_key(gateway: Any, route: Route, suffix: str) -> None:
    target = f"{path_of(route)}{suffix}"
    reply = gateway.raw(f"{route.method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    # Behind an event's key there may be anything: that path is another route's, which takes other methods.
    refused(reply, 400, 401, 404, *([405] if route.path.endswith("/replay") else []))
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/../etc/passwd",
        "//healthz",
        "/HEALTHZ",
        "/static/../app",
        "/%2e%2e/%2e%2e/etc/passwd",
        "http://evil/",
        "*",
        "/events?x=1#y",
    ],
)
def test_a_strange_target_is_4xx(gateway: Any, target: str) -> None:
    refused(gateway.raw(f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()), 400, 404, 405)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n",
        b"POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /healthz HTTP/1.1\r\nx: a\x00b\r\n\r\n",
        b"\x16\x03\x01\x00\xa5",
        b"\r\n\r\n\r\n\x00\x00\x00\x00\r\n\r\n",
    ],
)
def test_broken_http_is_400(gateway: Any, head: bytes) -> None:
    refused(gateway.raw(head), 400)


def test_plain_http_to_the_tls_port_is_closed_without_an_answer(gateway: Any) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        try:
            answer = connection.recv(1000)
        except ConnectionError:
            answer = b""
    assert not answer.startswith(b"HTTP/")


def test_a_caller_who_leaves_in_the_middle_of_a_body_leaves_nothing_behind(gateway: Any) -> None:
    for _ in range(20):
        with (
            socket.create_connection(("127.0.0.1", gateway.port), 10) as plain,
            gateway.context().wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            head = f"POST /api/v1/answer HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.api_key}\r\n"
            connection.sendall(f"{head}content-length: 1000\r\n\r\n{{".encode())
    assert "Traceback" not in gateway.log
