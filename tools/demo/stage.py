"""What the scenes need of a platform that is played."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from tools.demo.processes import Running

EMULATORS = Path(__file__).resolve().parents[2] / "tests" / "platforms"
SENTENCE = "创建一个周会的日程在2026-12-01"
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a person wrote. ``key``: of the event that it is to the assistant. ``event``: as the platform delivers it, to be
    delivered again."""

    id: str
    key: str
    event: Mapping[str, Any]


class Stage(Protocol):
    title: str
    limit: str  # of one message, in words
    played_by: str

    def environment(self, url: str) -> Mapping[str, str]:
        """What gateway and worker are told. ``url``: the gateway's."""

    def open(self, assistant: Running) -> None:
        """Know where events go to; begins to be played before that."""

    def challenge(self) -> bool: ...

    def install(self) -> str | None:
        """Somebody installs the application; what the page says in the end. None where it needs no installation."""

    def write(self, text: str) -> Message:
        """Ada writes to the assistant, among others."""

    def deliver_again(self, message: Message) -> bool:
        """The same message a second time; whether it was taken."""

    def replies(self, message: Message) -> list[str]:
        """What was answered to it so far, files as ``[name]``."""

    def calendar(self) -> list[str]:
        """The entries that stand, a line each."""

    def busy_once(self, seconds: int) -> None:
        """The next answer is refused with 429, and is to wait."""

    def expire_tokens(self) -> None: ...

    def tokens_issued(self) -> int: ...

    def refusals(self) -> int:
        """How many calls were refused so far."""

    def talk(self, text: str) -> Message:
        """As :meth:`write`, in a chat of two."""

    @property
    def page(self) -> str:
        """Where the conversations can be seen in a browser; "" for nowhere."""

    def stop(self) -> None: ...


def emulator(name: str) -> ModuleType:
    """A module of the emulators, which lie with the tests and are no package."""
    if str(EMULATORS) not in sys.path:
        sys.path.insert(0, str(EMULATORS))
    return importlib.import_module(name)
