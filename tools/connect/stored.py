"""Keeps what was entered: the credentials in private files, the rest in the stack's configuration; both, or neither."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.credentials import NAMES, Credentials
from infra.local.private_files import write_private
from tools.stack.engine import Engine
from tools.stack.place import place_of


def stored(credentials: Credentials, names: list[str]) -> dict[str, str]:
    """By the variable's name, those of ``names`` that lie there. Raises :class:`infra.errors.DeploymentError`."""
    found = {name: credentials.read(name.lower()) for name in names if name.lower() in NAMES}
    return {name: value for name, value in found.items() if value}


def keep(engine: Engine, credentials: Credentials, values: Mapping[str, str], settings: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the credentials that are another value now. Whatever happens in between, ^C too, leaves all as it was."""
    secrets = {name.lower(): value for name, value in values.items() if name.lower() in NAMES}
    changed = tuple(name for name, value in secrets.items() if credentials.read(name) != value)
    place = place_of(engine)
    place.configure(engine)
    with _all_or_nothing([engine.configuration, *(credentials.path(name) for name in changed)]):
        for name in changed:
            credentials.write(name, secrets[name])
        for key, value in settings.items():
            if value_at(engine.document(), key) != value:
                place.set(engine, key, value)
        engine.settings()  # refuses what does not fit the rest
    return changed


def value_at(document: Mapping[str, Any], key: str) -> Any:
    """What a configuration file says of the setting ``key``; None where it says nothing."""
    first, *rest = key.split(".")
    value = (document.get("config") or {}).get(f"assistant:{first}")
    for word in rest:
        value = value.get(word) if isinstance(value, dict) else None
    return value


@contextlib.contextmanager
def _all_or_nothing(files: list[Path]) -> Iterator[None]:
    before = {file: file.read_text(encoding="utf-8") if file.exists() else None for file in files}
    try:
        yield
    except BaseException:
        for file, text in before.items():
            if text is None:
                file.unlink(missing_ok=True)
            elif not file.exists() or file.read_text(encoding="utf-8") != text:
                mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
                write_private(file, text)
                file.chmod(mode)
        raise
