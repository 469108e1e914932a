"""``make down`` and ``make clean``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.credentials import FOLDER as CREDENTIALS
from infra.local.layout import AUDIT
from tools.pulumi.environment import STATE, backends
from tools.stack.cluster import own_cluster
from tools.stack.engine import Engine
from tools.stack.place import place_of


def down(engine: Engine) -> int:
    """Destroy what the stack made; the stack and its history stay."""
    place = place_of(engine)
    prepared = place.before_down(engine)
    if prepared is None:
        print(f"There is no stack {engine.stack}: nothing to remove.")
        return 0
    # Nothing but providers is left of a stack that is down; the program would only register them again.
    flags = [] if holds_resources(json.loads(prepared.read("stack", "export"))) else ["--run-program=false"]
    code = prepared.stream("destroy", "--yes", "--skip-preview", *flags)
    place.after_down(prepared)
    return code


def holds_resources(exported: Mapping[str, Any]) -> bool:
    """Whether a state names anything that exists outside it. Pure."""
    resources = (exported.get("deployment") or {}).get("resources") or []
    return any(not resource["type"].startswith(("pulumi:pulumi:", "pulumi:providers:")) for resource in resources)


def clean(engine: Engine) -> int:
    """Destroy, then remove the stack and, but on AWS, the configuration file that was generated for it.

    What was entered of its platforms and the audit log of a local stack go as well. A tracked configuration file is
    somebody's work and stays. Passphrase, backend and virtual environment serve every stack
    of the checkout and go with the last one.
    """
    down(engine)
    if engine.exists():
        engine.read("stack", "rm", "--yes", "--preserve-config")
    forget_kept(engine.checkout, engine.stack)
    if not place_of(engine).cleaned(engine):
        return 0
    if others := engine.stacks():
        print(f"Removed {engine.stack}. The passphrase and the environment stay: {', '.join(others)} needs them.")
        return 0
    if own_cluster(engine.checkout):
        print(f"Removed {engine.stack}. The cluster of `make cluster` stays: first `make cluster-down`, then `make clean`.")
        return 0
    if elsewhere := backends(engine.checkout / STATE):
        print(f"Removed {engine.stack}. {STATE} stays: it says where the state of {', '.join(elsewhere)} lies.")
        return 0
    for folder in (engine.checkout / STATE, engine.checkout / ".venv"):
        shutil.rmtree(folder, ignore_errors=True)
    print("Clean. What all checkouts share stays in ~/.cache/assistant-stack (engine, models).")
    return 0


def forget_kept(checkout: Path, stack: str) -> None:
    """Remove what a `make down` leaves of a stack, and of no other."""
    for folder in (CREDENTIALS, AUDIT):
        shutil.rmtree(checkout / folder / stack, ignore_errors=True)
