"""What a diagnosis says: the cause, the sentences that were seen, and the commands and settings that change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infra.kubernetes.gpu_evidence import Evidence

Cause = Literal[
    "quota",
    "capacity",
    "AMI",
    "plugin",
    "device",
    "image",
    "image pull",
    "memory",
    "labels",
    "node",
    "launch",
    "autoscaler",
    "job",
    "probe",
    "unknown",
]


@dataclass(frozen=True)
class Diagnosis:
    """``seen``: sentences of AWS, Kubernetes or the probe. ``todo``: commands and settings.
    ``hopeless``: waiting changes nothing."""

    cause: Cause
    summary: str
    seen: tuple[str, ...] = ()
    todo: tuple[str, ...] = ()
    hopeless: bool = False

    def text(self, pool: str) -> str:
        lines = [f"No GPU of pool {pool} is proved. Cause: {self.cause}. {self.summary}"]
        lines += [f"    seen: {line}" for line in self.seen]
        lines += [f"    do:   {line}" for line in self.todo]
        return "\n".join(lines)


def sign_in(it: Evidence) -> str:
    """What a person types once, so that ``kubectl`` reaches the cluster."""
    return f"aws eks update-kubeconfig --name {it.cluster_name} --region {it.region}"


def new_machine_image(it: Evidence) -> tuple[str, ...]:
    """A newer release of the same machine image, or the other one."""
    return (
        f"aws eks update-nodegroup-version --cluster-name {it.cluster_name} --nodegroup-name {it.node_group} "
        f"--region {it.region}",
        f"or give pool {it.pool.name} the other image in assistant:gpuPools (al2023 or bottlerocket; it has {it.pool.image})",
    )


def another_node(instance: str) -> str:
    return f"kubectl delete node {instance} (and terminate its instance: the group then launches another)"


def activities(it: Evidence) -> str:
    """What shows why launches fail: EKS' own health report is often empty while they do."""
    return (
        f"aws eks describe-nodegroup --cluster-name {it.cluster_name} --nodegroup-name {it.node_group} --region {it.region} "
        "--query nodegroup.resources.autoScalingGroups[].name, then aws autoscaling describe-scaling-activities "
        f"--region {it.region} --auto-scaling-group-name <that name>"
    )


def autoscaler_log() -> str:
    return "kubectl -n kube-system get pods | grep cluster-autoscaler, then kubectl -n kube-system logs <that pod> --tail=200"


def held(states: list[tuple[str, str]]) -> list[str]:
    """Reasons and messages of containers that wait, as sentences."""
    return [f"{reason}: {message}" if message else reason for reason, message in states]
