"""``make down`` and ``make clean``."""

from __future__ import annotations

from tools.stack.engine import Engine


def down(engine: Engine) -> int:
    """Destroy what the stack made; the stack and its history stay."""
    if not engine.exists():
        print(f"There is no stack {engine.stack}: nothing to remove.")
        return 0
    # Delete hooks are named by the program, so a destroy runs it.
    return engine.stream("destroy", "--yes", "--skip-preview", "--run-program")


def clean(engine: Engine) -> int:
    """Destroy, then remove the stack and the configuration file that was generated for it.

    A tracked configuration file is somebody's work and stays.
    """
    down(engine)
    if engine.exists():
        engine.read("stack", "rm", "--yes", "--preserve-config")
    if not engine.tracks_configuration():
        engine.configuration.unlink(missing_ok=True)
    return 0
