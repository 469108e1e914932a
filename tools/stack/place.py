"""What the commands do otherwise from target to target: this machine, a cluster, AWS."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from infra.settings import ON_AWS
from tools.stack import logs, preflight
from tools.stack.engine import Engine


class Place(Protocol):
    """Each raises :class:`tools.stack.engine.EngineError` where the command cannot be carried out, with nothing changed."""

    @property
    def refresh_flags(self) -> tuple[str, ...]:
        """What `pulumi refresh` needs here."""

    def configure(self, engine: Engine) -> None:
        """Make what a setting can be set in."""

    def set(self, engine: Engine, key: str, value: str) -> None: ...

    def before_up(self, engine: Engine) -> Engine:
        """Look whether an `up` can come to a good end; the engine with the environment that it needs."""

    def after_up(self, engine: Engine) -> None:
        """What is said at the end."""

    def previewed(self, engine: Engine) -> AbstractContextManager[Engine]:
        """An engine that a preview can run on."""

    def ready(self, engine: Engine, action: str) -> Engine:
        """For what looks at a stack or removes it."""

    def before_down(self, engine: Engine) -> Engine | None:
        """None where there is no such stack."""

    def after_down(self, engine: Engine) -> None: ...

    def cleaned(self, engine: Engine) -> bool:
        """Remove what belongs to a stack that is gone. Whether what all stacks of the checkout share may go too."""

    def opened(self, engine: Engine, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """``outputs`` with values in place of references to secrets."""

    def logs(self, engine: Engine, *, lines: int, follow: bool) -> int: ...


def place_of(engine: Engine) -> Place:
    """Only an AWS stack pays for the import of AWS' SDK."""
    target = engine.target()
    if target in ON_AWS:
        return cast(Place, importlib.import_module("tools.aws.place").OnAws())
    return InCluster() if target == "cluster" else OnMachine()


class OnMachine:
    """Needs nothing but what `make environment` has set up."""

    refresh_flags: tuple[str, ...] = ()

    def configure(self, engine: Engine) -> None:
        engine.prepare()

    def set(self, engine: Engine, key: str, value: str) -> None:
        # A value may begin with a dash, so it stands behind `--`, and the stack's name before it.
        engine.read("config", "set", "--path", "--stack", engine.stack, f"assistant:{key}", "--", value, stack_flag=False)

    def before_up(self, engine: Engine) -> Engine:
        engine.prepare()
        engine = preflight.ready(engine, "Deploying to")
        preflight.remember(engine)
        return engine

    def after_up(self, engine: Engine) -> None:
        return

    @contextlib.contextmanager
    def previewed(self, engine: Engine) -> Iterator[Engine]:
        engine.prepare()
        yield preflight.ready(engine, "Preview for", reachable=False)

    def ready(self, engine: Engine, action: str) -> Engine:
        engine.prepare()
        return preflight.ready(engine, action)

    def before_down(self, engine: Engine) -> Engine | None:
        if not engine.exists():
            return None
        return preflight.ready(engine, "Removing from")

    def after_down(self, engine: Engine) -> None:
        preflight.forget(engine)

    def cleaned(self, engine: Engine) -> bool:
        if not engine.tracks_configuration():
            engine.configuration.unlink(missing_ok=True)
        return True

    def opened(self, engine: Engine, outputs: Mapping[str, Any]) -> dict[str, Any]:
        return dict(outputs)

    def logs(self, engine: Engine, *, lines: int, follow: bool) -> int:
        return logs.show(engine, lines=lines, follow=follow)


class InCluster(OnMachine):
    """What is looked at and removed there is as the state has it. With the program (tools/pulumi/environment.py), engine
    3.251.0 ends a refresh with "registration isn't pending" when something is gone that a component depends on."""

    refresh_flags = ("--run-program=false",)
