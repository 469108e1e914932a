"""Checkov itself on what the conversion makes of a few resources. Skipped where `make compare-policies` has never run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from policies.record import Seen
from policies.resource import Resource
from policies.values import UNKNOWN
from tools.peers.checkov.probes import GONE, Probe, broken, targets_in
from tools.peers.checkov.scan import Scan, program, scan

LOGS, BUCKET = "aws:cloudwatch/logGroup:LogGroup", "aws:s3/bucket:Bucket"
ACCESS = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
CONTAINER = {"name": "worker", "image": "registry.example/worker:1", "securityContext": {"privileged": False}}
GOOD: dict[str, tuple[str, dict[str, Any], dict[str, tuple[str, ...]]]] = {
    "key": ("aws:kms/key:Key", {"enableKeyRotation": True}, {}),
    "logs": (LOGS, {"kmsKeyId": UNKNOWN, "retentionInDays": 365}, {"kmsKeyId": ("key",)}),
    "bucket": (BUCKET, {"bucket": "models"}, {}),
    "closed": (
        ACCESS,
        {
            "bucket": UNKNOWN,
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        {"bucket": ("bucket",)},
    ),
    "worker": (
        DEPLOYMENT,
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "worker", "namespace": "assistant"},
            "spec": {"template": {"metadata": {"labels": {"app": "worker"}}, "spec": {"containers": [CONTAINER]}}},
        },
        {},
    ),
}
PROBES = (
    Probe(check="CKV_AWS_158", what="no key", type=LOGS, at=("kmsKeyId",), to=GONE),
    Probe(check="CKV2_AWS_6", what="no block beside it", type=BUCKET, without=ACCESS),
    Probe(
        check="CKV_K8S_16",
        what="privileged",
        type=DEPLOYMENT,
        at=("spec", "template", "spec", "containers", 0, "securityContext", "privileged"),
        to=True,
    ),
)


@pytest.fixture(scope="module")
def checkov() -> Path:
    found = program(os.environ)
    if found is None:
        pytest.skip("Checkov is not installed: make compare-policies sets it up")
    return found


def seen(name: str, kind: str, inputs: dict[str, Any], edges: dict[str, tuple[str, ...]]) -> Seen:
    return Seen(Resource(name, kind, name, inputs, property_dependencies=edges), inputs)


def verdicts(found: Scan) -> dict[str, bool]:
    wanted = {probe.check for probe in PROBES}
    return {each.check: each.passed for each in found.judgements if each.check in wanted}


def test_what_is_good_passes_and_what_is_broken_fails(checkov: Path) -> None:
    good = [seen(name, *given) for name, given in GOOD.items()]
    first = scan(checkov, good, os.environ)
    assert verdicts(first) == {probe.check: True for probe in PROBES}
    assert first.urns == set(GOOD)
    second = scan(checkov, broken(good, targets_in(good, PROBES)), os.environ)
    assert verdicts(second) == {probe.check: False for probe in PROBES}
