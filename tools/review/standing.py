"""A change compared with its base where AWS cannot be asked: the base's program is brought up by the real engine with the
tests' stand-ins, in a state that is thrown away, and the change is previewed against that.

Both versions lie in the same folder, one after the other: a path in a resource's properties is then no difference.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.aws.means import DECLARED, STANDINS
from tools.aws.standins import AMBIENT
from tools.pulumi.environment import with_folders
from tools.rehearsal.runs import Run, perform
from tools.review import costs, versions
from tools.review.costs import Bill, Costs
from tools.review.versions import Base
from tools.stack.engine import POLICY_PACK, Engine, EngineError

PLUGINS = ("aws", "docker_build", "recorded")
ACCOUNT = "account"
MOST_SECONDS = 600.0
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """``run``: the change's preview. ``problem``: why the base could not be brought up; then the preview is a first one."""

    run: Run
    costs: Costs
    problem: str | None = None


def against_base(engine: Engine, base: Base, folder: Path, log: Path, record: Mapping[str, str], say: Say) -> Compared:
    """``engine``: of the checkout. ``record``: the variable that makes the policies write down what they saw."""
    checkout, given = engine.checkout, engine.configuration
    code, kept = folder / "checkout", ""
    with account(engine, folder) as played:
        copy = dataclasses.replace(engine, checkout=code, environment=_environment(engine, folder, code, played))
        say(f"bringing {base} up with stand-ins, in a state that is thrown away")
        versions.lay_out_base(checkout, base, code)
        versions.configure(copy, given)
        before = costs.bill_of(code, engine.stack, copy.environment)
        problem = _brought_up(copy, log.with_suffix(".base.log"), say)
        if problem is None:
            kept = versions.encryption_lines(copy)
        else:
            copy = dataclasses.replace(copy, environment={**copy.environment, **_nothing(folder)})
        say("previewing the change against it" if problem is None else "previewing the change as if nothing stood")
        versions.lay_out_working_tree(checkout, code)
        versions.configure(copy, given, keep=kept)
        after = costs.bill_of(code, engine.stack, copy.environment)
        run = previewed(copy, log, record, say)
    return Compared(run=run, costs=Costs(before=before, after=after), problem=problem)


def previewed(engine: Engine, log: Path, record: Mapping[str, str], say: Say) -> Run:
    """A preview with the policies, its screen and its events in ``log`` and beside it."""
    more = {**record, "PULUMI_DEBUG_COMMANDS": "true"}  # brings --event-log
    engine.read("stack", "select", "--create", engine.stack, "--non-interactive", stack_flag=False)
    return perform(
        engine, "preview", "--diff", "--policy-pack", POLICY_PACK, log=log, report=say, more=more, seconds=MOST_SECONDS
    )


def _brought_up(engine: Engine, log: Path, say: Say) -> str | None:
    """Why not, or None."""
    try:
        engine.settings()
        engine.read("stack", "select", "--create", engine.stack, "--non-interactive", stack_flag=False)
    except EngineError as error:
        return str(error)
    arguments = ("--yes", "--skip-preview", "--suppress-outputs")
    done = perform(engine, "up", *arguments, log=log, report=say, more={"PULUMI_DEBUG_COMMANDS": "true"}, seconds=MOST_SECONDS)
    return None if done.code == 0 else f"its up with stand-ins failed (exit code {done.code}); its screen is {log.name}"


@contextlib.contextmanager
def account(engine: Engine, folder: Path) -> Iterator[dict[str, str]]:
    """What the programs call besides the engine, played on loopback; the environment that leads there."""
    program = [engine.environment["PULUMI_PYTHON_CMD"], str(engine.checkout / STANDINS / ACCOUNT), str(folder)]
    environment = {**_without_ambient(engine.environment), DECLARED: "1", "PYTHONPATH": str(engine.checkout)}
    with subprocess.Popen(program, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - both are pipes
        try:
            line = process.stdout.readline()
            if not line:
                raise EngineError(f"{program[1]} ended before it said where it answers")
            yield dict(json.loads(line))
        finally:
            process.stdin.close()


def _environment(engine: Engine, folder: Path, code: Path, played: Mapping[str, str]) -> dict[str, str]:
    environment = _without_ambient(engine.environment)
    environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
    (folder / "state").mkdir(exist_ok=True)
    return {
        **environment,
        **played,
        DECLARED: "1",
        # Before the checkout that is installed in this environment: the version that lies there.
        "PYTHONPATH": str(code),
        "PATH": with_folders(environment["PATH"], [engine.checkout / STANDINS / plugin for plugin in PLUGINS]),
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(16),
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_HOME": str(folder / "home"),
        "ASSISTANT_AWS_WORLD": str(folder / "world.json"),
        "ASSISTANT_KUBERNETES_WORLD": str(folder / "objects.json"),
        "AWS_ACCESS_KEY_ID": "stand-in",
        "AWS_SECRET_ACCESS_KEY": "stand-in",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _nothing(folder: Path) -> dict[str, str]:
    """A state and a world in which nothing is, after one in which something went wrong."""
    (folder / "empty").mkdir()
    return {
        "PULUMI_BACKEND_URL": f"file://{folder / 'empty'}",
        "ASSISTANT_AWS_WORLD": str(folder / "nothing.json"),
        "ASSISTANT_KUBERNETES_WORLD": str(folder / "no-objects.json"),
    }


def _without_ambient(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in AMBIENT and not name.startswith("AWS_")}


def bill_of_base(engine: Engine, base: Base, folder: Path) -> Bill | None:
    """What the base would cost, without bringing it up."""
    code = folder / "base"
    copy = dataclasses.replace(engine, checkout=code)
    versions.lay_out_base(engine.checkout, base, code)
    versions.configure(copy, engine.configuration)
    return costs.bill_of(code, engine.stack, engine.environment)
