"""``make down`` and ``make clean``."""

from __future__ import annotations

import shutil

from tools.stack import preflight
from tools.stack.cluster import own_cluster
from tools.stack.engine import Engine


def down(engine: Engine) -> int:
    """Destroy what the stack made; the stack and its history stay."""
    if not engine.exists():
        print(f"There is no stack {engine.stack}: nothing to remove.")
        return 0
    engine = preflight.ready(engine, "Removing from")
    code = engine.stream("destroy", "--yes", "--skip-preview")
    preflight.forget(engine)
    return code


def clean(engine: Engine) -> int:
    """Destroy, then remove the stack and the configuration file that was generated for it.

    A tracked configuration file is somebody's work and stays. Passphrase, backend and virtual environment serve every stack
    of the checkout and go with the last one.
    """
    down(engine)
    if engine.exists():
        engine.read("stack", "rm", "--yes", "--preserve-config")
    if not engine.tracks_configuration():
        engine.configuration.unlink(missing_ok=True)
    if others := engine.stacks():
        print(f"Removed {engine.stack}. The passphrase and the environment stay: {', '.join(others)} needs them.")
        return 0
    if own_cluster(engine.checkout):
        print(f"Removed {engine.stack}. The cluster of `make cluster` stays: first `make cluster-down`, then `make clean`.")
        return 0
    for folder in (engine.checkout / ".state", engine.checkout / ".venv"):
        shutil.rmtree(folder, ignore_errors=True)
    print("Clean. What all checkouts share stays in ~/.cache/assistant-stack (engine, models).")
    return 0
