"""What one version of the program says that the stack costs a month, and where two of them differ."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Run by the interpreter of this checkout, in the folder of the version that is asked: its settings, its prices.
ASK = """
import json, os, sys
from pathlib import Path
from infra.costs import estimate
from tools.stack.engine import Engine
engine = Engine(checkout=Path.cwd(), stack=sys.argv[1], environment=os.environ)
found = estimate(engine.settings(), engine.stack)
print(json.dumps([{"what": line.what, "idle": line.monthly, "maximum": line.monthly_maximum} for line in found.lines]))
"""
SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Bill:
    """US dollars a month by line: idle, and with every autoscaler at its maximum."""

    lines: Mapping[str, tuple[float, float]]

    @property
    def idle(self) -> float:
        return round(sum(idle for idle, _ in self.lines.values()), 2)

    @property
    def maximum(self) -> float:
        return round(sum(maximum for _, maximum in self.lines.values()), 2)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """``before`` is None where the base could not be asked, for example because it knows no prices yet."""

    before: Bill | None
    after: Bill | None

    @property
    def change(self) -> float | None:
        """Of the idle stack."""
        return round(self.after.idle - self.before.idle, 2) if self.before and self.after else None

    @property
    def moved(self) -> tuple[tuple[str, float], ...]:
        """The lines that differ and by how much, the largest first."""
        if not self.before or not self.after:
            return ()
        before, after, nothing = self.before.lines, self.after.lines, (0.0, 0.0)
        names = dict.fromkeys([*before, *after])
        differences = {name: round(after.get(name, nothing)[0] - before.get(name, nothing)[0], 2) for name in names}
        return tuple(sorted(((name, value) for name, value in differences.items() if value), key=lambda one: -abs(one[1])))


def bill_of(folder: Path, stack: str, environment: Mapping[str, str]) -> Bill | None:
    """Of the version that lies in ``folder``, its configuration of the stack included."""
    done = subprocess.run(
        [environment["PULUMI_PYTHON_CMD"], "-c", ASK, stack],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if done.returncode:
        return None
    listed: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    lines: dict[str, tuple[float, float]] = {}
    for line in listed:
        idle, maximum = lines.get(line["what"], (0.0, 0.0))
        lines[line["what"]] = (idle + line["idle"], maximum + line["maximum"])
    return Bill(lines=lines)
