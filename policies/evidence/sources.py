"""Where a record comes from, if not from a file: the preview of a stack, or an exported state."""

from __future__ import annotations

import datetime
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from policies import enforcement, record, state, waivers
from policies.analyzer import VERSION
from policies.evaluation import RuleBook, evaluate
from policies.evidence.bundle import BundleMistake
from policies.record import Record
from policies.resource import Resource, Stack, stack_of
from policies.rule import Rule
from tools.pulumi.environment import engine_environment
from tools.stack.engine import POLICY_PACK, Engine
from tools.stack.place import place_of

# A finding must not end the run before the stack as a whole has been judged: the bundle says what it is, and the command fails.
ALL_ADVISORY: Final = {"all": "advisory"}
STAND_INS: Final = "ASSISTANT_AWS_WORLD"  # as in policies/__main__.py


def preview(checkout: Path, stack: str, environment: Mapping[str, str], file: Path) -> None:
    """Write into ``file`` the record of a preview of ``stack``. Raises :class:`tools.stack.engine.EngineError`."""
    file.unlink(missing_ok=True)
    environment = {**engine_environment(checkout, environment=environment, stack=stack), record.VARIABLE: str(file)}
    engine = Engine(checkout=checkout, stack=stack, environment=environment)
    with tempfile.TemporaryDirectory(prefix="assistant-evidence-") as folder:
        levels = Path(folder) / "levels.json"
        levels.write_text(json.dumps(ALL_ADVISORY), encoding="utf-8")
        with place_of(engine).previewed(engine) as prepared:
            prepared.read("preview", "--policy-pack", POLICY_PACK, "--policy-pack-config", str(levels))
    if not file.exists():
        raise BundleMistake("The preview ended without a record of the policies: they were not asked about the whole stack")


def exported(state_file: Path, stack: str, rules: Sequence[Rule], checkout: Path, committed: str) -> Record:
    """What the rules say of an exported state of ``stack``.

    The day is that of the state's last update or, where that is later, of the commit: waivers are not to be judged by a day
    long past. Raises :class:`policies.state.StateMistake` and :class:`BundleMistake`.
    """
    seen = state.read(state_file)
    name = next((stack_of(each.resource.urn) for each in seen), "")
    if name != stack:
        raise BundleMistake(
            f"{state_file} is of the stack {name}, not {stack}: make evidence STACK={name} STATE=…"
            if name
            else f"{state_file} is the state of a stack without resources: there is nothing to give evidence of"
        )
    day = max(state_day(state_file), committed)
    known, today = [rule.id for rule in rules], datetime.date.fromisoformat(day)
    results = evaluate(
        RuleBook(rules),
        [_with_inputs(each) for each in seen],
        Stack([each.resource for each in seen], production=enforcement.read().of(name).production),
        waivers.read(known, today, checkout / "policies" / waivers.FILE.name),
    )
    return record.of_run(seen, results, source="state", day=day, version=VERSION, stand_ins=False)


def state_day(state_file: Path) -> str:
    """When the state was last written, as its manifest says; the beginning of time where it does not."""
    document = json.loads(state_file.read_text(encoding="utf-8"))
    return str((document["deployment"].get("manifest") or {}).get("time") or "0001-01-01")[: len("2026-11-25")]


def _with_inputs(seen: record.Seen) -> Resource:
    """As a check reads a resource: what went into it."""
    resource = seen.resource
    return Resource(
        urn=resource.urn,
        type=resource.type,
        name=resource.name,
        properties=seen.inputs,
        ignored_changes=resource.ignored_changes,
        parent=resource.parent,
        protected=resource.protected,
        provider=resource.provider,
    )
