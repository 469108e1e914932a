"""What the policy pack costs a preview of ``prod``, beside the policy SDK as it comes with as many policies that do nothing.

``python tests/bench/bench_policies.py`` (part of ``make bench``) takes about two minutes. A preview on stand-ins is run once
with a pack that keeps the engine's messages; both packs, each in a process of its own, then get these messages over gRPC as
from the engine, in turns. Medians over the rounds, less the first.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "bench")]

import grpc  # noqa: E402
import psutil  # noqa: E402
from google.protobuf.empty_pb2 import Empty  # noqa: E402
from pulumi.runtime import proto  # noqa: E402
from pulumi.runtime.proto import analyzer_pb2_grpc  # noqa: E402
from record import record  # noqa: E402

from policies.pack import ALL_RULES  # noqa: E402
from tools.aws.standins import on_standins, throwaway  # noqa: E402
from tools.pulumi.environment import engine_environment  # noqa: E402
from tools.stack.engine import Engine  # noqa: E402

STACK = "prod"
ROUNDS = 5
PART = 200  # resources of the stack, for the goal of the stack's rules
GOAL_RESOURCE, GOAL_STACK = 1.0, 1.0  # milliseconds a resource, seconds for PART resources
START_SECONDS = 60.0
LONGEST_MESSAGE = 400 * 1024 * 1024
RESOURCE, REMEDY, EMPTY, PART_OF_STACK, WHOLE_STACK = "resource", "remedy", "empty", "part", "whole"


@dataclass(frozen=True)
class Cost:
    """Time that passed, and the processor time of the pack's process in it; seconds, or milliseconds a resource."""

    passed: float
    processor: float

    def __truediv__(self, number: float) -> Cost:
        return Cost(self.passed / number, self.processor / number)


@dataclass(frozen=True)
class Messages:
    """What the engine sent: each resource before it is made, and the stack at the end."""

    resources: Sequence[Any]
    stack: Any

    def part(self) -> Any:
        return proto.AnalyzeStackRequest(resources=list(self.stack.resources)[:PART])


@dataclass(frozen=True)
class Pack:
    name: str
    stub: analyzer_pb2_grpc.AnalyzerStub
    process: psutil.Process

    def asked(self, messages: Messages) -> dict[str, Cost]:
        """What one preview asks of the pack: milliseconds a resource, and seconds of the stack."""
        self.stub.ConfigureStack(proto.AnalyzerStackConfigureRequest(stack=STACK, project="assistant", dry_run=True))
        number, part = len(messages.resources) / 1000, messages.part()
        return {
            RESOURCE: self._cost(lambda: [self.stub.Analyze(each) for each in messages.resources]) / number,
            REMEDY: self._cost(lambda: [self.stub.Remediate(each) for each in messages.resources]) / number,
            EMPTY: self._cost(lambda: [self.stub.GetPluginInfo(Empty()) for _ in messages.resources]) / number,
            PART_OF_STACK: self._cost(lambda: self.stub.AnalyzeStack(part)),
            WHOLE_STACK: self._cost(lambda: self.stub.AnalyzeStack(messages.stack)),
        }

    def _cost(self, act: Callable[[], object]) -> Cost:
        before, start = self.process.cpu_times(), time.perf_counter()
        act()
        passed, after = time.perf_counter() - start, self.process.cpu_times()
        return Cost(passed, after.user + after.system - before.user - before.system)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--no-record", action="store_true", help="print the table, leave docs/performance.md as it is")
    options = parser.parse_args(arguments)
    messages = previewed()
    checks, relations = sum(bool(rule.checks) for rule in ALL_RULES), sum(bool(rule.relations) for rule in ALL_RULES)
    with contextlib.ExitStack() as ends:
        ours = ends.enter_context(served("the pack", CHECKOUT / "policies", {}))
        stock = ends.enter_context(
            served("SDK", CHECKOUT / "tests" / "bench" / "stock", {"STOCK_POLICIES": f"{checks} {relations}"})
        )
        costs: dict[str, list[dict[str, Cost]]] = {ours.name: [], stock.name: []}
        for _ in range(options.rounds + 1):
            for pack in (ours, stock):
                costs[pack.name].append(pack.asked(messages))
    # The first round imports what is imported late.
    mine, theirs = ({key: _median([each[key] for each in found[1:]]) for key in found[0]} for found in costs.values())
    met = mine[RESOURCE].passed < GOAL_RESOURCE and mine[PART_OF_STACK].passed < GOAL_STACK
    alone = mine[RESOURCE].processor < GOAL_RESOURCE and mine[PART_OF_STACK].processor < GOAL_STACK
    words = "met" if met else "MISSED in the time that passed, met in processor time" if alone else "MISSED"
    number = len(messages.resources)
    rows = (
        ("`Analyze`, ms a resource", RESOURCE, f"under {GOAL_RESOURCE:.0f}"),
        ("`Remediate`, ms a resource", REMEDY, ""),
        ("a call that asks nothing, ms", EMPTY, ""),
        (f"`AnalyzeStack`, {PART} resources, s", PART_OF_STACK, f"under {GOAL_STACK:.0f}"),
        (f"`AnalyzeStack`, all {len(messages.stack.resources)}, s", WHOLE_STACK, ""),
    )
    table = [
        f"| `make preview STACK={STACK}`, {number} resources | the pack | SDK, policies that do nothing | goal |",
        "|---|---|---|---|",
        *(_row(what, mine[key], theirs[key], goal) for what, key, goal in rows),
        "",
        f"{len(ALL_RULES)} rules: {checks} read resources, {relations} the stack; the SDK serves as many policies that look at "
        f"nothing. Over gRPC, one call after another; time that passed, in parentheses processor time of the pack's process. "
        f"{options.rounds} rounds in turns, load average {os.getloadavg()[0]:.1f}. Goals: {words}.",
    ]
    if options.no_record:
        print("\n".join(table))
    else:
        record("Policies", "python tests/bench/bench_policies.py", "\n".join(table))
    return 0 if met else 1


def previewed() -> Messages:
    """The messages of a preview of the stack as its tracked example has it, on stand-ins."""
    with tempfile.TemporaryDirectory(prefix="bench-policies-") as folder:
        file = Path(folder) / "messages"
        engine = Engine(
            checkout=CHECKOUT, stack=STACK, environment=engine_environment(CHECKOUT, environment=os.environ, stack=STACK)
        )
        with throwaway(engine) as copy:
            copy.configuration.write_bytes(engine.example.read_bytes())
            prepared = on_standins(copy, CHECKOUT)
            prepared.prepare()
            recording = dataclasses.replace(prepared, environment={**prepared.environment, "RECORDING": str(file)})
            recording.read("preview", "--policy-pack", str(CHECKOUT / "tests" / "bench" / "recorder"))
        return _messages(file.read_bytes())


@contextlib.contextmanager
def served(name: str, pack: Path, more: dict[str, str]) -> Iterator[Pack]:
    """The pack in a process of its own, as the engine starts one."""
    environment = {**os.environ, **more}
    with subprocess.Popen([sys.executable, str(pack)], cwd=pack, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int((process.stdout or sys.stdin).readline())
            limits = [("grpc.max_send_message_length", LONGEST_MESSAGE), ("grpc.max_receive_message_length", LONGEST_MESSAGE)]
            with grpc.insecure_channel(f"127.0.0.1:{port}", options=limits) as channel:
                grpc.channel_ready_future(channel).result(START_SECONDS)
                yield Pack(name, analyzer_pb2_grpc.AnalyzerStub(channel), psutil.Process(process.pid))
        finally:
            process.terminate()


def _messages(recorded: bytes) -> Messages:
    resources, stack, at = [], proto.AnalyzeStackRequest(), 0
    while at < len(recorded):
        kind, length = struct.unpack_from(">cQ", recorded, at)
        at += 9
        encoded, at = recorded[at : at + length], at + length
        if kind == b"r":
            resources.append(proto.AnalyzeRequest.FromString(encoded))
        else:
            stack = proto.AnalyzeStackRequest.FromString(encoded)
    return Messages(resources, stack)


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(each.passed for each in costs), statistics.median(each.processor for each in costs))


def _row(what: str, mine: Cost, theirs: Cost, goal: str = "") -> str:
    cells = [f"{cost.passed:.2f} ({cost.processor:.2f})" for cost in (mine, theirs)]
    return f"| {what} | {cells[0]} | {cells[1]} | {goal} |"


if __name__ == "__main__":
    sys.exit(main())
