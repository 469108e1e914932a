"""Which name servers the world is told for a zone: one question to the machine's resolver, in DNS' own form (RFC 1035)."""

from __future__ import annotations

import secrets
import socket
import struct
from pathlib import Path

RESOLVERS = Path("/etc/resolv.conf")
SECONDS = 3.0
NS, IN, RECURSIVE = 2, 1, 0x0100
NXDOMAIN = 3
POINTER = 0xC0


def name_servers(zone: str, resolver: tuple[str, int] | None = None) -> list[str] | None:
    """Empty where the zone is not delegated; None where nothing answers."""
    place = resolver or _resolver()
    if place is None:
        return None
    number = secrets.randbelow(1 << 16)
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as link:
            link.settimeout(SECONDS)
            link.connect(place)
            link.send(question(zone, number))
            return answered(link.recv(4096), number)
    except (OSError, ValueError):
        return None


def question(zone: str, number: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in zone.rstrip(".").split("."))
    return struct.pack("!6H", number, RECURSIVE, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", NS, IN)


def answered(message: bytes, number: int) -> list[str] | None:
    """The names in the answer section. Raises :class:`ValueError` for what is no answer to the question. Pure."""
    try:
        given, flags, questions, answers, _, _ = struct.unpack_from("!6H", message)
        if given != number or not flags & 0x8000:
            raise ValueError("not the answer to this question")
        if (code := flags & 0xF) not in (0, NXDOMAIN):
            return None
        if code == NXDOMAIN:
            return []
        place = 12
        for _question in range(questions):
            _, place = _name(message, place)
            place += 4
        found = []
        for _answer in range(answers):
            _, place = _name(message, place)
            kind, _, _, length = struct.unpack_from("!2HIH", message, place)
            place += 10
            if kind == NS:
                found.append(_name(message, place)[0])
            place += length
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"no DNS message: {error}") from None
    return found


def _name(message: bytes, place: int) -> tuple[str, int]:
    """A name and where what follows it begins. Pointers lead backwards, so they end."""
    labels: list[str] = []
    after: int | None = None
    while length := message[place]:
        if length & POINTER == POINTER:
            target = (length & ~POINTER) << 8 | message[place + 1]
            if target >= place:
                raise ValueError("a name that points forwards")
            after = place + 2 if after is None else after
            place = target
            continue
        labels.append(message[place + 1 : place + 1 + length].decode("ascii"))
        place += 1 + length
    return ".".join(labels), (place + 1 if after is None else after)


def _resolver() -> tuple[str, int] | None:
    try:
        lines = RESOLVERS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    words = [line.split() for line in lines]
    return next(((word[1], 53) for word in words if len(word) > 1 and word[0] == "nameserver"), None)
