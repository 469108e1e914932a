"""``python -m tools.suites [NAME …]``: all suites of ``make test``, or those named. Those on a Kubernetes run by name alone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.pulumi.environment import engine_environment
from tools.suites.report import Outcome, read_junit, table

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = [sys.executable, "-m"]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Either plain commands, each of which must succeed, or one pytest run."""

    name: str
    commands: tuple[tuple[str, ...], ...] = ()
    pytest: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    cluster: bool = False  # needs the Kubernetes of `make cluster`
    node: bool = False  # one where pods run


# Between them the suites see three time zones, and what handles dates and deadlines sees all three.
SHANGHAI, NEW_YORK = {"TZ": "Asia/Shanghai"}, {"TZ": "America/New_York"}
ELSEWHERE = ("engine", "model", "bootstrap", "compose", "cluster", "cloud")  # markers of what another suite runs
SUITES = (
    Suite(
        name="lint",
        commands=(("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("tools.workflows",)),
    ),
    Suite(
        name="unit",
        pytest=("tests", "--ignore=tests/stack", "-m", f"not ({' or '.join(ELSEWHERE)})", "-n4"),
        environment=SHANGHAI,
    ),
    Suite(
        name="timezones",
        pytest=(
            "tests/tasks",
            "tests/auth",
            "tests/platforms",
            "tests/pipeline/test_worker.py",
            "tests/gateway/test_events.py",
        ),
        environment=NEW_YORK,
    ),
    Suite(name="model", pytest=("tests", "--ignore=tests/stack", "-m", "model"), environment=NEW_YORK),
    Suite(name="engine", pytest=("tests", "--ignore=tests/stack", "-m", "engine and not (cluster or cloud)", "-n3")),
    Suite(name="stack", pytest=("tests/stack", "-n2"), environment=NEW_YORK),
)
# What `make test-cloud` runs: AWS stacks on the real engine, with stand-ins where their account would be.
ON_AWS = (Suite(name="cloud", pytest=("tests/cloud", "-m", "cloud", "-n2", "--dist=loadgroup")),)
# In this order: the later ones shake what the earlier ones look at.
CLUSTER_TESTS = ("acceptance", "cluster_pods", "cluster_network", "cluster_changes", "cluster_traffic", "canary")
# What `make test-cluster` runs: a cluster is brought up for it unless there is one, and what was brought up is taken down.
ON_KUBERNETES = (
    # Needs an API server and a scheduler, but no node: where none can run (no root, no control groups) it is what is proved.
    Suite(
        name="api server",
        pytest=("tests/stack/test_cluster_manifests.py",),
        environment={"ASSISTANT_TARGET": "cluster", **NEW_YORK},
        cluster=True,
    ),
    Suite(
        name="cluster",
        pytest=(
            *(f"tests/stack/test_{name}.py" for name in CLUSTER_TESTS),
            "--timeout=600",  # the stack's first `up` converts the model
        ),
        environment={"ASSISTANT_TARGET": "cluster", **SHANGHAI},
        cluster=True,
        node=True,
    ),
    # Side by side, a file at a time: both wait more than they compute.
    Suite(
        name="plugin and compose",
        pytest=("tests/providers", "tests/compose", "-m", "cluster or compose", "-n3", "--dist=loadfile"),
        cluster=True,
        node=True,
    ),
)


def main(names: list[str]) -> int:
    known = {suite.name: suite for suite in (*SUITES, *ON_AWS, *ON_KUBERNETES)}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"unknown suite: {', '.join(unknown)}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    environment = engine_environment(CHECKOUT, environment=os.environ)
    wanted = [known[name] for name in names] if names else list(SUITES)
    with cluster(environment) if any(suite.cluster for suite in wanted) else contextlib.nullcontext(True) as has_node:
        for suite in wanted:
            if suite.node and not has_node:
                print(
                    f"\n=== {suite.name}: NOT RUN, because no pod can run here (root and control groups are needed)", flush=True
                )
        outcomes = [_timed(suite, environment | suite.environment) for suite in wanted if has_node or not suite.node]
    print(f"\n{table(outcomes)}")
    return 0 if all(outcome.ok for outcome in outcomes) else 1


@contextlib.contextmanager
def cluster(environment: dict[str, str]) -> Iterator[bool]:
    """A Kubernetes of this machine's own, taken down again if it was not up before. Whether pods run there."""
    status = [*PYTHON, "tools.kubernetes", "status"]
    was_up = subprocess.run(status, cwd=CHECKOUT, env=environment, capture_output=True, check=False).returncode == 0
    start = time.monotonic()
    tier = "node" if os.geteuid() == 0 and os.access("/sys/fs/cgroup", os.W_OK) else "api"
    if not was_up and _call([*PYTHON, "tools.kubernetes", "up", "--tier", tier], environment):
        raise SystemExit("The cluster did not come up; the reason stands above.")
    print(f"=== the cluster is up after {time.monotonic() - start:.0f} s", flush=True)
    try:
        yield tier == "node"
    finally:
        if not was_up:
            _call([*PYTHON, "tools.kubernetes", "down"], environment)


def _timed(suite: Suite, environment: dict[str, str]) -> Outcome:
    print(f"\n=== {suite.name}", flush=True)
    outcome = _run(suite, environment)
    print(f"=== {suite.name}: {outcome.seconds:.0f} s", flush=True)
    return outcome


def _run(suite: Suite, environment: dict[str, str]) -> Outcome:
    start = time.monotonic()
    if suite.commands:
        failed = sum(_call([*PYTHON, *command], environment) != 0 for command in suite.commands)
        return Outcome(suite=suite.name, seconds=time.monotonic() - start, passed=len(suite.commands) - failed, failed=failed)
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder) / "junit.xml"
        code = _call([*PYTHON, "pytest", "-q", f"--junitxml={junit}", *suite.pytest], environment)
        return read_junit(junit, suite.name, time.monotonic() - start, code)


def _call(command: list[str], environment: dict[str, str]) -> int:
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
