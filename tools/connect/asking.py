"""Takes a field's value from the environment, from a person, or from what is stored already."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tools.connect.fields import Field, Wrong

Say = Callable[[str], None]


class NotGiven(Exception):
    """Nobody is there to be asked; the message names every variable that lacks."""


@dataclass(kw_only=True)
class Asker:
    """``interactive``: whether somebody can be asked. ``read`` shows what is typed, ``read_secret`` does not."""

    environment: Mapping[str, str]
    interactive: bool
    say: Say
    read: Callable[[str], str] = input
    read_secret: Callable[[str], str] = getpass.getpass
    # Refused by the platform: not taken from the environment a second time.
    refused: set[str] = field(default_factory=set)

    def values(self, fields: Iterable[Field], stored: Mapping[str, str]) -> dict[str, str]:
        """By name. Raises :class:`Wrong` for a variable of the environment, :class:`NotGiven`."""
        wanted = tuple(fields)
        found: dict[str, str] = {}
        missing: list[Field] = []
        for one in wanted:
            given = self.environment.get(one.name, "").strip()
            if given and one.name not in self.refused:
                found[one.name] = one.checked(given)
            elif self.interactive:
                found |= self._ask(one, stored.get(one.name))
            elif one.name in stored:
                found[one.name] = stored[one.name]
            elif one.required:
                missing.append(one)
        if missing:
            listed = "\n".join(f"  {one.name:<26} {one.title}: {one.where}" for one in missing)
            raise NotGiven(f"Nobody is here to be asked, and the environment lacks:\n{listed}\nNothing was stored.")
        return found

    def again(self, one: Field, wrong: Wrong) -> dict[str, str]:
        """Ask for ``one`` alone, which was refused. Raises ``wrong`` where nobody can be asked."""
        if not self.interactive:
            raise wrong
        self.refused.add(one.name)
        return self._ask(one, None)

    def _ask(self, one: Field, stored: str | None) -> dict[str, str]:
        prompt = f"   {one.title} ({one.where})"
        self.say(f"{prompt}\n      {one.looks[:1].upper()}{one.looks[1:]}.")
        optional = "Enter: none" if not one.required else ""
        hint = "Enter: the stored one stays" if stored else optional
        while True:
            typed = (self.read_secret if one.secret else self.read)(f"      {one.name}{f' [{hint}]' if hint else ''}: ").strip()
            if not typed and stored:
                return {one.name: stored}
            if not typed and not one.required:
                return {}
            try:
                return {one.name: one.checked(typed)}
            except Wrong as wrong:
                self.say(f"      {wrong}")


def asker(environment: Mapping[str, str], say: Say) -> Asker:
    return Asker(environment=environment, interactive=sys.stdin.isatty(), say=say)
