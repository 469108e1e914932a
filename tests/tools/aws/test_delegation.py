"""One DNS question, against a resolver of the test's own."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from tools.aws import delegation

SERVERS = ["ns-1.awsdns-01.org", "ns-2.awsdns-02.com"]


def encoded(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def answer(question: bytes, names: list[str], code: int = 0) -> bytes:
    """Names of the answers point to the question's, as resolvers write them."""
    records = b""
    for name in names:
        data = encoded(name)
        records += b"\xc0\x0c" + struct.pack("!2HIH", 2, 1, 60, len(data)) + data
    return question[:2] + struct.pack("!5H", 0x8180 | code, 1, len(names), 0, 0) + question[12:] + records


@pytest.fixture
def resolver():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind(("127.0.0.1", 0))

        def serve(names, code=0, mangle=lambda message: message):
            def once():
                question, sender = link.recvfrom(512)
                link.sendto(mangle(answer(question, names, code)), sender)

            threading.Thread(target=once, daemon=True).start()
            return link.getsockname()

        yield serve


def test_the_name_servers_of_a_zone_are_read(resolver):
    assert delegation.name_servers("acme.dev", resolver(SERVERS)) == SERVERS


def test_a_zone_that_nobody_knows_has_none(resolver):
    assert delegation.name_servers("acme.dev", resolver([], code=3)) == []


@pytest.mark.parametrize("mangle", [lambda m: b"\0\0" + m[2:], lambda m: m[:20], lambda m: m[:12] + b"\xc0\xff" + m[14:]])
def test_what_is_no_answer_is_none(resolver, mangle):
    assert delegation.name_servers("acme.dev", resolver(SERVERS, mangle=mangle)) in (None, [])


def test_a_refusal_of_the_resolver_is_not_taken_for_a_missing_delegation(resolver):
    assert delegation.name_servers("acme.dev", resolver([], code=5)) is None


def test_where_nothing_answers_nothing_is_known(monkeypatch):
    monkeypatch.setattr(delegation, "SECONDS", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        assert delegation.name_servers("acme.dev", silent.getsockname()) is None
