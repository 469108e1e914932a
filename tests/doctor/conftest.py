"""A doctor in a place that a test describes by its environment, as a process has it."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.doctor.examine import examine
from app.doctor.finding import Examination, Finding, Severity
from app.doctor.place import Service, place_of

WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NEEDED: Mapping[Service, Mapping[str, str]] = {
    "gateway": {"API_KEY": "gateway-key-" + "a" * 20, "INFERENCE_API_KEY": "inference-key-" + "b" * 20},
    "worker": {"INFERENCE_API_KEY": "inference-key-" + "b" * 20},
    "inference": {"API_KEY": "inference-key-" + "b" * 20, "MODEL_PATH": "/nonexistent"},
    "transport": {},
}


class Doctor:
    """``look`` examines one place; it may be asked from tests that have an event loop and from those that have none."""

    async def examination(self, service: Service, *only: str, **environment: str) -> Examination:
        place = place_of(service, {**NEEDED[service], **environment})
        assert place.mistakes == () or only == ("settings",), place.mistakes
        found = await examine(place, only)
        assert dict(found.unseen or {}) == {}
        assert dict(found.left_out or {}) == {}
        return found

    def look(self, service: Service, *only: str, **environment: str) -> list[Finding]:
        return list(asyncio.run(self.examination(service, *only, **environment)).findings)

    def wrong(self, service: Service, *only: str, **environment: str) -> list[Finding]:
        """Warnings and errors alone."""
        grave = (Severity.WARNING, Severity.ERROR)
        return [finding for finding in self.look(service, *only, **environment) if finding.severity in grave]

    def only(self, service: Service, *only: str, **environment: str) -> Finding:
        """The one thing that is wrong."""
        found = self.wrong(service, *only, **environment)
        assert len(found) == 1, found
        assert found[0].remedy
        assert found[0].evidence
        return found[0]


@pytest.fixture
def doctor() -> Doctor:
    return Doctor()


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def redis_environment() -> Callable[[Any], dict[str, str]]:
    """Of a process that uses this server."""

    def environment(server: Any) -> dict[str, str]:
        return {"REDIS_URL": server.url, "REDIS_PASSWORD": server.password}

    return environment


@pytest.fixture
def canary() -> str:
    return "canary" + secrets.token_hex(16)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return write
