"""One task of ECS that runs to its end: started or found running, waited for, stopped when nobody waits any more.

What it says goes on while it runs; why it failed is told in a person's words. No cloud is called at import.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.aws import ecs_task_guard
from infra.errors import DeploymentError

POLL_SECONDS = 3.0
LAST_LINES = 20
LOG_LINES = 200  # of one question
STARTED_BY_LONGEST = 128  # startedBy, ECS' bound
# Where the task is on its way, in the words that are shown; RUNNING says it itself.
STATES = {
    "PROVISIONING": "Fargate looks for a place",
    "PENDING": "the image is fetched",
    "ACTIVATING": "it is about to start",
    "RUNNING": "it runs",
    "DEACTIVATING": "it ends",
    "STOPPING": "it ends",
    "DEPROVISIONING": "it has ended",
}

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class OneOff:
    """``started_by``: by this a task that an earlier `up` left running is found. ``container``: its one container's name, and
    the first word of its log streams. ``failures``: by exit status, what it means."""

    cluster: str
    definition: str
    subnets: Sequence[str]
    security_groups: Sequence[str]
    log_group: str
    container: str
    started_by: str
    seconds: float
    failures: Mapping[int, str] = field(default_factory=dict)


class Runner:
    """``ecs``, ``logs``: boto3 clients. ``guard``: the command that stops the task when this process has died."""

    def __init__(self, ecs: Any, logs: Any, say: Say, guard: Callable[[str, str], Sequence[str]] | None = None) -> None:
        self._ecs, self._logs, self._say, self._guard = ecs, logs, say, guard

    def run(self, wanted: OneOff) -> None:
        """Returns when the task has ended well. Raises :class:`DeploymentError` where it has not, and stops it where this wait
        ends before it does."""
        arn = self._running(wanted) or self._start(wanted)
        with _guarding(self._guard(wanted.cluster, arn) if self._guard else None):
            try:
                ended = self._wait(wanted, arn)
            except BaseException:
                self._stop(wanted, arn, "nobody waits for it any more")
                raise
        if problem := failure(ended, wanted.container, wanted.failures):
            lines = "".join(f"\n    {line}" for line in self._last_lines(wanted, arn))
            raise DeploymentError(f"The task {wanted.container} failed: {problem}{lines}")

    def _running(self, wanted: OneOff) -> str | None:
        found = self._ecs.list_tasks(cluster=wanted.cluster, startedBy=wanted.started_by, desiredStatus="RUNNING")["taskArns"]
        if found:
            self._say(f"[  0%] {wanted.container}: an earlier `up` has started it already")
        return str(found[0]) if found else None

    def _start(self, wanted: OneOff) -> str:
        answer = self._ecs.run_task(
            cluster=wanted.cluster,
            taskDefinition=wanted.definition,
            count=1,
            capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}],
            startedBy=wanted.started_by,
            enableExecuteCommand=False,
            propagateTags="TASK_DEFINITION",
            networkConfiguration={
                "awsvpcConfiguration": {
                    "subnets": list(wanted.subnets),
                    "securityGroups": list(wanted.security_groups),
                    "assignPublicIp": "DISABLED",
                }
            },
        )
        if not answer["tasks"]:
            reasons = "; ".join(f"{it.get('reason', '?')} {it.get('detail', '')}".strip() for it in answer["failures"])
            raise DeploymentError(f"ECS does not start the task {wanted.container}: {reasons or 'it does not say why'}")
        return str(answer["tasks"][0]["taskArn"])

    def _wait(self, wanted: OneOff, arn: str) -> Mapping[str, Any]:
        begin, told, token = time.monotonic(), "", None
        while True:
            answer = self._ecs.describe_tasks(cluster=wanted.cluster, tasks=[arn])
            if not answer["tasks"]:
                raise DeploymentError(f"The task {wanted.container} is gone, and ECS no longer says how it ended.")
            task: Mapping[str, Any] = answer["tasks"][0]
            token = self._pass_on(wanted, arn, token)
            state = task["lastStatus"]
            if state == "STOPPED":
                return task
            waited = time.monotonic() - begin
            if state != told:
                self._say(f"{wanted.container}: {STATES.get(state, state.lower())} ({waited:.0f} s)")
                told = state
            if waited > wanted.seconds:
                raise DeploymentError(f"The task {wanted.container} has not ended within {wanted.seconds:.0f} seconds.")
            time.sleep(POLL_SECONDS)

    def _pass_on(self, wanted: OneOff, arn: str, token: str | None) -> str | None:
        """Show the progress that the task has written since; the place to go on from."""
        events, token = self._events(wanted, arn, token)
        progress = [event["message"].strip() for event in events if event["message"].startswith("[")]
        if progress:
            self._say(progress[-1])
        return token

    def _last_lines(self, wanted: OneOff, arn: str) -> list[str]:
        events, _ = self._events(wanted, arn, None)
        return [line for line in (event["message"].rstrip() for event in events) if not line.startswith("[")][-LAST_LINES:]

    def _events(self, wanted: OneOff, arn: str, token: str | None) -> tuple[list[Mapping[str, Any]], str | None]:
        stream = f"{wanted.container}/{wanted.container}/{arn.rsplit('/', 1)[-1]}"
        more = {"nextToken": token, "startFromHead": True} if token else {"startFromHead": False}
        try:
            answer = self._logs.get_log_events(logGroupName=wanted.log_group, logStreamName=stream, limit=LOG_LINES, **more)
        except self._logs.exceptions.ResourceNotFoundException:
            return [], token  # nothing was written yet, or ever
        return answer["events"], answer.get("nextForwardToken") or token

    def _stop(self, wanted: OneOff, arn: str, reason: str) -> None:
        try:
            self._ecs.stop_task(cluster=wanted.cluster, task=arn, reason=reason)
        except Exception as error:  # the reason why we stop is the one to be told
            self._say(f"{wanted.container}: the task {arn} could not be stopped ({type(error).__name__}): stop it yourself")


def failure(task: Mapping[str, Any], container: str, meanings: Mapping[int, str]) -> str | None:
    """Why ``task``, as DescribeTasks has it, did not end well; None where it did. Pure."""
    named = [it for it in task.get("containers", []) if it.get("name") == container]
    found: Mapping[str, Any] = named[0] if named else {}
    status = found.get("exitCode")
    if status == 0:
        return None
    if reason := found.get("reason"):  # OutOfMemoryError: …, CannotPullContainerError: …
        return f"{reason}" + (f" (exit status {status})" if status is not None else "")
    if status is None:
        return str(task.get("stoppedReason") or task.get("stopCode") or "it did not start, and ECS does not say why")
    return meanings.get(status, f"exit status {status}")


class _guarding:  # noqa: N801 - reads as what it does
    """Hold the guard's standard input while the block runs: see :mod:`infra.aws.ecs_task_guard`."""

    def __init__(self, command: Sequence[str] | None) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> None:
        if self._command is not None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,  # pipes of ours, inherited, would keep the engine waiting
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us
            )

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.write(ecs_task_guard.DISMISSED)
                self._process.stdin.close()
            except BrokenPipeError:
                pass
            self._process.wait()


def guard_command(region: str, profile: str | None) -> Callable[[str, str], Sequence[str]]:
    def command(cluster: str, arn: str) -> Sequence[str]:
        return [sys.executable, "-m", "infra.aws.ecs_task_guard", region, profile or "", cluster, arn]

    return command
