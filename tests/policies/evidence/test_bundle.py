"""The bundle as a whole: the same bytes for the same input, a manifest, and nothing secret or executable in it."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import hashlib
import html.parser
import json
import re
from pathlib import Path
from typing import Any

import pytest
from evidence.recorded import (
    CANARY,
    DAY,
    FORMULA,
    HISTORY,
    HOSTILE,
    RESOURCES,
    RESULTS,
    RULES,
    WAIVER,
    assembled,
    record_of,
    secret_resources,
)

from policies import record
from policies.controls import CONTROLS
from policies.evaluation import Result
from policies.evidence import bundle
from policies.evidence.bundle import MANIFEST, PAGE, BundleMistake
from policies.resource import Resource
from policies.rule import Outcome
from policies.waivers import Register

FILES = {
    "index.html",
    "manifest.json",
    "statement-of-applicability.json",
    "statement-of-applicability.csv",
    "findings.junit.xml",
    "findings.sarif",
    "assessment-results.json",
    "waivers.csv",
    "access-review.json",
    "access-aws-roles.csv",
    "access-aws-permissions.csv",
    "access-aws-resource-policies.csv",
    "access-cluster-entries.csv",
    "access-kubernetes-roles.csv",
    "access-kubernetes-bindings.csv",
    "access-kubernetes-accounts.csv",
    "access-application.csv",
    "inventory.json",
    "keys.csv",
    "certificates.csv",
    "secrets.csv",
    "versions.json",
    "versions.csv",
    "changes.json",
    "changes.csv",
}


def test_the_files_are_the_same_whatever_is_in_the_stack() -> None:
    assert set(assembled()) == FILES
    assert set(assembled(record_of((), ()), Register())) == FILES


def test_the_order_of_resources_and_results_shows_nowhere() -> None:
    again = tuple(dataclasses.replace(each, resource=renamed(each.resource)) for each in RESOURCES)
    resources = (*RESOURCES, *again)

    assert assembled(record_of(resources)) == assembled(record_of(resources[::-1], RESULTS[::-1]))


def renamed(resource: Resource) -> Resource:
    return dataclasses.replace(resource, urn=f"{resource.urn}-2", name=f"{resource.name}-2")


def test_no_clock_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = assembled()

    class Date(datetime.date):
        @classmethod
        def today(cls) -> Any:
            raise AssertionError("a clock was asked")

    class Time(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            raise AssertionError("a clock was asked")

    monkeypatch.setattr(datetime, "date", Date)
    monkeypatch.setattr(datetime, "datetime", Time)
    monkeypatch.setattr("time.time", lambda: pytest.fail("a clock was asked"))

    assert assembled() == wanted


def test_the_manifest_has_size_and_digest_of_every_other_file() -> None:
    files = assembled()
    manifest = json.loads(files[MANIFEST])

    assert set(manifest["files"]) == FILES - {MANIFEST}
    for name, said in manifest["files"].items():
        assert said == {"bytes": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
    assert manifest["record"] == {"sha256": "0" * 64}
    assert (manifest["stack"], manifest["day"], manifest["standIns"]) == ("prod", DAY, True)


def test_no_file_shows_what_is_marked_as_secret(tmp_path: Path) -> None:
    hidden = record_of((*RESOURCES, *secret_resources()))
    record.write(hidden, tmp_path / "record.json")

    for recorded in (hidden, record.read(tmp_path / "record.json")):
        assert not [name for name, content in assembled(recorded).items() if CANARY.encode() in content]


class Tags(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def hostile() -> dict[str, bytes]:
    """Hostile words wherever somebody outside the team may have written them."""
    results = (*RESULTS, Result("R17", f"urn:pulumi:prod::assistant::t::{HOSTILE}", Outcome.FAIL, (HOSTILE, FORMULA)))
    waiver = dataclasses.replace(WAIVER, reason=HOSTILE, owner="<b>bold</b>", ticket=FORMULA)
    return assembled(record_of(results=results), Register((waiver,), (HOSTILE,)))


def test_the_page_runs_nothing_and_fetches_nothing() -> None:
    tags = Tags(hostile()[PAGE].decode()).seen

    assert not {tag for tag, _attributes in tags} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "svg",
    }
    assert not [attributes for _tag, attributes in tags if any(name.startswith("on") or name == "src" for name in attributes)]
    assert {attributes["href"].partition(":")[0] for _tag, attributes in tags if (attributes.get("href") or "#")[0] != "#"} == {
        "https"
    }  # type: ignore[union-attr]
    assert "url(" not in hostile()[PAGE].decode() and "@import" not in hostile()[PAGE].decode()


def test_a_name_stays_text_on_the_page() -> None:
    page = hostile()[PAGE].decode()

    assert "<script>alert" not in page
    assert "<b>bold</b>" not in page
    assert "&lt;script&gt;alert" in page


def test_a_spreadsheet_takes_no_cell_for_a_formula() -> None:
    for name, content in hostile().items():
        if name.endswith(".csv"):
            cells = [cell for row in csv.reader(content.decode().splitlines()) for cell in row]
            assert not [cell for cell in cells if cell.lstrip(" '\t")[:1] in ("=", "+", "@") and not cell.startswith("'")]
    assert f"'{FORMULA}" in {row[3] for row in csv.reader(hostile()["changes.csv"].decode().splitlines())}


@pytest.mark.parametrize("stand_ins", [True, False])
def test_the_page_says_aloud_when_stand_ins_answered(stand_ins: bool) -> None:
    page = assembled(record_of(stand_ins=stand_ins))[PAGE].decode()

    assert ("stand-ins answered in AWS" in page) is stand_ins


def test_the_page_says_what_it_is_not_before_anything_else() -> None:
    head, _, _rest = assembled()[PAGE].decode().partition("</header>")

    assert "evidence for a certification, not a certification" in head
    assert "1 finding stands without a waiver; 2 results are undetermined." in head


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ((), "No finding."),  # W01 alone was exercised
        (RESULTS[:1], "No finding."),
        (RESULTS[2:4], "No finding; 2 results are undetermined."),
        (RESULTS[2:3], "No finding; 1 result is undetermined."),
        (RESULTS[5:], "No finding that is not waived."),
        (RESULTS[:2], "1 finding stands without a waiver."),
    ],
)
def test_the_page_begins_with_the_verdict(results: tuple[Result, ...], said: str) -> None:
    assert f'<p class="lead">{said}</p>' in assembled(record_of(results=results))[PAGE].decode()


def test_findings_stand_in_the_order_in_which_they_want_somebody() -> None:
    _, _, findings = assembled()[PAGE].decode().partition('<section id="findings">')
    findings, _, _ = findings.partition("</section>")

    assert re.findall(r"<td class=code>(\w+)</td>", findings) == ["R17", "R39", "R40", "R47"]


def test_the_page_has_a_row_for_each_control_and_each_finding() -> None:
    page = assembled()[PAGE].decode()

    assert all(f"<td>A.{number}</td>" in page for number in CONTROLS)
    assert page.count('<span class="status') >= 93 + sum(result.outcome is not Outcome.PASS for result in RESULTS)
    assert "waived (OPS-123)" in page


def test_a_record_of_another_pack_is_refused() -> None:
    with pytest.raises(BundleMistake, match="R99"):
        assembled(record_of(results=(Result("R99", "", Outcome.PASS),)))


def test_failures_and_grave_doubts_stand_and_waived_or_lesser_ones_do_not() -> None:
    failed, doubtful = bundle.standing(RESULTS, RULES)

    assert [result.rule for result in failed] == ["R17"]
    assert [result.rule for result in doubtful] == ["R39"]


def test_writing_replaces_an_older_bundle_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "prod"
    bundle.write({MANIFEST: b"{}", "old.csv": b""}, folder)
    bundle.write({MANIFEST: b"{}", "new.csv": b"x"}, folder)

    assert {file.name for file in folder.iterdir()} == {MANIFEST, "new.csv"}
    assert {each.name for each in folder.parent.iterdir()} == {"prod"}


def test_a_folder_that_is_no_bundle_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(BundleMistake, match="no bundle of evidence"):
        bundle.write({MANIFEST: b"{}"}, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_uncommitted_change_is_said_with_the_commit() -> None:
    page = assembled(history=dataclasses.replace(HISTORY, clean=False))[PAGE].decode()

    assert f"{HISTORY.commit} with changes" in page
