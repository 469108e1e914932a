"""``make dead-letters``: what waits for a person, through the gateway's administration API, and what the person decides."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx2

from tools.stack.assistant import Assistant, AssistantError

PATH: Final = "/api/v1/admin/dead-letters"
PAGE: Final = 1000  # the most that the API lists at once
TWICE: Final = (
    "Its outcome was unknown: if the effect has happened (look at the conversation on the platform), it happens twice."
)

Letter = dict[str, Any]


@dataclass(frozen=True)
class Administration:
    """Each call raises :class:`AssistantError` with words for a person."""

    client: httpx2.Client
    assistant: Assistant

    def waiting(self, limit: int, state: str = "") -> tuple[list[Letter], bool]:
        """At most ``limit``, oldest first, and whether there are more."""
        found: list[Letter] = []
        after: str | None = None
        while True:
            query: dict[str, str | int] = {"limit": min(PAGE, limit - len(found))}
            query |= {name: value for name, value in (("state", state), ("after", after)) if value}
            page = self._call("GET", PATH, query)
            found += page["dead_letters"]
            after = page["next"]
            if after is None or len(found) >= limit:
                return found, after is not None

    def one(self, key: str) -> Letter:
        return self._call("GET", _path(key), key=key)

    def replay(self, key: str) -> Letter:
        return self._call("POST", f"{_path(key)}/replay", key=key)

    def discard(self, key: str) -> Letter:
        return self._call("DELETE", _path(key), key=key)

    def _call(self, method: str, path: str, query: dict[str, str | int] | None = None, key: str = "") -> Letter:
        place = self.assistant
        try:
            response = self.client.request(method, path, params=query)
        except httpx2.HTTPError as error:
            raise AssistantError(f"{place.url} does not answer ({error}). {place.advice}") from error
        try:
            document: Letter = response.json()
        except ValueError:
            raise AssistantError(f"{response.status_code} from {place.url}, and no JSON: something before it answers") from None
        if response.status_code == 404 and key:
            raise AssistantError(self._why_not(key))
        if response.is_error:
            message = document.get("error", {}).get("message", document)
            raise AssistantError(f"{response.status_code} from {path}: {message}")
        return document

    def _why_not(self, key: str) -> str:
        """Why no event of this key is set aside."""
        listing = f"All that waits: make dead-letters{self.assistant.make_option}"
        try:
            response = self.client.get(f"/api/v1/events/{quote(key, safe='')}")
            state = str(response.json()["state"]) if response.is_success else ""
        except (httpx2.HTTPError, ValueError, KeyError):
            state = ""
        if state:
            return f"{printable(key)} waits for nobody: it is {state}. {listing}"
        return f"No event {printable(key)} is known: a key is platform:team:number, as the list shows it. {listing}"


def show_list(office: Administration, limit: int, state: str, *, as_json: bool) -> int:
    letters, more = office.waiting(limit, state)
    if as_json:
        print(json.dumps({"dead_letters": letters, "more": more}, ensure_ascii=False, indent=2))
        return 0
    if not letters:
        print(_nothing(state))
        return 0
    option = office.assistant.make_option
    print(table(letters))
    print(f"\n{_many(len(letters), 'event')}{'; more wait: LIMIT=…' if more else ''}.")
    print(f"  make dead-letters{option} KEY='…'       one, and what happened to it")
    print(f"  make dead-letters{option} REPLAY='…'    again, with fresh attempts")
    print(f"  make dead-letters{option} DISCARD='…'   never")
    if any(letter["state"] == "unknown" for letter in letters):
        print("An unknown one may have had its effect: look at the conversation on the platform before you replay it.")
    return 0


def show_one(office: Administration, key: str, *, as_json: bool) -> int:
    letter = office.one(key)
    if as_json:
        print(json.dumps(letter, ensure_ascii=False, indent=2))
        return 0
    print(f"{printable(letter['event'])}: {letter['state']} since {letter['at']}, {_many(letter['attempts'], 'attempt')}")
    print(f"  {printable(letter['reason'])}\n")
    for entry in letter["timeline"]:
        print(f"  {entry['at']}  {entry['stage']:<10}  {printable(entry.get('detail') or '')}".rstrip())
    option, quoted = office.assistant.make_option, shlex.quote(key)
    print(f"\nAgain: make dead-letters{option} REPLAY={quoted}\nNever: make dead-letters{option} DISCARD={quoted}")
    if letter["state"] == "unknown":
        print(TWICE)
    return 0


def replay(office: Administration, key: str) -> int:
    """The warning comes first: whoever reads it in time can still stop."""
    if office.one(key)["state"] == "unknown":
        print(f"Warning: {TWICE}", file=sys.stderr, flush=True)
    settled = office.replay(key)
    print(f"{printable(settled['event'])} was {settled['was']} and is queued again.")
    print(f"What becomes of it: GET {office.assistant.url}/api/v1/events/{quote(key, safe='')}")
    return 0


def discard(office: Administration, key: str) -> int:
    settled = office.discard(key)
    print(f"{printable(settled['event'])} was {settled['was']} and is forgotten.")
    return 0


def table(letters: Sequence[Letter]) -> str:
    """For a person: an event a line, its key as it is typed again."""
    rows = [("SINCE (UTC)", "STATE", "ATTEMPTS", "EVENT", "REASON")]
    rows += [
        (
            str(letter["at"])[:19].replace("T", " "),
            str(letter["state"]),
            str(letter["attempts"]),
            printable(str(letter["event"])),
            printable(str(letter["reason"])),
        )
        for letter in letters
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join((*map(str.ljust, row, widths), row[4])).rstrip() for row in rows)


def printable(text: str) -> str:
    """What a platform has written moves no terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii") for character in text
    )


def _path(key: str) -> str:
    return f"{PATH}/{quote(key, safe='')}"


def _nothing(state: str) -> str:
    what = {"dead": "no dead letters", "unknown": "no events of unknown outcome"}
    return f"Nothing waits for a person: {what.get(state, 'no dead letters, no events of unknown outcome')}."


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
