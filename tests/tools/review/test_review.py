"""Verdicts: what passes, what fails, and what needs somebody's word."""

from __future__ import annotations

import pytest
from reviews_at_hand import finding, recorded, review, urn

from tools.review.changes import Change, Kind
from tools.review.document import document
from tools.review.review import LABEL, Verdict, blast_radius


def test_a_replaced_bucket_needs_the_label_and_passes_with_it() -> None:
    assert review().verdict is Verdict.NEEDS_LABEL
    assert review(labels={"bug", LABEL}).verdict is Verdict.FINE
    assert review(labels={"bug"}).verdict is Verdict.NEEDS_LABEL
    (hit,) = review().blast_radius
    assert (hit.name, hit.what) == ("storage-models-bucket", "replaced because of bucket")
    assert "every object" in hit.loss


def test_what_the_engine_refuses_fails_and_no_label_helps() -> None:
    refused = review("protected", failed=True, labels={LABEL})
    assert refused.verdict is Verdict.FAILED
    assert "storage-models-bucket" in refused.refusals[0]
    assert [hit.name for hit in refused.blast_radius] == ["storage-models-bucket"]


def test_a_finding_that_counts_fails_and_one_that_does_not_is_only_told() -> None:
    assert review(findings=[finding()], labels={LABEL}).verdict is Verdict.FAILED
    assert review(findings=[finding(fails=False, waiver="OPS-1")], labels={LABEL}).verdict is Verdict.FINE


def test_a_preview_that_failed_without_a_word_fails() -> None:
    silent = [event for event in recorded("bucket_renamed") if "diagnosticEvent" not in event]
    assert review(events=silent, failed=True, labels={LABEL}).verdict is Verdict.FAILED


def test_a_preview_that_the_policies_did_not_judge_does_not_pass() -> None:
    nothing = [{"summaryEvent": {"resourceChanges": {"same": 344}}}]
    unjudged = review(events=nothing, findings=None)
    assert unjudged.verdict is Verdict.FAILED
    assert "no record" in unjudged.refusals[0]
    assert document(unjudged)["policiesAsked"] is False


def test_no_change_is_fine() -> None:
    nothing = review(events=[{"summaryEvent": {"resourceChanges": {"same": 344}}}])
    assert (nothing.verdict, nothing.unchanged, nothing.blast_radius) == (Verdict.FINE, 344, ())


@pytest.mark.parametrize(
    "type_",
    [
        "aws:s3/bucket:Bucket",
        "aws:memorydb/cluster:Cluster",
        "aws:kms/key:Key",
        "aws:secretsmanager/secret:Secret",
        "aws:eks/cluster:Cluster",
        "aws:ec2/vpc:Vpc",
        "aws:backup/vault:Vault",
        "aws:ecr/repository:Repository",
        "kubernetes:core/v1:PersistentVolumeClaim",
        "kubernetes:apps/v1:StatefulSet",
    ],
)
@pytest.mark.parametrize("kind", [Kind.DELETE, Kind.REPLACE])
def test_what_holds_data_is_of_the_blast_radius_when_it_goes_and_not_when_it_is_made_or_changed(type_: str, kind: Kind) -> None:
    assert blast_radius([Change(urn=urn(type_), kind=kind)], ())
    assert not blast_radius([Change(urn=urn(type_), kind=Kind.CREATE), Change(urn=urn(type_), kind=Kind.UPDATE)], ())


def test_what_can_be_made_again_may_go_unless_somebody_has_protected_it() -> None:
    policy = urn("aws:s3/bucketPolicy:BucketPolicy")
    assert not blast_radius([Change(urn=policy, kind=Kind.DELETE)], ())
    assert blast_radius([Change(urn=policy, kind=Kind.DELETE, protected=True)], ())


def test_logs_that_an_audit_asks_for_count_and_others_do_not() -> None:
    groups = [urn("aws:cloudwatch/logGroup:LogGroup", name) for name in ("trail-audit-logs", "gateway-logs")]
    assert [hit.urn for hit in blast_radius([Change(urn=one, kind=Kind.DELETE) for one in groups], ())] == groups[:1]


def test_what_is_kept_in_the_account_is_said_to_be() -> None:
    (hit,) = blast_radius([Change(urn=urn("aws:s3/bucket:Bucket"), kind=Kind.DELETE, kept=True)], ())
    assert hit.what == "leaves the stack, kept in the account"


def test_a_protection_that_is_taken_off_needs_the_label_and_is_told_once() -> None:
    bucket = urn("aws:s3/bucket:Bucket")
    (hit,) = blast_radius([], [bucket])
    assert hit.what == "no longer protected"
    (hit,) = blast_radius([Change(urn=bucket, kind=Kind.REPLACE, protected=True)], [bucket])
    assert hit.what == "replaced"


def test_the_document_for_programs_says_verdict_code_and_counts() -> None:
    told = document(review())
    assert (told["verdict"], told["code"]) == ("needs-label", 3)
    assert told["counts"]["replace"] == review().counted()[Kind.REPLACE]
    assert [hit["name"] for hit in told["blastRadius"]] == ["storage-models-bucket"]
