from __future__ import annotations

import contextlib
import socket
import threading
import time

import httpx2
import psutil
import pytest

HOST = b"Host: a\r\n"

REFUSED = {
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    "broken target": (b"GET http:///%ff HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "length and chunks at once": (
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "two lengths": (b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
    "absurd length": (b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
    "10,000 headers": (b"GET /readyz HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 10_000 + b"\r\n", 431),
    "101 headers": (b"GET /readyz HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 100 + b"\r\n", 431),
    "header of 1 MB": (b"GET /readyz HTTP/1.1\r\n" + HOST + b"a: " + b"b" * 1_000_000 + b"\r\n\r\n", 431),
    "header of 40 kB": (b"GET /readyz HTTP/1.1\r\n" + HOST + b"a: " + b"b" * 40_000 + b"\r\n\r\n", 431),
    "target of 1 MB": (b"GET /" + b"b" * 1_000_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431),
    "endless header": (b"GET /readyz HTTP/1.1\r\n" + HOST + b"a: " + b"b" * 200_000, 431),
}


@pytest.mark.parametrize(("raw", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_a_head_that_is_no_head_or_too_much_is_refused_and_the_connection_closed(sample, raw: bytes, status: int) -> None:
    received, seconds = sample.send(raw)
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert b'{"error": {"message"' in received
    assert seconds < 3


SLOW = {
    "nothing": b"",
    "half a head": b"GET /readyz HTTP/1.1\r\nHost",
    "half a body": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\n12",
    "half a chunk": b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nff\r\n12",
}


@pytest.mark.parametrize("raw", SLOW.values(), ids=SLOW.keys())
def test_who_stops_in_the_middle_is_cut_off_at_the_deadline(sample, raw: bytes) -> None:
    received, seconds = sample.send(raw)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert 0.4 < seconds < 2


def test_a_byte_now_and_then_does_not_move_the_deadline(sample) -> None:
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", sample.port), timeout=10) as connection:
        stop = threading.Event()

        def drip() -> None:
            connection.sendall(b"GET /readyz HTTP/1.1\r\n")
            while not stop.wait(0.1):
                try:
                    connection.sendall(b"a")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        stop.set()
        thread.join()
    assert time.monotonic() - begin < 2


def test_empty_lines_between_requests_do_not_keep_a_connection(sample) -> None:
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", sample.port), timeout=0.1) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\n" + HOST + b"\r\n")
        open_ = True
        while open_ and time.monotonic() - begin < 5:
            try:
                connection.sendall(b"\r\n")
                open_ = connection.recv(1000) != b""
            except TimeoutError:
                continue
            except OSError:
                open_ = False
    assert time.monotonic() - begin < 3


def test_slow_connections_do_not_hold_up_others(sample) -> None:
    slow = [socket.create_connection(("127.0.0.1", sample.port)) for _ in range(50)]
    for connection in slow:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHo")
    begin = time.monotonic()
    assert httpx2.get(sample.url + "/readyz").status_code == 200
    assert time.monotonic() - begin < 1
    for connection in slow:
        connection.close()


def test_a_slow_answer_is_no_slow_request(sample) -> None:
    assert httpx2.get(sample.url + "/slow/1.2").json() == {"slept": 1.2}


def test_requests_sent_ahead_are_answered_in_turn(sample) -> None:
    first = b"GET /slow/0.8 HTTP/1.1\r\n" + HOST + b"\r\n"
    second = b"GET /readyz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    received, _ = sample.send(first + second)
    assert received.index(b"slept") < received.index(b"ready")


def test_a_connection_serves_many_requests(sample) -> None:
    with httpx2.Client() as client:
        for _ in range(20):
            assert client.post(sample.url + "/echo", json={"a": 1}).json() == {"a": 1}


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_large_body_gets_413_also_while_it_is_being_sent(sample, declared: bool) -> None:
    pieces = (b"x" * 65536 for _ in range(160))  # 10 MB
    content = b"".join(pieces) if declared else pieces
    response = httpx2.post(sample.url + "/echo", content=content)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "body_too_large"


def test_a_body_shorter_than_declared_and_a_hang_up_leave_no_traceback(sample) -> None:
    with socket.create_connection(("127.0.0.1", sample.port)) as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\n12")
    assert httpx2.get(sample.url + "/readyz").status_code == 200
    assert "ClientDisconnect" not in sample.log.read_text()


def test_compressed_bodies_are_refused_with_415(sample) -> None:
    response = httpx2.post(sample.url + "/echo", content=b"{}", headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415


def test_connections_over_the_limit_are_told_to_come_again(start) -> None:
    server = start(limits={"connections": 3})
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
    response = httpx2.get(server.url + "/echo")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    for connection in held:
        connection.close()


def test_probes_are_answered_while_others_are_told_to_come_again(start) -> None:
    server = start(limits={"connections": 3})
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(4)]
    assert httpx2.get(server.url + "/healthz").status_code == 200
    held += [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
    with pytest.raises(httpx2.TransportError):  # twice the limit: not even a probe
        httpx2.get(server.url + "/healthz")
    for connection in held:
        connection.close()


def test_trailers_of_a_chunked_body_are_not_kept(sample) -> None:
    before = psutil.Process(sample.process.pid).memory_info().rss
    with socket.create_connection(("127.0.0.1", sample.port)) as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
        trailers = b"".join(b"x-%d: " % number + b"y" * 1000 + b"\r\n" for number in range(1000))
        with contextlib.suppress(OSError):  # the server may well cut it off
            for _ in range(60):
                connection.sendall(trailers)
    assert psutil.Process(sample.process.pid).memory_info().rss - before < 20 * 2**20


def test_an_upgrade_that_is_not_offered_is_answered_as_a_plain_request(sample) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"}
    assert httpx2.get(sample.url + "/nowhere", headers=headers).status_code == 404
