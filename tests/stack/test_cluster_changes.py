"""What an `up` touches: nothing when nothing changed, and only what a changed setting concerns."""

from __future__ import annotations

from cluster_deployment import ClusterDeployment
from kubectl import wait_until

from tools.stack.assistant import Assistant

PARTS = ("gateway", "worker", "inference", "redis")


def test_changes_nothing_the_second_time(deployed: ClusterDeployment) -> None:
    before = _pods(deployed)
    run = deployed.up(policies=True)
    assert run.code == 0, run.screen
    assert run.changed == {}
    assert _pods(deployed) == before


def test_sees_no_drift_in_a_healthy_stack(deployed: ClusterDeployment) -> None:
    run = deployed.refresh()
    assert run.code == 0, run.screen
    assert deployed.up().changed == {}


def test_rolls_only_the_pods_that_a_changed_setting_concerns(deployed: ClusterDeployment) -> None:
    before = _pods(deployed)
    deployed.configure(worker={"concurrency": 3})
    run = deployed.up()
    assert run.code == 0, run.screen
    deployed.settled("worker")
    after = _pods(deployed)
    assert {part for part in PARTS if after[part] != before[part]} == {"worker"}
    assert not after["worker"] & before["worker"]


def test_a_new_api_key_rolls_the_gateway_alone_and_is_the_one_that_opens(
    deployed: ClusterDeployment, assistant: Assistant
) -> None:
    before, old = _pods(deployed), deployed.outputs()["apiKey"]
    deployed.configure(secretVersions={"apiKey": 2})
    assert deployed.up().code == 0
    deployed.settled("gateway")
    after = _pods(deployed)
    assert {part for part in PARTS if after[part] != before[part]} == {"gateway"}
    renewed = Assistant.from_outputs(deployed.outputs())
    assert renewed.api_key != old
    with renewed.client() as new, assistant.client() as stale:
        assert new.post("/api/v1/answer", json={"question": ""}).status_code != 401
        assert stale.post("/api/v1/answer", json={"question": ""}).status_code == 401


def test_mends_what_somebody_removed_by_hand(deployed: ClusterDeployment) -> None:
    deployed.kubectl("delete", "networkpolicy", "default-deny")
    deployed.kubectl("delete", "deployment", "worker", "--ignore-not-found")
    assert deployed.refresh().code == 0
    run = deployed.up()
    assert run.code == 0, run.screen
    deployed.settled("worker")
    deployed.kubectl("get", "networkpolicy", "default-deny")
    wait_until(lambda: len(deployed.pods("worker")) >= 1, 30)


def _pods(deployed: ClusterDeployment) -> dict[str, set[str]]:
    return {part: deployed.names(part) for part in PARTS}
