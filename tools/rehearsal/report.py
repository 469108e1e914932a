"""The report of a rehearsal: one page with everything in it, to be read without a network and kept."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from infra import costs
from tools.aws.checks import Check
from tools.rehearsal import configuration, graph, observed
from tools.rehearsal.life import Life
from tools.rehearsal.phases import SIGNS, Done
from tools.rehearsal.stage import Stage

STYLE = Path(__file__).with_name("report.css")
# What was played, by what, and what that cannot show.
STAND_INS = (
    ("AWS' resources", "tests/providers/aws, made from the SDK's own types", "IAM's verdicts, quotas, times"),
    ("AWS' APIs", "moto on the node's address, for what pods and tools call", "permissions: it lets everybody do all"),
    ("MemoryDB", "redis-server of one shard: cluster mode, TLS, the stack's user", "several zones, snapshots, failover"),
    ("EKS, its nodes", "the Kubernetes of `make cluster`, one node", "Pod Identity, the VPC's network plugin, more nodes"),
    ("ECR", "images that podman built, named on the node by digest", "pull, scan, and that a digest is of the content"),
    ("the load balancer", "two listeners on loopback, an authority of the rehearsal", "firewall, rules by path, health checks"),
    ("the cluster's controllers", "a placeholder that says it is ready", "autoscaling of nodes, entering of targets"),
    ("the upgraded images", "other digests of the same content", "that other code works"),
    ("the platform", "the tests' own (tests/platforms/generic)", "a real platform's ways"),
)


def write(stage: Stage, life: Life, done: Sequence[Done]) -> None:
    stage.layout.report.write_text(page(stage, life, done, datetime.datetime.now(datetime.UTC)), encoding="utf-8")


def page(stage: Stage, life: Life, done: Sequence[Done], now: datetime.datetime) -> str:
    stack, style = escape(stage.layout.stack), STYLE.read_text(encoding="utf-8")
    failed = [one for one in done if one.verdict != "passed"]
    verdict = "every phase passed" if not failed else f"{failed[0].name}: {failed[0].said}"
    sections = [
        _section("Phases", _phases(done)),
        _section("What is open to the world", _open(life)),
        _section("Resources", _resources(life)),
        _section("Cost", _cost(stage)),
        _section("Alarms", _alarms(life)),
        _section("Preflight", _preflight(life.preflight)),
        _section("After the destroy", _left(life, done)),
        _section("What was played", _played(stage)),
        _section("Set otherwise than the stack", _overrides(stage)),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Rehearsal of {stack}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style>'
        f'</head><body><header class="{"good" if not failed else "bad"}"><h1>Rehearsal of {stack}</h1>'
        f'<p class="verdict">{escape(verdict)}</p>'
        f"<p>{now:%Y-%m-%d %H:%M} UTC, {_minutes(sum(one.seconds for one in done))}. No account was used: the engine, the "
        "program, the policies, Kubernetes, the images, the model and Redis are real, AWS is played.</p></header>"
        f"<main>{''.join(sections)}</main></body></html>\n"
    )


def _section(title: str, content: str, *, wide: bool = False) -> str:
    return f"<section{' class=wide' if wide else ''}><h2>{escape(title)}</h2>{content}</section>"


def _phases(done: Sequence[Done]) -> str:
    longest = max((one.seconds for one in done), default=1) or 1
    rows = []
    for one in done:
        bar = f'<span class="bar" style="width:{100 * one.seconds / longest:.1f}%"></span>'
        details = "".join(f"<div class=detail>{escape(detail)}</div>" for detail in one.details)
        tone = {"passed": "good", "failed": "bad"}.get(one.verdict, "quiet")
        rows.append(
            f"<tr><td>{escape(one.name)}</td><td class={tone}>{escape(SIGNS[one.verdict])}</td>"
            f"<td class=number>{one.seconds:.1f} s</td><td class=bars>{bar}</td><td>{escape(one.said)}{details}</td></tr>"
        )
    return f"<table class=phases>{_head('Phase', 'Verdict', 'Time', '', 'What came of it')}{''.join(rows)}</table>"


def _open(life: Life) -> str:
    wrong = observed.exactly_the_edge(life.world)
    told = (
        "<p class=good>Exactly 80 and 443 of the load balancer.</p>"
        if life.world and not wrong
        else "".join(f"<p class=bad>{escape(text)}</p>" for text in wrong or ["Nothing was brought up."])
    )
    rows = [
        (door.holder, door.ports, door.why, "the edge" if door.expected else "NOT EXPECTED")
        for door in observed.doors(life.world)
    ]
    answers = [("listener", str(port), what, "the edge") for port, what in observed.listeners(life.world).items()]
    return told + _table(("Where", "Port", "What", ""), [*rows, *answers])


def _resources(life: Life) -> str:
    found = graph.cards(life.state)
    if not found:
        return "<p>Nothing was brought up.</p>"
    total = sum(card.count for card in found)
    return (
        f"<p>{total} resources in {len(found)} parts, as the engine's state has them. An arrow leads from what is needed to "
        "what needs it; what is needed through another is not drawn twice. <span class=key-aws>AWS</span> "
        "<span class=key-kubernetes>Kubernetes and the stack's own</span></p>"
        f"<div class=drawing>{graph.drawing(life.state)}</div>"
    )


def _cost(stage: Stage) -> str:
    """Of the stack as it is configured, not of the rehearsal's small form."""
    estimate = costs.estimate(stage.own, stage.layout.stack)
    rows = [
        (line.what, f"{line.idle:g} {line.unit}", _money(line.monthly), _money(line.monthly_maximum), line.why)
        for line in sorted(estimate.lines, key=lambda line: -line.monthly)
        if line.price is not None
    ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in estimate.notes)
    return (
        f"<p><b>{_money(estimate.idle)}</b> a month without load, <b>{_money(estimate.maximum)}</b> with every autoscaler at "
        f"its maximum, in {escape(estimate.region)}, for the stack as it is configured.</p>"
        f"{_table(('What', 'Without load', 'a month', 'at most', 'Why'), rows, numbers=(2, 3))}<ul class=notes>{notes}</ul>"
    )


def _alarms(life: Life) -> str:
    rows = [
        (alarm.name, alarm.severity, alarm.summary, alarm.condition, alarm.duration, alarm.measured)
        for alarm in observed.alarms(life.world)
    ]
    return f"<p>{len(rows)} alarms.</p>" + _table(
        ("Name", "", "Meaning", "Threshold", "For", "Measured"), rows, small=(5,), numbers=(3, 4)
    )


def _preflight(found: Sequence[Check]) -> str:
    return _table(("Check", "Verdict", "Found"), [(check.name, check.verdict, check.found) for check in found])


def _left(life: Life, done: Sequence[Done]) -> str:
    if not any(one.name == "orphans" and one.verdict != "not reached" for one in done):
        return "<p>The destroy was not reached.</p>"
    orphans = "".join(f"<li class=bad>{escape(name)}</li>" for name in life.left.orphans)
    kept = [(name, why) for name, why in sorted(life.left.kept.items())]
    told = f"<p>{len(life.left.orphans)} orphans, {len(kept)} kept on purpose.</p>"
    return told + (f"<ul>{orphans}</ul>" if orphans else "") + _table(("Kept", "Why"), kept)


def _played(stage: Stage) -> str:
    rows = list(STAND_INS)
    if stage.seeded:
        rows.append(
            ("the model's conversion", "done before on this machine; its Job finds it published", "the minutes it takes")
        )
    return _table(("What", "Played by", "What that cannot show"), rows)


def _overrides(stage: Stage) -> str:
    before = stage.own.model_dump(by_alias=True, mode="json")
    rows = []
    for name, value in configuration.flattened({**stage.overrides, "model": {"source": "the bundled one"}}).items():
        rows.append((name, _of(before, name.split(".")), _short(value), configuration.REASONS[name.partition(".")[0]]))
    return _table(("Setting", "The stack's", "The rehearsal's", "Why"), rows)


def _of(settings: object, path: Sequence[str]) -> str:
    for part in path:
        settings = settings.get(part) if isinstance(settings, dict) else None
    return "" if settings is None else _short(str(settings))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"…{text[-58:]}"


def _head(*titles: str) -> str:
    return f"<thead><tr>{''.join(f'<th>{escape(title)}</th>' for title in titles)}</tr></thead>"


def _table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = (), small: Sequence[int] = ()
) -> str:
    def cell(index: int, text: str) -> str:
        tone = " class=number" if index in numbers else " class=small" if index in small else ""
        return f"<td{tone}>{escape(text)}</td>"

    body = "".join(f"<tr>{''.join(cell(index, text) for index, text in enumerate(row))}</tr>" for row in rows)
    return f"<div class=scroll><table>{_head(*titles)}<tbody>{body}</tbody></table></div>" if body else ""


def _money(amount: float) -> str:
    return f"{amount:,.2f} USD" if amount < 100 else f"{amount:,.0f} USD"


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)} min {seconds % 60:.0f} s"
