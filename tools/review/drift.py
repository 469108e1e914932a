"""``make drift``: what is otherwise than the stack's state says. Nothing is changed, the state neither."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from tools.rehearsal.runs import perform
from tools.review.changes import Property, name_of, properties_of, refused_in, type_of
from tools.review.markdown import fenced
from tools.review.results import results_of
from tools.stack.engine import Engine, EngineError
from tools.stack.place import place_of

MOST_SECONDS = 1800.0
# What a refresh finds, by the engine's words for it.
GONE, OTHERWISE = "delete", "update"


class Verdict(IntEnum):
    """The exit code, too."""

    NONE = 0
    DRIFTED = 3


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One resource that is not as the state has it; ``gone``: it is not there at all."""

    urn: str
    gone: bool
    properties: tuple[Property, ...] = ()

    def __str__(self) -> str:
        what = (
            "is gone" if self.gone else f"differs in {', '.join(entry.path for entry in self.properties) or 'what it reports'}"
        )
        return f"{name_of(self.urn)} ({type_of(self.urn)}) {what}"


def run(engine: Engine) -> int:
    """Raises :class:`EngineError` where the stack cannot be looked at."""
    place = place_of(engine)
    prepared = place.ready(engine, "Looking at")
    results = results_of(engine)
    log = results / "drift.log"
    done = perform(
        prepared,
        "refresh",
        "--preview-only",
        "--diff",
        *place.refresh_flags,
        log=log,
        report=lambda line: print(line, file=sys.stderr, flush=True),
        more={"PULUMI_DEBUG_COMMANDS": "true"},  # brings --event-log
        seconds=MOST_SECONDS,
    )
    if done.code:
        said = "\n".join(refused_in(done.events)) or done.screen[-2000:]
        raise EngineError(f"{engine.stack} could not be looked at:\n{said}\nThe engine's screen: {log}")
    found = drifts_in(done.events)
    (results / "drift.md").write_text(report(engine.stack, found), encoding="utf-8")
    if not found:
        print(f"{engine.stack}: everything is as its state says.", flush=True)
        return int(Verdict.NONE)
    print(f"{engine.stack}: {len(found)} otherwise than its state says; {results / 'drift.md'} has all of it", flush=True)
    for one in found:
        print(f"  {one}", flush=True)
    print(f"Take it over into the state: make refresh{engine.make_option}. Make it as the program says: make up", flush=True)
    return int(Verdict.DRIFTED)


def drifts_in(events: Iterable[Mapping[str, Any]]) -> tuple[Drift, ...]:
    """Pure. The engine calls an update also what it has only looked at, components and providers: then nothing differs."""
    found = {}
    for event in events:
        metadata = (event.get("resOutputsEvent") or {}).get("metadata") or {}
        gone = metadata.get("op") == GONE
        if gone or (metadata.get("op") == OTHERWISE and _differs(metadata)):
            urn = str(metadata["urn"])
            found[urn] = Drift(urn=urn, gone=gone, properties=() if gone else _properties(metadata))
    return tuple(found[urn] for urn in sorted(found))


def _differs(metadata: Mapping[str, Any]) -> bool:
    old, new = metadata.get("old") or {}, metadata.get("new") or {}
    return bool(metadata.get("detailedDiff")) or any(old.get(which) != new.get(which) for which in ("inputs", "outputs"))


def _properties(metadata: Mapping[str, Any]) -> tuple[Property, ...]:
    """Where the provider tells no details, the outputs that differ."""
    if metadata.get("detailedDiff"):
        return properties_of(metadata, "outputs")
    old, new = ((metadata.get(which) or {}).get("outputs") or {} for which in ("old", "new"))
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return properties_of({**metadata, "diffs": names}, "outputs")


def report(stack: str, found: Sequence[Drift]) -> str:
    """For an issue. Pure."""
    marker = f"<!-- assistant-drift: {stack} -->"
    if not found:
        return f"{marker}\n\n`{stack}` is as its state says.\n"
    lines = []
    for one in found:
        lines.append(f"{'-' if one.gone else '~'} {one}")
        for entry in one.properties:
            lines += [f"      {entry.path}", *(f"{line[0]}         {line[2:]}" for line in entry.lines)]
    says = (
        f"{len(found)} of what `{stack}` has made is otherwise than its state says: somebody changed it by hand, or something "
        "failed. What is right stands in the program: `make up` makes it so again. What is wanted as it is now: change the "
        "program first."
    )
    return "\n\n".join([marker, says, fenced("\n".join(lines), "diff")]) + "\n"
