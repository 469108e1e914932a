"""Documents as kubectl and boto3 give them, of a proof on a pool of GPUs; the sentences are AWS' and Kubernetes' own."""

from __future__ import annotations

import json
from typing import Any

from infra.aws_settings import GpuPool
from infra.kubernetes.gpu_evidence import Evidence

JOB, POD, NODE = "gpu-gate-gpu-1", "gpu-gate-gpu-1-abcde", "ip-10-0-1-7.eu-central-1.compute.internal"
VCPUS = (
    "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU "
    "limit of 0 allows for the instance bucket that the specified instance type belongs to. Please visit "
    "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit. Launching EC2 instance failed."
)
NO_INSTANCES = (
    "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient g6.xlarge "
    "capacity in the Availability Zone you requested (eu-central-1b). Launching EC2 instance failed."
)
NO_SPOT = (
    "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request configuration. "
    "Please adjust your request and try again. Launching EC2 instance failed."
)
SPOT_COUNT = "Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded. Launching EC2 instance failed."  # noqa: E501
NO_PLACE = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available."
NVML = (
    "I1126 factory.go:107] Detected non-NVML platform: could not load NVML library: libnvidia-ml.so.1: cannot open shared "
    "object file: No such file or directory\nE1126 factory.go:115] Incompatible platform detected\n"
    "E1126 factory.go:116] If this is a GPU node, did you configure the NVIDIA Container Toolkit?"
)


def pool(**settings: Any) -> GpuPool:
    return GpuPool.model_validate({"name": "gpu", "instanceTypes": ["g6.xlarge"], **settings})


def job(*conditions: str, **status: Any) -> dict[str, Any]:
    found = [{"type": kind, "status": "True"} for kind in conditions]
    return {
        "metadata": {"name": JOB},
        "spec": {},
        "status": {"startTime": "2026-11-24T20:00:00Z", "conditions": found, **status},
    }


def pod(name: str = POD, *, node: str | None = NODE, at: str = "2026-11-24T20:00:01Z", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": at},
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": "Pending", **status},
    }


def state(**container: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "probe", "state": container}]}


def refused(code: int, said: str, name: str = POD) -> dict[str, Any]:
    message = json.dumps({"error": said, "cause": "x", "status": code})
    ended = state(terminated={"exitCode": code, "reason": "Error", "message": message})
    return pod(name, phase="Failed", **ended)


def unpullable(message: str) -> dict[str, Any]:
    return pod(**state(waiting={"reason": "ImagePullBackOff", "message": message}))


def event(reason: str, message: str, about: str = POD) -> dict[str, Any]:
    return {
        "reason": reason,
        "message": message,
        "involvedObject": {"kind": "Pod", "name": about},
        "lastTimestamp": "2026-11-24T20:01:00Z",
    }


def node(gpus: int = 1, *, labelled: bool = True, ready: str = "True", **conditions: dict[str, str]) -> dict[str, Any]:
    labels = {"assistant/pool": "gpu", **({"nvidia.com/gpu.present": "true"} if labelled else {})}
    said = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady"
    told = [{"type": "Ready", "status": ready, "message": said}, *({"type": k, **v} for k, v in conditions.items())]
    offered = {"cpu": "4", **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    return {"metadata": {"name": NODE, "labels": labels}, "status": {"allocatable": offered, "conditions": told}}


def plugin(**container: Any) -> dict[str, Any]:
    found = pod("nvidia-device-plugin-gpu-x7x7x", **state(**container))
    found["metadata"]["labels"] = {"app.kubernetes.io/instance": "gpu"}
    return found


def failed(message: str) -> dict[str, Any]:
    return {"StatusCode": "Failed", "StatusMessage": message, "Description": "Launching a new EC2 instance.  Status Reason: …"}


LAUNCHED = {"StatusCode": "Successful", "Description": "Launching a new EC2 instance: i-0abc"}


def evidence(chosen: GpuPool | None = None, **found: Any) -> Evidence:
    given: dict[str, Any] = {"job": job(), "pods": [pod(node=None)], **found}
    return Evidence(
        pool=chosen or pool(),
        region="eu-central-1",
        cluster_name="assistant-prod",
        node_group="assistant-prod-gpu-gpu",
        namespace="assistant",
        job_name=JOB,
        **given,
    )
