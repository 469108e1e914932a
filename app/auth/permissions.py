"""The permissions that there are, as roles grant them and credentials name them in their scopes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

ASK: Final = "ask"
READ_EVENTS: Final = "read:events"
ADMINISTER: Final = "administer"  # all of the next four
ADMINISTER_DEAD_LETTERS: Final = "administer:dead-letters"
ADMINISTER_REPLAY: Final = "administer:replay"
ADMINISTER_DISCARD: Final = "administer:discard"
ADMINISTER_INSTALL: Final = "administer:install"
ALL: Final = "*"
ADMINISTRATION: Final = (ADMINISTER, ADMINISTER_DEAD_LETTERS, ADMINISTER_REPLAY, ADMINISTER_DISCARD, ADMINISTER_INSTALL)


def run(action: str) -> str:
    """The permission to have ``action`` carried out."""
    return f"run:{action}"


def permissions(actions: Iterable[str]) -> tuple[str, ...]:
    """Every permission that there is, for these actions; :data:`ALL` stands for them together."""
    return (ASK, *map(run, sorted(actions)), READ_EVENTS, *ADMINISTRATION)


def covers(granted: Iterable[str], wanted: str) -> bool:
    """Whether ``wanted`` is among what is granted, by its own name or by one that stands for it."""
    names = {wanted, ALL}
    if wanted in ADMINISTRATION:
        names.add(ADMINISTER)
    return not names.isdisjoint(granted)
