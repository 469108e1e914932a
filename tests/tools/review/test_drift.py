"""What a refresh has found, as a person is told it."""

from __future__ import annotations

from reviews_at_hand import drifted, refreshed

from tools.review.drift import drifts_in, report


def test_what_was_only_read_has_not_drifted() -> None:
    assert drifts_in([refreshed("same"), refreshed("refresh"), refreshed("read")]) == ()


def test_a_component_that_the_engine_calls_updated_and_that_is_the_same_has_not_drifted() -> None:
    event = refreshed("update", {"url": "https://127.0.0.1"}, {"url": "https://127.0.0.1"})
    event["resOutputsEvent"]["metadata"]["detailedDiff"] = None
    assert drifts_in([event]) == ()


def test_what_a_provider_does_not_detail_is_told_by_the_outputs_that_differ() -> None:
    event = refreshed("update", {"healthy": True, "port": 1}, {"healthy": False, "port": 1})
    event["resOutputsEvent"]["metadata"]["detailedDiff"] = None
    (found,) = drifts_in([event])
    assert [(entry.path, entry.lines) for entry in found.properties] == [("healthy", ("- true", "+ false"))]


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
