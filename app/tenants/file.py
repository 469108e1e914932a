"""``tenants.yaml``: a list of tenants. docs/tenants.md shows one.

Read whole and refused as a whole, with every mistake. No secret stands in it: a key by its digest or by where it stands, a
token by where it stands.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from app.auth.api_keys import DIGEST_PREFIX, ApiKeyError, TenantKey, parse_digests
from app.auth.permissions import ALL, permissions
from app.auth.secret_reference import EXPECTED, SecretReference, SecretUnreadable, parse_reference
from app.auth.yaml_form import Form, entries, form, kind_of, nearest
from app.tenants.tenant import DEFAULT, EVERY_TEAM, Libraries, Quota, TasksRefused, Tenant, Tenants

FIELDS: Final = ("name", "teams", "instructions", "quota", "tasks", "groups", "apiKeys", "tokens")
KEY_FIELDS: Final = ("name", "key", "scopes", "groups", "expires")
QUOTA_FIELDS: Final = ("messagesPerMinute",)
PLATFORMS: Final = ("generic", "slack", "feishu")
OPERATOR: Final = "operator"  # the name of API_KEY
LONGEST_INSTRUCTIONS: Final = 8_000  # characters: they stand before every question
MOST_MESSAGES: Final = 100_000
NAME: Final = "lower case letters, digits, - and _ are allowed, at most 63, a letter or a digit first"
KEY: Final = f"{DIGEST_PREFIX} and 64 hexadecimal digits, or where the key stands, is expected: {EXPECTED}"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_DIGEST = re.compile(rf"{DIGEST_PREFIX}[0-9a-fA-F]{{64}}", re.ASCII)
_SENDER_PARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What a file is read with. ``environment`` None: secrets are not looked for, as where a stack is previewed and the
    processes' files do not exist; whether what is named is there is then unknown."""

    actions: tuple[str, ...]
    libraries: Libraries
    environment: Mapping[str, str] | None

    def read(self, file: Path | None, mistakes: list[str]) -> Tenants:
        """The tenants; with mistakes they are of no use. None: one tenant, to whom every team belongs."""
        if file is None:
            found = Tenant(name=DEFAULT, teams=frozenset({EVERY_TEAM}))
            return Tenants([self._with_library(found, f"tenant {DEFAULT}", mistakes)])
        tenants = []
        for entry in entries(file, FIELDS, "tenant", mistakes):
            name = entry.text("name", pattern=_NAME, expected=NAME)
            named = replace(entry, place=f'{entry.place} "{name}"') if name else entry
            tenants.append(self._with_library(self._tenant(named, name, file.parent), named.place, mistakes))
        if not tenants and not mistakes:
            mistakes.append(f"{file.name}: is empty; a list of tenants is expected, with one at least")
        mistakes.extend(_shared(file.name, tenants))
        return Tenants(tenants)

    def _tenant(self, entry: Form, name: str, folder: Path) -> Tenant:
        teams = frozenset(_teams(entry))
        return Tenant(
            name=name,
            teams=teams,
            instructions=_instructions(entry),
            quota=_quota(entry),
            tasks=folder / entry.text("tasks", expected="the path of a folder is expected") if entry.has("tasks") else None,
            groups=_groups(entry),
            keys=tuple(self._keys(entry, name)),
            tokens=_tokens(entry),
        )

    def _with_library(self, tenant: Tenant, place: str, mistakes: list[str]) -> Tenant:
        try:
            library = self.libraries(tenant.tasks)
            digest = digest_of(tenant.tasks) if tenant.tasks else ""
        except (TasksRefused, OSError) as error:
            mistakes.extend(f"{place}: tasks: {line}" for line in str(error).splitlines())
            return tenant
        return replace(tenant, library=library, tasks_digest=digest)

    def _keys(self, entry: Form, tenant: str) -> Iterable[TenantKey]:
        if not entry.has("apiKeys"):
            return
        listed = entry.values["apiKeys"]
        if not isinstance(listed, list) or not listed:
            entry.wrong("apiKeys", f"is {kind_of(listed)}; a list of keys is expected, with one at least")
            return
        for number, value in enumerate(listed, start=1):
            key = form(value, KEY_FIELDS, f"{entry.place}: apiKeys {number}", entry.mistakes)
            name = key.text("name", pattern=_NAME, expected=NAME)
            if name == OPERATOR:
                key.wrong("name", f'"{OPERATOR}" is the name of the stack\'s own key')
            allowed = (*permissions(self.actions), ALL)
            digests, source = self._digests(key)
            yield TenantKey(
                name=name,
                tenant=tenant,
                digests=digests,
                source=source,
                scopes=frozenset(key.choices("scopes", allowed, "permission")) if key.has("scopes") else None,
                groups=frozenset(key.texts("groups")) if key.has("groups") else frozenset(),
                expires=_moment(key, "expires") if key.has("expires") else None,
            )

    def _digests(self, key: Form) -> tuple[tuple[bytes, ...], SecretReference | None]:
        value = key.values.get("key")
        if isinstance(value, str) and _DIGEST.fullmatch(value):
            return parse_digests(value), None
        reference = parse_reference(value) if isinstance(value, str) else None
        if reference is None:
            key.wrong("key", f"{KEY}; what came is not repeated" if value is not None else f"is empty; {KEY}")
        elif self.environment is not None:
            try:
                return parse_digests(reference.read(self.environment)), reference
            except (SecretUnreadable, ApiKeyError) as error:
                key.wrong("key", str(error))
        return (), reference


def digest_of(folder: Path) -> str:
    """Of the names and contents of a folder's templates."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.yaml")):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _teams(entry: Form) -> list[str]:
    teams = entry.texts("teams")
    for team in teams:
        platform, _, name = team.partition(":")
        if team != EVERY_TEAM and (not name or not name.isprintable() or " " in name or ":" in name):
            entry.wrong("teams", f'"{team[:80]}" is neither platform:team nor "{EVERY_TEAM}"')
        elif team != EVERY_TEAM and platform not in PLATFORMS:
            entry.wrong("teams", f'"{team[:80]}": unknown platform "{platform[:80]}"; {nearest(platform, PLATFORMS)}')
    return teams


def _instructions(entry: Form) -> str:
    if not entry.has("instructions"):
        return ""
    text = entry.text("instructions").strip()
    if len(text) > LONGEST_INSTRUCTIONS:
        entry.wrong("instructions", f"has {len(text)} characters; at most {LONGEST_INSTRUCTIONS} are allowed")
    return text


def _quota(entry: Form) -> Quota:
    if not entry.has("quota"):
        return Quota()
    quota = form(entry.values["quota"], QUOTA_FIELDS, f"{entry.place}: quota", entry.mistakes)
    messages = quota.values.get("messagesPerMinute")
    if isinstance(messages, int) and not isinstance(messages, bool) and 1 <= messages <= MOST_MESSAGES:
        return Quota(messages)
    number = isinstance(messages, int | float) and not isinstance(messages, bool)
    came = messages if number else f"is {kind_of(messages)}"
    quota.wrong("messagesPerMinute", f"{came}; a whole number from 1 to {MOST_MESSAGES} is expected")
    return Quota()


def _groups(entry: Form) -> Mapping[str, frozenset[str]]:
    groups = {}
    members = Form(entry.mapping("groups"), f"{entry.place}: groups", entry.mistakes)
    for name in members.values:
        if not isinstance(name, str) or not name.strip():
            members.mistakes.append(f"{members.place}: a group's name is {kind_of(name)}; a text is expected")
            continue
        senders = members.texts(name)
        for sender in senders:
            parts = sender.split(":", _SENDER_PARTS - 1)
            if len(parts) != _SENDER_PARTS or not all(parts):
                members.wrong(name, f'"{sender[:80]}" is not platform:team:user')
        groups[name] = frozenset(sender for sender in senders if sender.count(":") >= _SENDER_PARTS - 1)
    return MappingProxyType(groups)


def _tokens(entry: Form) -> Mapping[str, SecretReference]:
    tokens = {}
    for platform, value in entry.mapping("tokens").items():
        reference = parse_reference(value) if isinstance(value, str) else None
        if platform not in PLATFORMS:
            entry.wrong("tokens", f'unknown platform "{str(platform)[:80]}"; {nearest(str(platform), PLATFORMS)}')
        elif reference is None:
            entry.wrong("tokens", f"{platform}: {EXPECTED}; what came is not repeated")
        else:
            tokens[platform] = reference
    return MappingProxyType(tokens)


def _moment(entry: Form, field: str) -> datetime | None:
    value: Any = entry.values[field]
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    entry.wrong(field, "a day (2027-01-31) or a moment (2027-01-31T12:00:00Z) is expected; times are UTC")
    return None


def _shared(file: str, tenants: Sequence[Tenant]) -> Iterable[str]:
    """What stands in two places and may stand in one, and whoever is in the wrong place."""
    for name in _twice(tenant.name for tenant in tenants):
        yield f'{file}: the name "{name}" is taken twice'
    keys = [key for tenant in tenants for key in tenant.keys]
    for name in _twice(key.name for key in keys):
        yield f'{file}: apiKeys: the name "{name}" is taken twice; names are unique over all tenants'
    for digest in _twice(digest for key in keys for digest in key.digests):
        same = ", ".join(sorted(f'"{key.name}"' for key in keys if digest in key.digests))
        yield f"{file}: apiKeys: {same} are one and the same key"
    for team in _twice(team for tenant in tenants for team in tenant.teams):
        owners = ", ".join(sorted(f'"{tenant.name}"' for tenant in tenants if team in tenant.teams))
        yield f'{file}: teams: "{team}" belongs to {owners}; a team is one tenant\'s'
    known = Tenants(tenants)
    for tenant in tenants:
        members = {(group, sender) for group, senders in tenant.groups.items() for sender in senders}
        for group, sender in sorted(members):
            platform, _, rest = sender.partition(":")
            if known.of(platform, rest.partition(":")[0]) is not known.named(tenant.name):
                yield f'{file}: tenant "{tenant.name}": groups: {group}: "{sender}" is in no team of this tenant'


T = TypeVar("T", str, bytes)


def _twice(items: Iterable[T]) -> list[T]:
    """What is there more than once; empty ones are mistakes of their own."""
    return sorted(item for item, times in Counter(items).items() if item and times > 1)
