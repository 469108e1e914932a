"""Dynamic provisioning: which claims get a volume, and which volumes go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools.kubernetes.volumes import CLAIM_ANNOTATION, NAME, VOLUME_ANNOTATION, released, unserved, volume_for, volume_name


def claim(**changes: Any) -> dict[str, Any]:
    metadata = {"uid": "u1", "name": "data", "namespace": "n", "resourceVersion": "7", "annotations": {CLAIM_ANNOTATION: NAME}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "standard"}
    return {"metadata": {**metadata, **changes.get("metadata", {})}, "spec": {**spec, **changes.get("spec", {})}}


def volume(phase: str, **changes: Any) -> dict[str, Any]:
    metadata = {"name": "pvc-u1", "uid": "v1", "annotations": {VOLUME_ANNOTATION: NAME}}
    return {
        "metadata": {**metadata, **changes.get("metadata", {})},
        "spec": {"persistentVolumeReclaimPolicy": "Delete", **changes.get("spec", {})},
        "status": {"phase": phase},
    }


def test_a_claim_that_the_controller_manager_gave_us_is_served_once() -> None:
    assert unserved([claim()], []) == [claim()]
    assert unserved([claim()], [volume("Available")]) == []


@pytest.mark.parametrize(
    "other",
    [
        claim(metadata={"annotations": {}}),
        claim(metadata={"annotations": {CLAIM_ANNOTATION: "somebody/else"}}),
        claim(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        claim(spec={"volumeName": "bound-already"}),
        claim(spec={"volumeMode": "Block"}),
    ],
)
def test_other_claims_are_left_alone(other: dict[str, Any]) -> None:
    assert unserved([other], []) == []


def test_the_volume_is_for_this_claim_and_no_other_of_its_name() -> None:
    made = volume_for(claim(), "Retain", Path("/volumes"))
    assert made["spec"]["claimRef"]["uid"] == "u1"
    assert made["spec"]["hostPath"] == {"path": "/volumes/pvc-u1", "type": "Directory"}
    assert made["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert made["metadata"]["name"] == volume_name(claim())


@pytest.mark.parametrize(
    ("there", "goes"),
    [
        (volume("Released"), True),
        (volume("Failed"), True),
        (volume("Bound"), False),
        (volume("Released", spec={"persistentVolumeReclaimPolicy": "Retain"}), False),
        (volume("Released", metadata={"annotations": {}}), False),
    ],
)
def test_only_a_released_volume_of_ours_that_nobody_wants_to_keep_goes(there: dict[str, Any], goes: bool) -> None:
    assert bool(released([there])) is goes
