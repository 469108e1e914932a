"""Redis is the one service with state: nobody without its password, nothing evicted, every acknowledged write on the disk."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from policies.local_types import PROCESS, Role, role_of
from policies.resource import Resource, View
from policies.rule import PASS, Check, Rule, Severity, Verdict, each, fail, undetermined
from policies.rules import links, managed_redis
from policies.show import show

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


def is_redis(resource: Resource) -> bool:
    return role_of(resource.view) is Role.REDIS


def requires_authentication(resource: Resource) -> Verdict:
    if not is_redis(resource):
        return PASS
    view = resource.view
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
        if "on" in rules and ("nopass" in rules or not any(rule.startswith((">", "#")) for rule in rules))
    ]
    return fail(*(f"the user {show(name)} needs no password" for name in opened)) if opened else PASS


def never_evicts(resource: Resource) -> Verdict:
    if not is_redis(resource):
        return PASS
    policy = " ".join(directives(resource.view).get("maxmemory-policy", ["noeviction"]))  # Redis' own default
    return PASS if policy.lower() == "noeviction" else fail(f"maxmemory-policy is {show(policy)}: events would vanish unseen")


def always_on_disk(resource: Resource) -> Verdict:
    if not is_redis(resource):
        return PASS
    found = directives(resource.view)

    def check(directive: str, wanted: str, default: str) -> Verdict:
        came = " ".join(found.get(directive, [default]))
        return PASS if came.lower() == wanted else fail(f"{directive} is {show(came)}, not {wanted}")

    return each(lambda: check("appendonly", "yes", "no"), lambda: check("appendfsync", "always", "everysec"))


READ: Final = ("command", "configurationFiles")

RULES: Final = (
    Rule(
        id="R08",
        name="redis-authentication",
        title="Redis requires authentication",
        severity=Severity.HIGH,
        controls=("5.17", "8.5"),
        remedy="give every user of the access list a password (or set requirepass), and never nopass",
        link=links.REDIS_SECURITY,
        checks=(Check(types=(PROCESS,), properties=READ, judge=requires_authentication),),
        relations=(managed_redis.AUTHENTICATION,),
    ),
    Rule(
        id="L03",
        name="redis-never-evicts",
        title="Redis never evicts",
        severity=Severity.HIGH,
        controls=("8.6", "5.33"),
        remedy="set maxmemory-policy noeviction: overload is refused at admission, and what is a cache bounds itself",
        link=links.REDIS_EVICTION,
        checks=(Check(types=(PROCESS,), properties=READ, judge=never_evicts),),
    ),
    Rule(
        id="L04",
        name="redis-durable",
        title="Redis has every acknowledged write on the disk",
        severity=Severity.HIGH,
        controls=("8.13", "8.14", "5.33"),
        remedy="set appendonly yes and appendfsync always: an acknowledged event must survive a power cut",
        link=links.REDIS_PERSISTENCE,
        checks=(Check(types=(PROCESS,), properties=READ, judge=always_on_disk),),
    ),
)
