"""What AWS and Kubernetes say of a GPU that does not come, and which cause, evidence and command a person is given for it."""

from __future__ import annotations

from typing import Any

import pytest
from gpu_documents import (
    LAUNCHED,
    NO_INSTANCES,
    NO_PLACE,
    NO_SPOT,
    NODE,
    NVML,
    POD,
    SPOT_COUNT,
    VCPUS,
    event,
    evidence,
    failed,
    job,
    node,
    plugin,
    pod,
    pool,
    refused,
    state,
    unpullable,
)

from infra.kubernetes.gpu_diagnosis import diagnose

UNPLACED = event("FailedScheduling", NO_PLACE)
BUSY = event("FailedScheduling", "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) didn't match …")
NO_FIT = "pod didn't trigger scale-up: 1 Insufficient nvidia.com/gpu, 1 node(s) didn't match Pod's node affinity/selector"
CRASH = {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container=nvidia-device-plugin"}
CONNECT = "failed to pull image: dial tcp 10.0.9.4:443: i/o timeout"

CASES: list[tuple[str, dict[str, Any], str, str, str]] = [
    # (case, what was found, cause, words of the evidence, words of what to do)
    ("vCPUs", {"activities": [failed(VCPUS)], "events": [UNPLACED]}, "quota", "vCPU limit of 0", "--quota-code L-DB2E81BA"),
    (
        "EKS says it as well, alone",
        {"issues": [{"code": "AsgInstanceLaunchFailures", "message": VCPUS, "resourceIds": ["eks-x"]}]},
        "quota",
        "AsgInstanceLaunchFailures: Could not launch",
        "request-service-quota-increase",
    ),
    (
        "a new account",
        {
            "activities": [
                failed("Could not launch On-Demand Instances. PendingVerification - Your request is being validated.")
            ]
        },
        "quota",
        "PendingVerification",
        "AWS' mail",
    ),
    (
        "no instance in the zone",
        {"activities": [failed(NO_INSTANCES)]},
        "capacity",
        "InsufficientInstanceCapacity",
        "instanceTypes",
    ),
    (
        "a quota outweighs capacity",
        {"activities": [failed(NO_INSTANCES), failed(VCPUS)]},
        "quota",
        "VcpuLimitExceeded",
        "quota",
    ),
    (
        "another refusal of EC2's",
        {"activities": [failed("Client.InternalError: Client error on launch")]},
        "launch",
        "Client error",
        "activities",
    ),
    (
        "launched, never joined",
        {
            "activities": [LAUNCHED],
            "issues": [
                {
                    "code": "NodeCreationFailure",
                    "message": "Instances failed to join the kubernetes cluster",
                    "resourceIds": ["i-0abc"],
                }
            ],
        },
        "AMI",
        "failed to join",
        "get-console-output --region eu-central-1 --instance-id i-0abc",
    ),
    ("launched, EKS still silent", {"activities": [LAUNCHED]}, "AMI", "i-0abc", "get-console-output"),
    ("a failure before the launch has passed", {"activities": [LAUNCHED, failed(VCPUS)]}, "AMI", "i-0abc", "access-entries"),
    (
        "another complaint of EKS'",
        {"issues": [{"code": "Ec2SubnetNotFound", "message": "We couldn't find one or more subnets"}]},
        "launch",
        "Ec2SubnetNotFound",
        "describe-nodegroup",
    ),
    (
        "a pool at its maximum",
        {"events": [UNPLACED, event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached")]},
        "autoscaler",
        "max node group size",
        "raise maximum (2)",
    ),
    (
        "tags that say of no GPU",
        {"events": [UNPLACED, event("NotTriggerScaleUp", NO_FIT)]},
        "autoscaler",
        "Insufficient nvidia.com/gpu",
        "node-template/resources/nvidia.com/gpu",
    ),
    (
        "a scale-up that failed",
        {"events": [event("NotTriggerScaleUp", "pod didn't trigger scale-up: 2 in backoff after failed scale-up")]},
        "capacity",
        "in backoff",
        "describe-scaling-activities",
    ),
    (
        "asked, and nothing came",
        {"events": [UNPLACED, event("TriggeredScaleUp", "pod triggered scale-up: [{eks-gpu 0->1 (max: 2)}]")]},
        "capacity",
        "0->1",
        "activities",
    ),
    ("no autoscaler", {"events": [UNPLACED]}, "autoscaler", "didn't match", "minimum 1 for pool gpu"),
    (
        "an autoscaler that does not start",
        {
            "events": [UNPLACED],
            "system_pods": [
                pod("cluster-autoscaler-5d", **state(waiting={"reason": "CrashLoopBackOff", "message": "back-off"}))
            ],
        },
        "autoscaler",
        "CrashLoopBackOff",
        "logs",
    ),
    (
        "no plugin on the node",
        {"nodes": [node(0)], "events": [UNPLACED]},
        "plugin",
        "no pod of nvidia-device-plugin-gpu",
        "describe daemonset nvidia-device-plugin-gpu",
    ),
    (
        "a plugin without a driver",
        {"nodes": [node(0)], "system_pods": [plugin(waiting=CRASH)], "plugin_log": NVML},
        "AMI",
        "could not load NVML library",
        "update-nodegroup-version",
    ),
    (
        "a plugin that ends by itself",
        {"nodes": [node(0)], "system_pods": [plugin(waiting=CRASH)], "plugin_log": "F main: unknown flag"},
        "plugin",
        "unknown flag",
        "logs",
    ),
    (
        "a plugin that cannot be pulled",
        {"nodes": [node(0)], "system_pods": [plugin(waiting={"reason": "ErrImagePull", "message": CONNECT})]},
        "plugin",
        "i/o timeout",
        "third_party_images",
    ),
    (
        "a plugin that says nothing",
        {"nodes": [node(0)], "system_pods": [plugin(running={})]},
        "plugin",
        "no nvidia.com/gpu to give",
        "logs",
    ),
    (
        "a node without its label",
        {"nodes": [node(1, labelled=False)], "events": [UNPLACED]},
        "labels",
        NODE,
        "kubectl label node",
    ),
    ("a node that is not ready", {"nodes": [node(0, ready="False")]}, "node", "NetworkPluginNotReady", "describe node"),
    (
        "a broken GPU",
        {
            "nodes": [
                node(
                    1,
                    AcceleratedHardwareReady={
                        "status": "False",
                        "reason": "NvidiaXID79Error",
                        "message": "GPU has fallen off the bus",
                    },
                )
            ]
        },
        "node",
        "fallen off the bus",
        "delete node",
    ),
    ("every GPU taken", {"nodes": [node(1)], "events": [BUSY]}, "capacity", "Insufficient nvidia.com/gpu", "free a GPU"),
    (
        "every GPU taken, no quota for another",
        {"nodes": [node(1)], "events": [BUSY], "activities": [failed(VCPUS)]},
        "quota",
        "VcpuLimitExceeded",
        "quota",
    ),
    (
        "an image that is not there",
        {"nodes": [node()], "pods": [unpullable("x: not found")]},
        "image pull",
        "not found",
        "registry",
    ),
    (
        "a start that the runtime refuses",
        {
            "pods": [
                pod(**state(waiting={"reason": "RunContainerError", "message": "nvidia-container-cli: initialization error"}))
            ]
        },
        "AMI",
        "nvidia-container-cli",
        "update-nodegroup-version",
    ),
    (
        "a slow pull",
        {"nodes": [node()], "pods": [pod()], "events": [event("Pulling", 'Pulling image "x"')]},
        "image pull",
        "Pulling",
        "again",
    ),
    (
        "a sandbox that does not come",
        {"nodes": [node()], "pods": [pod()], "events": [event("FailedCreatePodSandBox", "no IP addresses available")]},
        "node",
        "no IP addresses",
        "describe pod",
    ),
    (
        "the probe sees no device",
        {"pods": [refused(2, "no GPU is visible in this container")]},
        "device",
        "no GPU is visible",
        "update-nodegroup-version",
    ),
    (
        "the probe finds an old driver",
        {"pods": [refused(3, "CUDA failure 35: driver version is insufficient")]},
        "AMI",
        "insufficient",
        "al2023 or bottlerocket",
    ),
    (
        "the probe is no GPU image",
        {"pods": [refused(4, "this image cannot use this GPU")]},
        "image",
        "cannot use this GPU",
        "inference-gpu",
    ),
    (
        "the probe finds no memory",
        {"pods": [refused(5, "CUDA failure 2: out of memory")]},
        "memory",
        "out of memory",
        f"spec.nodeName={NODE}",
    ),
    ("the probe fails otherwise", {"pods": [refused(1, "the GPU's product is not NumPy's")]}, "probe", "NumPy's", "logs job/"),
    (
        "no pod is let in",
        {
            "pods": [],
            "events": [event("FailedCreate", 'pods "x" is forbidden: violates PodSecurity "restricted"', "gpu-gate-gpu-1")],
        },
        "job",
        "PodSecurity",
        "describe job",
    ),
    ("the Job is gone", {"job": None, "pods": []}, "job", "no Job gpu-gate-gpu-1", "pulumi refresh"),
    ("nothing is known", {"unread": ["AWS was not asked: AccessDenied"]}, "unknown", f"{POD} (Pending)", "describe job,pod"),
]


@pytest.mark.parametrize(("found", "cause", "seen", "todo"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_person_is_told_the_cause_what_was_said_and_what_to_do(
    found: dict[str, Any], cause: str, seen: str, todo: str
) -> None:
    diagnosis = diagnose(evidence(**found))
    assert diagnosis.cause == cause
    assert seen in " ".join(diagnosis.seen)
    assert todo in " ".join(diagnosis.todo)
    text = diagnosis.text("gpu")
    assert text.startswith(f"No GPU of pool gpu is proved. Cause: {cause}.")
    assert all(line in text for line in (*diagnosis.seen, *diagnosis.todo))


def test_what_an_unreadable_account_hides_is_said() -> None:
    assert "AWS was not asked: AccessDenied" in diagnose(evidence(unread=["AWS was not asked: AccessDenied"])).seen


@pytest.mark.parametrize(
    ("chosen", "said", "cause", "todo"),
    [
        (pool(capacity="spot"), SPOT_COUNT, "quota", "--quota-code L-3819A6DF"),
        (pool(capacity="spot"), NO_SPOT, "capacity", "capacity onDemand"),
        (pool(instanceTypes=["p5.48xlarge"]), VCPUS, "quota", "--quota-code L-417A185B"),
        (
            pool(instanceTypes=["p5.48xlarge"], capacity="capacityBlock", capacityReservationId="cr-0a1"),
            "Could not launch Capacity Block. ReservationCapacityExceeded",
            "capacity",
            "--capacity-reservation-ids cr-0a1",
        ),
    ],
)
def test_the_command_is_of_the_pools_own_type_and_way_of_buying(chosen: Any, said: str, cause: str, todo: str) -> None:
    found = diagnose(evidence(chosen, activities=[failed(said)]))
    assert (found.cause, todo in " ".join(found.todo)) == (cause, True)


def test_a_quota_is_asked_for_as_large_as_the_pool_may_become() -> None:
    found = diagnose(evidence(pool(instanceTypes=["g6.xlarge", "g6.2xlarge"], maximum=3), activities=[failed(VCPUS)]))
    assert "--desired-value 24" in found.todo[0]


def test_bottlerocket_has_no_plugin_of_ours_to_blame() -> None:
    assert diagnose(evidence(pool(image="bottlerocket"), nodes=[node(0)])).cause == "AMI"


def test_what_only_people_change_is_not_waited_for_and_what_may_pass_is() -> None:
    def hopeless(**found: Any) -> bool:
        return diagnose(evidence(**found)).hopeless

    assert hopeless(activities=[failed(VCPUS)])
    assert hopeless(pods=[refused(4, "x")])
    assert hopeless(pods=[refused(3, "x", name=f"p{index}") for index in range(3)])
    assert hopeless(pods=[unpullable("x: not found")])
    assert not hopeless(pods=[refused(3, "x")])
    assert not hopeless(activities=[failed(NO_INSTANCES)])
    assert not hopeless(pods=[unpullable(CONNECT)])
    assert not hopeless(nodes=[node(0)])


def test_pods_of_an_earlier_attempt_do_not_count() -> None:
    old = refused(4, "this image cannot use this GPU")
    assert diagnose(evidence(pods=[old], job=job(startTime="2026-11-24T21:00:00Z"))).cause != "image"


def test_an_old_failed_launch_does_not_matter_to_a_pod_that_has_its_node() -> None:
    found = diagnose(evidence(nodes=[node()], pods=[pod(phase="Running")], activities=[failed(VCPUS)]))
    assert found.cause == "probe"
