"""What a refresh has found, as a person is told it."""

from __future__ import annotations

from reviews_at_hand import drifted, refreshed

from tools.review.drift import drifts_in, report


def test_what_was_only_read_has_not_drifted() -> None:
    assert drifts_in([refreshed("same"), refreshed("refresh"), refreshed("read")]) == ()


def test_what_was_changed_by_hand_is_told_with_both_values() -> None:
    (found,) = drifted()
    assert str(found) == "models (aws:s3/bucket:Bucket) differs in versioning"
    text = report("prod", (found,))
    assert '-         "Enabled"' in text
    assert '+         "Suspended"' in text


def test_what_is_not_there_any_more_is_told() -> None:
    (found,) = drifts_in([refreshed("delete", {"bucket": "models"})])
    assert str(found) == "models (aws:s3/bucket:Bucket) is gone"


def test_a_report_begins_with_the_line_that_ci_finds_its_issue_by() -> None:
    for found in ((), drifted()):
        assert report("prod", found).startswith("<!-- assistant-drift: prod -->\n")
