"""What the dialogue needs to know of a platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from infra.platform_settings import Platform
from tools.connect.fields import Field, Wrong
from tools.connect.plan import Plan

Values = Mapping[str, str]  # by a field's name


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What the platform's interface says of the values: ``right``, lines for a person, and what is ``wrong``. ``bot``: how one
    writes to it there."""

    right: tuple[str, ...] = ()
    wrong: tuple[Wrong, ...] = ()
    bot: str = "the assistant"


@dataclass(frozen=True, kw_only=True)
class Instructions:
    """``text``: what to enter and where to click. ``files``: what is written out too, by name."""

    text: str
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """What the platform sends to see whether an address is ours, made here with the values that were entered."""

    body: bytes
    headers: Mapping[str, str]
    answer: Mapping[str, str]


class Vendor(Protocol):
    platform: Platform
    title: str

    def fields(self, plan: Plan) -> tuple[Field, ...]: ...

    def instructions(self, plan: Plan, folder: str) -> Instructions:
        """``folder``: where the files are going to lie, as it is shown."""

    async def check(self, plan: Plan, values: Values) -> Checked:
        """Finds out by using them. What is wrong is returned, not raised."""

    def settings(self, plan: Plan, values: Values) -> Mapping[str, str]:
        """By key, for the stack's configuration."""

    def challenge(self, values: Values, now: float) -> Challenge: ...

    async def hello(self, values: Values, to: str, text: str) -> None:
        """Write ``text`` to a channel, chat or person. Raises :class:`Wrong`."""

    def once_up(self, plan: Plan) -> str:
        """What is left to do in the console when the stack is up; "" for nothing."""

    def nothing_came(self, plan: Plan) -> tuple[str, ...]:
        """What to look at, the likeliest first, where no event came."""

    def refused(self, plan: Plan) -> str:
        """What it means that the gateway refused the platform's events."""
