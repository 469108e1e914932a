"""One call of the engine, and what its events say of it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.stack.engine import Engine

Event = Mapping[str, Any]
UNCHANGED = ("same", "read")
# What holds data, names or keys: another one in its place would be a loss.
STATEFUL = (
    "aws:s3/bucket:Bucket",
    "aws:kms/key:Key",
    "aws:memorydb/cluster:Cluster",
    "aws:memorydb/user:User",
    "aws:secretsmanager/secret:Secret",
    "aws:eks/cluster:Cluster",
    "aws:eks/nodeGroup:NodeGroup",
    "aws:ecr/repository:Repository",
    "aws:backup/vault:Vault",
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:ec2/vpc:Vpc",
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/eip:Eip",
)
PROGRESS_SECONDS = 15.0
POLL_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Run:
    code: int
    screen: str
    seconds: float
    log: Path
    events: list[Event] = field(default_factory=list)

    @property
    def steps(self) -> list[tuple[str, str]]:
        """(operation, URN) of all that was not left alone, in their order."""
        found = []
        for event in self.events:
            if "resOutputsEvent" in event:
                metadata = event["resOutputsEvent"]["metadata"]
                if metadata["op"] not in UNCHANGED:
                    found.append((str(metadata["op"]), str(metadata["urn"])))
        return found

    def counted(self) -> dict[str, int]:
        """Operations, each with its number."""
        counts: dict[str, int] = {}
        for operation, _urn in self.steps:
            counts[operation] = counts.get(operation, 0) + 1
        return dict(sorted(counts.items()))


def type_of(urn: str) -> str:
    """The type of a resource, without those of its parents. Pure."""
    return urn.split("::")[2].rpartition("$")[2]


def name_of(urn: str) -> str:
    return urn.rpartition("::")[2]


def lost(steps: Iterable[tuple[str, str]], stateful: Iterable[str] = STATEFUL) -> list[str]:
    """Of what holds data, the names that were replaced or deleted. Pure."""
    kinds = frozenset(stateful)
    taken = {urn for operation, urn in steps if "replace" in operation or operation.startswith("delete")}
    return sorted(f"{name_of(urn)} ({type_of(urn)})" for urn in taken if type_of(urn) in kinds)


def failed(events: Iterable[Event]) -> list[str]:
    """URNs of what could not be done. Pure."""
    return [str(event["resOpFailedEvent"]["metadata"]["urn"]) for event in events if "resOpFailedEvent" in event]


def violations(events: Iterable[Event]) -> dict[str, list[str]]:
    """Enforcement level -> what the policies said. Pure."""
    found: dict[str, list[str]] = {}
    for event in events:
        if said := event.get("policyEvent"):
            level = str(said.get("enforcementLevel", "advisory"))
            words = " ".join(str(said.get("message", "")).split())
            text = f"{said['policyName']}: {name_of(str(said.get('resourceUrn', '')))}: {words}"
            if text not in found.setdefault(level, []):
                found[level].append(text)
    return found


def perform(
    engine: Engine,
    command: str,
    *arguments: str,
    log: Path,
    report: Callable[[str], None],
    more: Mapping[str, str] | None = None,
    seconds: float = 900,
) -> Run:
    """Run it. The screen goes into ``log``, the events into a file beside it; ``report`` is told now and then how far it is."""
    log.parent.mkdir(parents=True, exist_ok=True)
    event_log = log.with_suffix(".events.json")
    event_log.unlink(missing_ok=True)
    start = time.monotonic()
    line = ["pulumi", command, "--stack", engine.stack, "--non-interactive", f"--event-log={event_log}", *arguments]
    with log.open("wb") as screen:
        process = subprocess.Popen(
            line,
            cwd=engine.checkout,
            env={**engine.environment, **(more or {})},
            stdin=subprocess.DEVNULL,
            stdout=screen,
            stderr=subprocess.STDOUT,
        )
        try:
            _watch(process, event_log, start, seconds, report)
        except BaseException:
            _end(process)
            raise
    events = read_events(event_log)
    text = log.read_text(encoding="utf-8", errors="replace")
    return Run(code=process.returncode, screen=text, seconds=time.monotonic() - start, log=log, events=events)


def _watch(
    process: subprocess.Popen[bytes], event_log: Path, start: float, seconds: float, report: Callable[[str], None]
) -> None:
    told = start
    while process.poll() is None:
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        if now - start > seconds:
            report(f"given up after {seconds:.0f} s")
            _end(process)
            return
        if now - told >= PROGRESS_SECONDS:
            told = now
            report(f"{now - start:4.0f} s  {progress(read_events(event_log))}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """As ^C does: the engine ends the step that runs and writes its state. Then as it must."""
    for patience, signal_ in ((60, process.terminate), (5, process.kill)):
        if process.poll() is None:
            signal_()
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                continue


def read_events(path: Path) -> list[Event]:
    """The last line may be half written."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def progress(events: Iterable[Event]) -> str:
    """How many resources are done, and which are waited for. Pure."""
    begun: dict[str, str] = {}
    done = 0
    for event in events:
        if pre := event.get("resourcePreEvent"):
            begun[str(pre["metadata"]["urn"])] = str(pre["metadata"]["op"])
        for kind in ("resOutputsEvent", "resOpFailedEvent"):
            if kind in event:
                done += 1
                begun.pop(str(event[kind]["metadata"]["urn"]), None)
    waited = [name_of(urn) for urn, operation in begun.items() if operation not in UNCHANGED]
    named = ", ".join(waited[-3:]) + (f" and {len(waited) - 3} more" if len(waited) > 3 else "")
    return f"{done} resources" + (f"; waiting for {named}" if waited else "")


def environment_of(engine: Engine) -> dict[str, str]:
    """What the engine is given besides what this process has."""
    return {name: value for name, value in engine.environment.items() if os.environ.get(name) != value}
