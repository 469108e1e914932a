"""What a person copies from a platform's developer console: its form, and where it stands there. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


class Wrong(Exception):
    """``name``: the field, setting or page of the console that is at fault. The message says why and what to do, and holds no
    value. ``passing``: it may be otherwise in a while, without anybody's doing."""

    def __init__(self, name: str, message: str, *, passing: bool = False) -> None:
        super().__init__(f"{name}: {message}")
        self.name, self.passing = name, passing


@dataclass(frozen=True, kw_only=True)
class Field:
    """``name``: of the environment variable, and in lower case of the credential. ``likely``: by how a value begins, what
    somebody who copied the wrong one has copied. ``several``: a new one and the one before it may stand beside each other."""

    name: str
    title: str
    where: str
    form: re.Pattern[str]
    looks: str
    secret: bool = True
    several: bool = False
    required: bool = True
    likely: Mapping[str, str] = field(default_factory=dict)

    def checked(self, value: str) -> str:
        """``value`` without what copying adds round it. Raises :class:`Wrong`."""
        words = value.split()
        if not words:
            raise Wrong(self.name, f"is empty. {self.found}")
        if len(words) > 1 and not self.several:
            raise Wrong(self.name, f"has a blank in it: it is one word, which {self.looks}. {self.found}")
        for word in words:
            if not self.form.fullmatch(word):
                raise Wrong(self.name, f"{self._seen(word)} It {self.looks}. {self.found}")
        return " ".join(words)

    @property
    def found(self) -> str:
        return f'"{self.title}" stands in the console under {self.where}.'

    def _seen(self, word: str) -> str:
        """What it may be instead. Nothing but the prefix of its kind is told of it."""
        for prefix, kind in self.likely.items():
            if word.startswith(prefix):
                return f'begins with "{prefix}": that is {kind}.'
        return f"has not the form of a {self.title} ({len(word)} characters came)."
