"""The report is one page that needs nothing besides, and says first what went wrong."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from infra.settings_reader import settings_from
from tools.rehearsal import configuration, report
from tools.rehearsal.layout import CHECKOUT, Layout
from tools.rehearsal.observed import Left
from tools.rehearsal.phases import Done

NOW = datetime.datetime(2026, 11, 24, 22, 0, tzinfo=datetime.UTC)


def page(*done: Done) -> str:
    given = yaml.safe_load((CHECKOUT / "stacks" / "prod.example.yaml").read_text(encoding="utf-8"))
    config = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given["config"].items()}
    stage: Any = SimpleNamespace(
        layout=Layout(root=Path("/nowhere"), stack="prod"),
        own=settings_from(config, "prod"),
        overrides=configuration.overrides("prod", platform_url="http://a:1", authorities=Path("/b.pem")),
        seeded=True,
    )
    life: Any = SimpleNamespace(world=[], state={}, preflight=[], left=Left(orphans=(), kept={}))
    return report.page(stage, life, done, NOW)


def test_it_needs_nothing_from_elsewhere_and_shows_what_it_was_given_as_text() -> None:
    text = page(Done(name="up", verdict="passed", seconds=61.0, said="<b>all</b>", details=["1 & 2"]))
    assert "every phase passed" in text
    assert "1 min 1 s" in text
    assert "&lt;b&gt;all&lt;/b&gt;" in text
    assert "1 &amp; 2" in text
    assert re.findall(r"""(?:src|href)=|url\(|@import|<script""", text) == []


def test_a_failed_phase_is_what_stands_first() -> None:
    failed = Done(name="up", verdict="failed", seconds=1.0, said="no quota")
    text = page(failed, Done(name="destroy", verdict="not reached", seconds=0.0, said="an earlier phase failed"))
    assert '<p class="verdict">up: no quota</p>' in text
    assert "every phase passed" not in text
    assert "The destroy was not reached." in text


def test_the_cost_is_the_stack_s_own_and_each_setting_that_was_changed_is_told() -> None:
    text = page()
    assert "MemoryDB (db.r7g.large)" in text
    assert "autoscaling.inference.minimum" in text
    assert "one machine of two cores" in text
