"""What the commands do for a stack on AWS: see :class:`tools.stack.place.Place`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from infra.settings import Settings
from tools.aws import backend, means, opened, orphans, preflight, protection, standins
from tools.aws.means import Means
from tools.stack.engine import Engine, EngineError

PREVIEWED_ON_STANDINS = """\
=== A PREVIEW WITH STAND-INS, NOT WITH AWS, because here lacks:
{lacking}
    What it shows: every resource with its settings, from the real engine, the real program and the policies, as if nothing
    stood yet. What it cannot know: your account, its quotas and limits, names that are taken, what is there already.
    It runs on a copy of the configuration and a state that is thrown away; nothing is changed anywhere."""
NOT_BOOTSTRAPPED = """\
The stack {stack} has no state in a bucket yet (make bootstrap STACK={stack}): this preview shows it as if nothing stood, on a
state that is thrown away."""
WORKS_ON_STANDINS = (
    "=== STAND-INS, NOT AWS: {lacking} (ASSISTANT_TEST_PROVIDERS=1). Nothing is made, changed or removed in AWS."
)


class OnAws:
    """The real plugins and credentials, or, for a preview alone, stand-ins, said aloud first and last."""

    # As in a cluster: see tools.stack.place.InCluster.
    refresh_flags: tuple[str, ...] = ("--run-program=false",)

    def configure(self, engine: Engine) -> None:
        engine.configure()

    def set(self, engine: Engine, key: str, value: str) -> None:
        """On a copy, so that neither the state's bucket nor its key is needed to write a line into a file."""
        head = "".join(match[0] for match in standins.ENCRYPTION.finditer(engine.configuration.read_text(encoding="utf-8")))
        with standins.throwaway(engine) as copy:
            copy.read("stack", "select", "--create", copy.stack, "--non-interactive", stack_flag=False)
            copy.read("config", "set", "--path", "--stack", copy.stack, f"assistant:{key}", "--", value, stack_flag=False)
            changed = standins.settings_alone(copy.configuration)
        engine.configuration.write_text(head + changed, encoding="utf-8")

    def before_up(self, engine: Engine) -> Engine:
        found = self._usable(engine, "up")
        settings = engine.settings()
        if not found.standins and (problem := self._unfit_backend(engine, settings)):
            raise EngineError(problem)
        preflight.required(engine, settings, found)
        engine.prepare()
        return engine

    def after_up(self, engine: Engine) -> None:
        self._say_again(engine)

    @contextlib.contextmanager
    def previewed(self, engine: Engine) -> Iterator[Engine]:
        settings = settings_of(engine)
        found = means.find(settings, engine.environment, _note)
        preflight.warn(engine.stack, settings)
        if found.lacking and not found.standins:
            words = PREVIEWED_ON_STANDINS.format(lacking=_listed(found.lacking))
            with standins.throwaway(engine) as copy:
                prepared = standins.on_standins(copy, engine.checkout)
                prepared.prepare()
                _note(words)
                try:
                    yield prepared
                finally:
                    _note(words)
            return
        if found.standins:
            _note(WORKS_ON_STANDINS.format(lacking="; ".join(found.lacking)))
        elif not engine.configuration.exists() or self._unfit_backend(engine, settings):
            # A stack that is made on this machine's disk now would stand in the way of the one in the bucket.
            _note(NOT_BOOTSTRAPPED.format(stack=engine.stack))
            with standins.throwaway(engine) as copy:
                copy.prepare()
                yield copy
            return
        engine.prepare()
        yield engine
        self._say_again(engine)

    def ready(self, engine: Engine, action: str) -> Engine:
        found = self._usable(engine, "refresh")
        if not engine.exists():
            raise EngineError(f"There is no stack {engine.stack} yet. Bring it up with: make up{engine.make_option}")
        if found.identity:
            print(f"{action}: account {found.identity.account}, {engine.settings().aws.region}", flush=True)
        return engine

    def before_down(self, engine: Engine) -> Engine | None:
        # A bucket is not asked before it is known whether it can be.
        if engine.environment.get("PULUMI_BACKEND_URL", "").startswith("file://") and not engine.exists():
            return None
        self._usable(engine, "down")
        if not engine.exists():
            return None
        exported = json.loads(engine.read("stack", "export"))
        if names := protection.protected_in(exported):
            raise EngineError(protection.explained(engine, names))
        run = "true" if has_hooks(exported) else "false"
        if run == "false":
            print("Nothing of the stack has to be drained any more: it is removed by what the state says of it.", flush=True)
        return dataclasses.replace(engine, environment={**engine.environment, "PULUMI_RUN_PROGRAM": run})

    def after_down(self, engine: Engine) -> None:
        if engine.environment.get(means.DECLARED) == "1":
            self._say_again(engine)
            return
        print()
        orphans.show(engine.stack, engine.settings())

    def cleaned(self, engine: Engine) -> bool:
        """The settings are somebody's work. What of the key is in their file would keep the stack from being made anew."""
        if engine.configuration.exists():
            engine.configuration.write_text(standins.settings_alone(engine.configuration), encoding="utf-8")
        print(
            f"Removed {engine.stack}. Its settings stay in stacks/{engine.configuration.name}; bucket and key of its state too."
        )
        return False

    def opened(self, engine: Engine, outputs: Mapping[str, Any]) -> dict[str, Any]:
        return opened.outputs(engine.settings(), outputs)

    def logs(self, engine: Engine, *, lines: int, follow: bool) -> int:
        print(opened.log_commands(engine.stack, engine.settings(), follow=follow), end="")
        return 0

    def _usable(self, engine: Engine, command: str) -> Means:
        """Raises :class:`EngineError` where AWS cannot be worked with, before anything is changed."""
        found = means.find(settings_of(engine), engine.environment, _note)
        if found.lacking and not found.standins:
            raise EngineError(
                f"make {command} STACK={engine.stack} works on AWS itself, and here lacks:\n{_listed(found.lacking)}\n"
                f"Nothing was changed. What the stack would be can be seen without: make preview STACK={engine.stack}"
            )
        if not engine.configuration.exists():
            raise EngineError(not_configured(engine))
        if found.standins:
            if problem := backend.standin_problem(engine.environment, engine.checkout):
                raise EngineError(problem)
            _note(WORKS_ON_STANDINS.format(lacking="; ".join(found.lacking)))
        return found

    def _unfit_backend(self, engine: Engine, settings: Settings) -> str | None:
        return backend.problem(engine.environment, engine.document(), engine.stack, settings.profile or engine.stack)

    def _say_again(self, engine: Engine) -> None:
        if engine.environment.get(means.DECLARED) == "1":
            _note(WORKS_ON_STANDINS.format(lacking="the plugins"))


def has_hooks(exported: Mapping[str, Any]) -> bool:
    """Whether something in a state has to be drained before it is deleted, by hooks that the engine runs with the program
    alone. What is drained goes first, and a program that runs later, with half of the stack gone, would be handed nothing for
    what is gone, and end there. Pure."""
    resources = (exported.get("deployment") or {}).get("resources") or []
    return any(kind.endswith("Delete") for resource in resources for kind in resource.get("resourceHooks") or {})


def settings_of(engine: Engine) -> Settings:
    """The stack's, or where it has no configuration yet, those of the example that it would begin as."""
    if engine.configuration.exists():
        return engine.settings()
    with standins.throwaway(engine) as copy:
        return copy.settings()


def _listed(lines: tuple[str, ...]) -> str:
    return "\n".join(f"  - {line}" for line in lines)


def not_configured(engine: Engine) -> str:
    name = engine.configuration.name
    return (
        f"The stack {engine.stack} has no configuration of yours yet: stacks/{name}. Nothing was changed. Begin with the "
        f"example and name your domain, its zone and who deploys:\n  cp stacks/{engine.example.name} stacks/{name}\n"
        f"  make set STACK={engine.stack} KEY=edge.domain VALUE=assistant.<your domain>"
    )


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
