"""Lines to the engine: kept ones on the user's screen, passing ones beside a resource."""

from __future__ import annotations

import contextlib
from typing import Any

import grpc

from plugin import wire


class EngineLog:
    """The engine's Log service. What it cannot take is not worth failing for."""

    def __init__(self, address: str) -> None:
        *_, self._messages, services, _status = wire.modules()
        self._channel = grpc.insecure_channel(address)
        self._engine = services.EngineStub(self._channel)

    def warn(self, text: str, urn: str = "") -> None:
        self._send(severity=self._messages.WARNING, message=text, urn=urn)

    def status(self, text: str, urn: str) -> None:
        """Shown beside the resource until the next one comes; an empty one clears it."""
        self._send(severity=self._messages.INFO, message=text, urn=urn, ephemeral=True)

    def _send(self, **fields: Any) -> None:
        with contextlib.suppress(grpc.RpcError):
            self._engine.Log(self._messages.LogRequest(**fields))
