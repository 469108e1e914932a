"""Decides whether there is anything to do: the set-up's inputs in one digest, and what it left behind."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

INPUTS = (
    "pyproject.toml",
    "requirements/bootstrap.lock",
    "requirements/development.lock",
    "tools/pulumi/go.mod",
    "tools/pulumi/go.sum",
    "tools/pulumi/version.py",
    "tools/pulumi/language_host/pulumi-language-python",
    "tools/pulumi/language_host/pulumi_language_python.py",
)
ENVIRONMENT = ".venv"
STATE = ".state"
STAMP = ".assistant-stack.json"


def digest(checkout: Path, arguments: Sequence[str]) -> str:
    """Of all that the environment is made from: locks, the checkout's place, the Python, the command line."""
    result = hashlib.sha256()
    for part in [str(checkout), sys.version, str(Path(sys.base_prefix).resolve()), *arguments]:
        result.update(part.encode() + b"\0")
    for name in INPUTS:
        result.update(name.encode() + b"\0" + (checkout / name).read_bytes() + b"\0")
    return result.hexdigest()


def seen(path: Path) -> dict[str, str | int]:
    """What tells whether a tool is still the one that was found: its place, size and time of change."""
    status = path.stat()
    return {"path": str(path), "size": status.st_size, "changed": status.st_mtime_ns}


def write(checkout: Path, inputs: str, tools: Sequence[Path]) -> None:
    """Leave the stamp; only a set-up that went well all the way does."""
    environment = checkout / ENVIRONMENT
    partial = environment / f"{STAMP}.{os.getpid()}"
    partial.write_text(json.dumps({"inputs": inputs, "tools": [seen(tool) for tool in tools]}), encoding="utf-8")
    partial.replace(environment / STAMP)


def up_to_date(folder: str | Path, arguments: Sequence[str]) -> bool:
    """Whether the stamp is of these inputs, the interpreter and the passphrase still there and every tool unchanged."""
    checkout = Path(folder)
    environment = checkout / ENVIRONMENT
    inputs = digest(checkout, arguments)
    try:
        stamp = json.loads((environment / STAMP).read_text(encoding="utf-8"))
        tools = [(tool, seen(Path(tool["path"]))) for tool in stamp["tools"]]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    there = (environment / "bin" / "python").exists() and (checkout / STATE / "passphrase").exists()
    return stamp["inputs"] == inputs and there and all(was == now for was, now in tools)
