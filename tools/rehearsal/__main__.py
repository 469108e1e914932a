"""``python -m tools.rehearsal --stack prod``: the whole life of a stack on AWS, without an account, and a report of it."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from tools.kubernetes import packages
from tools.kubernetes.errors import ClusterError
from tools.rehearsal import phases, report
from tools.rehearsal.errors import RehearsalError
from tools.rehearsal.layout import Layout
from tools.rehearsal.life import Life
from tools.rehearsal.phases import Done, Outcome, Phase
from tools.rehearsal.stage import exclusive, staged
from tools.stack.engine import EngineError

ALOUD = """\
=== A REHEARSAL, NOT AWS. The engine, the program, the policies, Kubernetes, images, model and Redis are real; AWS itself is
    played, by the tests' stand-ins and by moto. Nothing is made in any account."""
FAILURES = (RehearsalError, EngineError, ClusterError)


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    os.environ["PATH"] = packages.search_path(os.environ)
    signal.signal(signal.SIGTERM, _interrupt)
    layout = Layout.of(options.stack)
    print(ALOUD, flush=True)
    start = time.monotonic()
    try:
        with exclusive(layout):
            done = _rehearse(layout, cold=options.cold)
    except FAILURES as error:
        print(f"\n{error}\nLogs: {layout.logs}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted: what the rehearsal had started is ended.", file=sys.stderr)
        return 130
    failed = [one for one in done if one.verdict == "failed"]
    print(f"{'total':<29}{time.monotonic() - start:7.1f} s  {len(failed)} of {len(done)} phases failed", flush=True)
    print(f"Report: {layout.report}\nLogs:   {layout.logs}", flush=True)
    return 1 if failed else 0


def _rehearse(layout: Layout, *, cold: bool) -> Sequence[Done]:
    begun = time.monotonic()
    with staged(layout, _tell, cold=cold) as stage:
        life = Life(stage, _tell)
        said = "images, AWS' APIs, the queue" + ("; a converted model in its bucket" if stage.seeded else "")
        ready = Done(name="stage", verdict="passed", seconds=time.monotonic() - begun, said=said)
        print(phases.line(ready), flush=True)
        done = [ready]
        try:
            done += phases.perform([_explained(phase) for phase in life.phases()], lambda line: print(line, flush=True))
        finally:
            life.sweep()
        report.write(stage, life, done)
    return done


def _explained(phase: Phase) -> Phase:
    """What the engine or the cluster refuses is the phase's failure."""

    def act() -> Outcome:
        try:
            return phase.act()
        except (EngineError, ClusterError) as error:
            raise RehearsalError(str(error)) from None

    return Phase(name=phase.name, act=act, always=phase.always)


def _tell(line: str) -> None:
    print(f"    {line}", flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.rehearsal", description=__doc__)
    parser.add_argument("--stack", required=True, help="dev, staging, prod, or another stack on EKS")
    parser.add_argument("--cold", action="store_true", help="convert the model in the cluster, as in an account")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main(sys.argv[1:]))
