"""Previews that the real engine has written down, and what is made of them: for the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from policies.rule import Outcome, Severity
from tools.review.drift import Drift, drifts_in
from tools.review.findings import Finding
from tools.review.review import Review, review_of

RECORDED = Path(__file__).parent / "recorded"
MODELS = "urn:pulumi:prod::assistant::assistant:aws:Foundation$aws:s3/bucket:Bucket::models"


def recorded(name: str) -> list[dict[str, Any]]:
    """The events of two previews of this project's own stacks, thinned: one of ``staging`` in which the bucket of the models
    has another name, and one of ``prod``, where that bucket is protected, with other nodes for the queue besides."""
    return [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def urn(type_: str, name: str = "it") -> str:
    return f"urn:pulumi:prod::assistant::assistant:aws:EksAssistant${type_}::{name}"


def finding(**more: Any) -> Finding:
    given: dict[str, Any] = {
        "rule": "R01",
        "title": "No port but 80 and 443 is open to the world",
        "severity": Severity.CRITICAL,
        "controls": ("8.20",),
        "remedy": "close it",
        "urn": urn("aws:ec2/securityGroup:SecurityGroup"),
        "outcome": Outcome.FAIL,
        "reasons": ("port 22 is open to 0.0.0.0/0",),
        "fails": True,
    }
    return Finding(**given | more)


def review(name: str = "bucket_renamed", **more: Any) -> Review:
    return review_of(**{"stack": "staging", "against": "its base", "events": recorded(name), "failed": False} | more)


def refreshed(
    op: str, old: dict[str, Any] | None = None, new: dict[str, Any] | None = None, urn: str = MODELS
) -> dict[str, Any]:
    detail = {key: {} for key in sorted({*(old or {}), *(new or {})})}
    states = {"old": {"outputs": old or {}}, "new": {"outputs": new or {}}}
    return {"resOutputsEvent": {"metadata": {"op": op, "urn": urn, "detailedDiff": detail, **states}}}


def drifted() -> tuple[Drift, ...]:
    return drifts_in([refreshed("update", {"versioning": "Enabled"}, {"versioning": "Suspended"})])
