"""A secret and those that it replaces: while both sides change over, what either of them signed is accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SecretSet(Generic[T]):
    """``current`` signs and seals; ``previous`` are still accepted, and their use is told, so that an operator sees when the
    last one who holds an old secret has changed over."""

    current: T
    previous: tuple[T, ...] = ()

    @property
    def all(self) -> tuple[T, ...]:
        return (self.current, *self.previous)


def parse_set(text: str, parse: Callable[[str], T]) -> SecretSet[T]:
    """Secrets separated by white space, the current one first. Raises what ``parse`` raises; :class:`ValueError` for none."""
    values = [parse(word) for word in text.split()]
    if not values:
        raise ValueError("is empty: one secret at least is expected, the current one first")
    return SecretSet(values[0], tuple(values[1:]))
