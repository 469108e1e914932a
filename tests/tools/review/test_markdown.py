"""The comment on a pull request: found again, readable, and nobody's markup but ours."""

from __future__ import annotations

import pytest
from reviews_at_hand import finding, review, urn

from policies.rule import Outcome
from tools.review.changes import Change, Kind, Property
from tools.review.costs import Bill, Costs
from tools.review.markdown import LONGEST, comment, headline, marker, screen
from tools.review.posting import LONGEST as POSTED
from tools.review.posting import marker_of
from tools.review.review import LABEL, Review


def with_changes(*changes: Change) -> Review:
    return Review(stack="prod", against="its base", changes=changes, unchanged=0, blast_radius=())


def test_the_first_line_is_the_one_that_ci_finds_its_comment_by() -> None:
    text = comment(review())
    assert text.startswith(marker("staging"))
    assert marker_of(text) == marker("staging")


def test_the_heading_says_what_is_missing() -> None:
    assert f"Needs the label `{LABEL}`" in headline(review())
    assert f"The label `{LABEL}` is given" in headline(review(labels={LABEL}))
    assert "the engine refuses" in headline(review("protected", failed=True))
    assert "1 policy finding" in headline(review(findings=[finding()]))
    assert headline(with_changes()) == "nothing changes."


def test_a_finding_is_told_with_rule_resource_control_reason_and_remedy() -> None:
    text = comment(review(findings=[finding()]))
    row = next(line for line in text.splitlines() if "R01" in line)
    assert [part in row for part in ("**fails**", "A.8.20", "SecurityGroup", "port 22", "close it")] == [True] * 5
    waived = comment(review(findings=[finding(fails=False, waiver="OPS-1")]))
    assert "waived (OPS-1)" in waived
    undecided = comment(review(findings=[finding(outcome=Outcome.UNDETERMINED)]))
    assert "**undecided**" in undecided


def test_policies_that_were_not_asked_are_not_said_to_have_found_nothing() -> None:
    assert "Policies: nothing found." in comment(review(findings=[]))
    assert "Policies: not asked" in comment(review(findings=None, failed=True))


def test_the_blast_radius_is_a_table_and_its_absence_is_said() -> None:
    assert "| `storage-models-bucket` | `aws:s3/bucket:Bucket` | replaced because of bucket |" in comment(review())
    assert "Nothing that holds data or is protected is deleted or replaced." in comment(with_changes())


def test_a_review_that_saw_nothing_does_not_say_that_nothing_goes() -> None:
    blind = Review(stack="prod", against="nothing", changes=(), unchanged=0, blast_radius=(), blind=True)
    assert "Nothing that holds data" not in comment(blind)
    ended = Review(stack="prod", against="x", changes=(), unchanged=0, blast_radius=(), refusals=("the program has an error",))
    assert "Nothing that holds data" not in comment(ended)


def test_the_change_of_the_cost_is_told_line_by_line() -> None:
    costs = Costs(
        before=Bill(lines={"nodes": (100, 200), "NAT": (38, 38)}), after=Bill(lines={"nodes": (160, 260), "NAT": (38, 38)})
    )
    text = comment(review(costs=costs))
    assert "198.00 US dollars a month when idle, 298.00 at every maximum: +60.00 against 138.00" in text
    assert "+60.00 nodes" in text
    assert "NAT" not in text.partition("#### Cost")[2].partition("<details>")[0]
    assert "could not be asked" in comment(review(costs=Costs(before=None, after=costs.after)))


def test_nothing_in_a_value_ends_the_block_that_it_stands_in() -> None:
    evil = Property(path="value", lines=("+ ```` </details> @everyone",))
    text = comment(with_changes(Change(urn=urn("aws:ec2/eip:Eip"), kind=Kind.UPDATE, properties=(evil,))))
    assert "`````diff" in text
    assert text.count("`````") == 2


@pytest.mark.parametrize("evil", ["a|b", "<img src=x>", "@everyone", "[x](http://example.com)"])
def test_what_a_stranger_writes_into_a_reason_is_text(evil: str) -> None:
    text = comment(review(findings=[finding(reasons=(evil,))]))
    assert evil not in text


def test_a_comment_that_would_be_too_long_is_cut_where_the_diff_is_and_says_so() -> None:
    entry = Property(path="value", lines=tuple(f"+ {number:0>90}" for number in range(12)))
    many = [Change(urn=urn("aws:ec2/eip:Eip", f"n{number}"), kind=Kind.UPDATE, properties=(entry,)) for number in range(140)]
    text = comment(with_changes(*many))
    assert len(text) < LONGEST < POSTED
    assert "more, in the artefact" in text
    assert text.rstrip().endswith("</details>")


def test_the_screen_has_no_markup() -> None:
    text = screen(review(findings=[finding()]))
    assert "**" not in text
    assert "blast radius: storage-models-bucket (aws:s3/bucket:Bucket) replaced because of bucket" in text
    assert "fails: R01 it (aws:ec2/securityGroup:SecurityGroup): port 22 is open to 0.0.0.0/0" in text
