"""What of a stack is protected from being destroyed, and how somebody who means it goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tools.stack.engine import Engine

SHOWN = 12


def protected(engine: Engine) -> list[str]:
    """Names and types of what the state holds as protected."""
    return protected_in(json.loads(engine.read("stack", "export")))


def protected_in(exported: Mapping[str, Any]) -> list[str]:
    """Pure."""
    resources = (exported.get("deployment") or {}).get("resources") or []
    return sorted(
        f"{resource['urn'].rpartition('::')[2]} ({resource['type']})" for resource in resources if resource.get("protect")
    )


def explained(engine: Engine, names: Sequence[str]) -> str:
    option, more = engine.make_option, len(names) - SHOWN
    listed = "\n".join(f"  - {name}" for name in names[:SHOWN]) + (f"\n  - … and {more} more" if more > 0 else "")
    return (
        f"What holds data in the stack {engine.stack} is protected, so it is not removed. Nothing was changed:\n{listed}\n"
        "If all of it may go, messages and models and audit logs included, take the protection off first:\n"
        f"  make set{option} KEY=protection VALUE=false\n  make up{option} UNPROTECT=1\n  make down{option}\n"
        "To pause the stack instead, lower its minima (docs/aws.md)."
    )
