"""Python, OpenSSL, and what is installed against what is locked, where the lock is at hand (in a checkout)."""

from __future__ import annotations

import re
import ssl
import sys
from collections.abc import Mapping, Set
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

from app.doctor.finding import Finding, error, note, ok, warning
from app.doctor.place import Place

CHECK: Final = "versions"
OLDEST_PYTHON: Final = (3, 11)
OLDEST_OPENSSL: Final = (3, 0)
LOCKS: Final = Path(__file__).resolve().parents[3] / "requirements"
SHOWN: Final = 6
_LINE = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)( *;[^\\]*)?", re.MULTILINE)


async def look(place: Place) -> list[Finding]:
    found = [judge_python(sys.version_info[:2], ssl.OPENSSL_VERSION_INFO[:2], ssl.OPENSSL_VERSION)]
    lock = LOCKS / lock_name(place)
    if not lock.is_file():
        return [*found, ok(CHECK, "The image was built from its lock", "and its bill of materials is in /usr/share/sbom")]
    locked, needed = parse_lock(lock.read_text(encoding="utf-8"))
    installed = {_plain(found.name): found.version for found in distributions()}
    return [*found, judge_packages(locked, needed, installed, lock.name)]


def judge_python(python: tuple[int, ...], openssl: tuple[int, ...], told: str) -> Finding:
    shown = f"Python {'.'.join(map(str, python))}, {told}"
    if python < OLDEST_PYTHON:
        return error(CHECK, "This Python is too old", shown, "3.11 or newer is needed.")
    if openssl < OLDEST_OPENSSL:
        return warning(CHECK, "This OpenSSL is not maintained any more", shown, "Take a Python that is built with OpenSSL 3.")
    return ok(CHECK, "Python and OpenSSL are new enough", shown)


def judge_packages(locked: Mapping[str, Set[str]], needed: Set[str], installed: Mapping[str, str], lock: str) -> Finding:
    """``locked``: by package, the versions that are right; ``needed``: those that no platform does without."""
    others = [
        f"{name} {installed[name]} (locked: {' or '.join(sorted(versions))})"
        for name, versions in sorted(locked.items())
        if name in installed and installed[name] not in versions
    ]
    missing = sorted(needed - installed.keys())
    if missing:
        return error(CHECK, "Packages are missing", f"{lock}: {_some(missing)}", "Install what is locked: make environment.")
    if others:
        return warning(
            CHECK, "What is installed is not what was tested", f"{lock}: {_some(others)}", "Install it: make environment."
        )
    same = sum(1 for name in locked if name in installed)
    if not same:
        return note(CHECK, "No package of the lock is installed here", lock)
    return ok(CHECK, "What is installed is what is locked", f"{same} packages of {lock}")


def parse_lock(text: str) -> tuple[dict[str, set[str]], set[str]]:
    """The versions by package, and the packages that stand there without a condition."""
    locked: dict[str, set[str]] = {}
    needed: set[str] = set()
    for name, version, condition in _LINE.findall(text):
        locked.setdefault(_plain(name), set()).add(version)
        if not condition.strip():
            needed.add(_plain(name))
    return locked, needed


def lock_name(place: Place) -> str:
    settings: Any = place.settings
    if place.service != "inference":
        return "gateway.lock"
    return "inference-gpu.lock" if getattr(settings, "inference_device", "cpu") == "cuda" else "inference-cpu.lock"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
