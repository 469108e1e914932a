"""Waiting for a GPU's proof: what ends it well, what ends it early, and that nothing is bought for a proof nobody awaits."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_kubectl import FakeKubectl, put_on_path
from gpu_documents import JOB, NO_INSTANCES, NODE, VCPUS, event, evidence, failed, job, node, pod, pool, state

from infra.errors import DeploymentError
from infra.kubernetes import gpu_proof
from infra.kubernetes.gpu_proof import GpuProofProvider, aws_facts, prove, wait
from infra.kubernetes.kubectl import KubectlError

FOUND = {"driver": "580.95", "cuda": "13.0", "gpus": [{"name": "NVIDIA L4"}], "seconds": 0.0004}
PROVED = pod(phase="Succeeded", **state(terminated={"exitCode": 0, "message": json.dumps(FOUND)}))
PROPS: dict[str, Any] = {
    "namespace": "assistant",
    "job": JOB,
    "pool": pool().model_dump(by_alias=True, mode="json", exclude_none=True),
    "kubeconfig": '{"kind": "Config"}',
    "region": "eu-central-1",
    "profile": None,
    "clusterName": "assistant-prod",
    "nodeGroup": "assistant-prod-gpu-gpu",
    "seconds": 1800.0,
}


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def run(look: Callable[[float], Any], seconds: float = 1800) -> tuple[dict[str, Any] | str, float]:
    """What came of it, and after how many seconds."""
    time = Time()
    try:
        return wait(lambda: look(time.now), seconds, clock=time.clock, sleep=time.sleep), time.now
    except DeploymentError as error:
        return str(error), time.now


def test_a_job_that_completes_ends_it_with_what_the_probe_said() -> None:
    found, after = run(lambda now: evidence(job=job("Complete"), pods=[PROVED]) if now >= 300 else evidence())
    assert (found, after) == ({"node": NODE, **FOUND}, 300)


def test_a_pod_that_is_gone_takes_its_words_with_it_and_not_the_proof() -> None:
    assert run(lambda _now: evidence(job=job("Complete"), pods=[]))[0] == {}


def test_what_waiting_does_not_change_ends_it_early() -> None:
    said, after = run(lambda _now: evidence(activities=[failed(VCPUS)]))
    assert "Cause: quota" in str(said)
    assert after < 180


def test_what_may_pass_is_waited_for_to_the_end() -> None:
    said, after = run(lambda _now: evidence(activities=[failed(NO_INSTANCES)]), seconds=600)
    assert "Cause: capacity" in str(said)
    assert 600 < after < 630


def test_a_quota_that_is_raised_meanwhile_is_no_failure() -> None:
    def look(now: float) -> Any:
        if now >= 200:
            return evidence(job=job("Complete"), pods=[PROVED])
        return evidence(activities=[failed(VCPUS)] if now < 100 else [])

    assert run(look)[0] == {"node": NODE, **FOUND}


def test_progress_is_told_when_it_changes_and_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    run(lambda now: evidence(nodes=[node(0)] if now >= 60 else [], activities=[failed(NO_INSTANCES)] if now < 60 else []), 300)
    lines = capsys.readouterr().out.splitlines()
    assert 4 <= len(lines) <= 8
    assert lines[0].startswith("GPU gate, pool gpu, 0 s: 0 nodes, 0 GPUs, pod Pending.")
    assert any("1 nodes, 0 GPUs" in line for line in lines)


def test_a_cluster_that_does_not_answer_is_told_at_once_and_borne_with_later() -> None:
    def never(_now: float) -> Any:
        raise KubectlError("connection refused")

    said, after = run(never)
    assert "connection refused" in str(said)
    assert after == 0

    def away_for_a_minute(now: float) -> Any:
        if 0 < now < 60:
            raise KubectlError("connection refused")
        return evidence(job=job("Complete"), pods=[PROVED]) if now >= 60 else evidence()

    assert run(away_for_a_minute)[0] == {"node": NODE, **FOUND}


def test_an_update_of_a_full_pool_counts_the_pod_that_computes_there_as_proof() -> None:
    serving = pod("inference-7d", conditions=[{"type": "Ready", "status": "True"}])
    serving["spec"]["containers"] = [{"resources": {"limits": {"nvidia.com/gpu": "1"}}}]
    full = [event("FailedScheduling", "0/3 nodes are available: 1 Insufficient nvidia.com/gpu")]
    found, after = run(lambda _now: evidence(nodes=[node(1)], serving=[serving], events=full))
    assert found == {"by": "inference-7d"}
    assert after < 180
    serving["status"]["conditions"][0]["status"] = "False"
    assert "Cause: capacity" in str(run(lambda _now: evidence(nodes=[node(1)], serving=[serving], events=full))[0])


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    monkeypatch.setattr(gpu_proof, "aws_facts", lambda _props, _after: {})
    monkeypatch.setattr(gpu_proof, "EVERY_SECONDS", 0.01)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "canary")
    return put_on_path(tmp_path, monkeypatch)


def test_the_provider_finds_the_proof_by_kubectl_with_a_private_kubeconfig(kubectl: FakeKubectl) -> None:
    kubectl.answer({f"get job {JOB}": job("Complete"), "get pods --namespace assistant": {"items": [PROVED]}})
    outputs = GpuProofProvider().create(PROPS).outs or {}
    assert outputs["found"] == {"node": NODE, **FOUND}
    assert {(text, mode) for _, text, mode in kubectl.journal} == {(PROPS["kubeconfig"], "0o600")}
    assert not kubectl.asked("patch")
    assert GpuProofProvider().diff("x", outputs, PROPS).changes is False


def test_a_job_that_proved_nothing_is_held_back_and_let_go_on_by_the_next_try(kubectl: FakeKubectl) -> None:
    held = job()
    held["spec"]["suspend"] = True
    kubectl.answer({f"get job {JOB}": held})
    with pytest.raises(DeploymentError, match="Cause: unknown"):
        prove({**PROPS, "seconds": 0.0})
    assert [arguments[-1] for arguments in kubectl.asked("patch")] == ['--patch={"spec": {"suspend": false}}']
    kubectl.answer({f"get job {JOB}": job()})
    with pytest.raises(DeploymentError, match="Cause: unknown"):
        prove({**PROPS, "seconds": 0.0})
    assert kubectl.asked("patch")[-1][-1] == '--patch={"spec": {"suspend": true}}'


def test_another_way_to_the_cluster_proves_nothing_anew_and_another_job_does(kubectl: FakeKubectl) -> None:
    kubectl.answer({f"get job {JOB}": job("Complete"), "get pods --namespace assistant": {"items": [PROVED]}})
    provider = GpuProofProvider()
    known = provider.create(PROPS).outs or {}
    asked = len(kubectl.journal)
    moved = {**PROPS, "kubeconfig": "{}"}
    assert provider.diff("x", known, moved).changes is True
    assert (provider.update("x", known, moved).outs or {})["found"] == known["found"]
    assert len(kubectl.journal) == asked
    kubectl.answer({})
    with pytest.raises(DeploymentError, match=r"Cause: job\. The Job is gone"):
        provider.update("x", known, {**PROPS, "job": "gpu-gate-gpu-2", "seconds": 0.0})


def test_without_kubectl_a_person_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(DeploymentError, match="kubectl is not on PATH"):
        prove(PROPS)


def test_what_aws_says_is_of_the_pools_group_and_of_the_last_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.datetime.now(datetime.UTC)
    asked: list[dict[str, Any]] = []

    class Client:
        def describe_nodegroup(self, **arguments: Any) -> dict[str, Any]:
            asked.append(arguments)
            issues = [{"code": "AsgInstanceLaunchFailures", "message": VCPUS}]
            return {"nodegroup": {"health": {"issues": issues}, "resources": {"autoScalingGroups": [{"name": "eks-gpu"}]}}}

        def describe_scaling_activities(self, **arguments: Any) -> dict[str, Any]:
            asked.append(arguments)
            old = {**failed("yesterday's"), "StartTime": now - datetime.timedelta(hours=20)}
            return {"Activities": [{**failed(VCPUS), "StartTime": now}, old]}

    monkeypatch.setattr("infra.aws.session.session", lambda _region, _profile: None)
    monkeypatch.setattr("infra.aws.session.client", lambda _session, _service: Client())
    found = aws_facts(PROPS, now - gpu_proof.RECENT)
    assert asked[0] == {"clusterName": "assistant-prod", "nodegroupName": "assistant-prod-gpu-gpu"}
    assert asked[1]["AutoScalingGroupName"] == "eks-gpu"
    assert [it["StatusMessage"] for it in found["activities"]] == [VCPUS]
    assert found["issues"][0]["code"] == "AsgInstanceLaunchFailures"


def test_an_account_that_may_not_be_read_is_said_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import NoCredentialsError

    def refuse(_region: str, _profile: str | None) -> None:
        raise NoCredentialsError

    monkeypatch.setattr("infra.aws.session.session", refuse)
    (said,) = aws_facts(PROPS, datetime.datetime.now(datetime.UTC))["unread"]
    assert "Unable to locate credentials" in said
