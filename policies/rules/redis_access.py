"""The configuration of a Redis server, and whether it lets anybody in without a password."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from policies.resource import View
from policies.rule import PASS, Verdict, fail, undetermined
from policies.show import show

# What a user without a password may have and no more: a probe's, that reads and writes nothing.
HARMLESS: Final = frozenset({"+ping"})
Directives = dict[str, list[str]]


def directives(view: View) -> Directives:
    """The configuration of a Redis process, by directive: its file, then the options of its command, which win.

    Raises :class:`policies.resource.NotKnown` or ``Malformed`` where these cannot be read.
    """
    command = (view.texts("command") or [])[1:]
    files = view.mapping("configurationFiles")
    found: Directives = {}
    if command and not command[0].startswith("--"):
        name = PurePosixPath(command[0]).name
        found = _parse((files.text(name) if files else None) or "")
        command = command[1:]
    option = ""
    for word in command:
        if word.startswith("--"):
            option = word.removeprefix("--").lower()
            found[option] = []
        elif option:
            found[option].append(word)
    return found


def _parse(text: str) -> Directives:
    found: Directives = {}
    for line in text.splitlines():
        try:
            words = shlex.split(line) if '"' in line or "'" in line else line.split()
        except ValueError:  # a quotation without end: Redis refuses the file too
            continue
        if words and not words[0].startswith("#"):
            found[words[0].lower()] = words[1:]
    return found


def authenticated(view: View) -> Verdict:
    """``view``: as :func:`directives` reads it."""
    found = directives(view)
    if any(found.get("requirepass", [])):
        return PASS
    file = " ".join(found.get("aclfile", []))
    if not file:
        return fail("neither requirepass nor an aclfile is set: whoever reaches the port may read and write all events")
    name = PurePosixPath(file).name
    files = view.mapping("configurationFiles")
    if files is None or name not in files:
        return undetermined(f"the users stand in {show(name)}, which the resource does not describe")
    return _users(files.text(name) or "")


def _users(text: str) -> Verdict:
    """https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/: every user that is on needs a password."""
    users = [words[1:] for words in map(str.split, text.splitlines()) if words[:1] == ["user"] and len(words) > 1]
    if not any(name == "default" for name, *_ in users):
        # Redis makes a default user of its own then, which needs no password.
        return fail("the access list does not speak of the user default, who then needs no password")
    return _open_users((user[0], [rule.lower() for rule in user[1:]]) for user in users)


def _open_users(users: Iterable[tuple[str, list[str]]]) -> Verdict:
    opened = [
        name
        for name, rules in users
        if "on" in rules
        and ("nopass" in rules or not any(rule.startswith((">", "#")) for rule in rules))
        and not _is_harmless(rules)
    ]
    return fail(*(f"the user {show(name)} needs no password" for name in opened)) if opened else PASS


def _is_harmless(rules: Iterable[str]) -> bool:
    """Whether all that the rules give (commands, keys, channels, selectors) is to say PING."""
    given = {rule for rule in rules if rule[:1] in "+~%&(" or rule in ("allkeys", "allchannels", "allcommands")}
    return bool(given) and given <= HARMLESS
