"""Why no node came to a pool of GPUs: what EC2 said to Auto Scaling, what EKS says of its group, what the autoscaler decided.

The sentences are those that AWS and Cluster Autoscaler write (``Could not launch On-Demand Instances. VcpuLimitExceeded - …``;
``pod didn't trigger scale-up: …``); what none of the tables knows is passed on as it came.
"""

from __future__ import annotations

from infra.instance_types import GPU_INSTANCES
from infra.kubernetes.gpu_causes import Cause, Diagnosis, activities, autoscaler_log, held
from infra.kubernetes.gpu_evidence import Evidence, waiting

# Each cause with words of its sentences; the first line of the table that fits any sentence counts: a quota of 0 stays one,
# while capacity comes and goes.
LAUNCHES: tuple[tuple[Cause, tuple[str, ...]], ...] = (
    (
        "quota",
        ("VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "Max spot instance count exceeded", "InstanceLimitExceeded",
         "Fleet Requests", "not eligible for Free Tier", "PendingVerification", "is being validated"),
    ),
    (
        "capacity",
        ("InsufficientInstanceCapacity", "UnfulfillableCapacity", "InsufficientCapacity", "SpotMaxPriceTooLow",
         "not supported in your requested Availability Zone", "InsufficientReservedInstanceCapacity",
         "ReservationCapacityExceeded", "capacity block", "Capacity Block"),
    ),
)  # fmt: skip
OF_THE_ACCOUNT = ("not eligible for Free Tier", "PendingVerification", "is being validated")


def no_launch(it: Evidence) -> Diagnosis | None:
    """What EC2 answered, where a launch failed."""
    lines = it.failed_launches
    for cause, words in LAUNCHES:
        for line in lines:
            if any(word in line for word in words):
                return _quota(it, line) if cause == "quota" else _capacity(it, line)
    if not lines:
        return None
    return Diagnosis("launch", "EC2 launches no instance for the pool.", (lines[0],), (activities(it),))


def never_joined(it: Evidence) -> Diagnosis | None:
    """An instance is there, its node is not; or EKS has another complaint about the group."""
    issues = [f"{issue.get('code')}: {issue.get('message')}" for issue in it.issues]
    if it.pool_nodes or not (issues or it.launched):
        return None
    if issues and not any(line.startswith("NodeCreationFailure") for line in issues):
        return Diagnosis("launch", "EKS reports that the node group is not healthy.", tuple(issues), (activities(it),))
    instances = [str(found) for issue in it.issues for found in issue.get("resourceIds") or []]
    example = next((found for found in instances if found.startswith("i-")), "<the instance>")
    return Diagnosis(
        "AMI",
        "An instance was launched, and never became a node: its machine image did not start up, or reached no API server.",
        (*issues, *it.launched[:1]),
        (
            f"aws ec2 get-console-output --region {it.region} --instance-id {example} --latest --output text",
            "see that its subnets reach the API server, ECR, EC2 and S3, and that its role has an access entry "
            f"(aws eks list-access-entries --cluster-name {it.cluster_name} --region {it.region})",
        ),
    )


def autoscaler(it: Evidence) -> Diagnosis | None:
    """Of a pod for which no node came, though no launch failed."""
    if not it.tried:
        return None
    said, asked, unplaced = it.said("NotTriggerScaleUp"), it.said("TriggeredScaleUp"), it.said("FailedScheduling")
    words = " ".join(said)
    if "max node group size reached" in words or "max limit reached" in words:
        raising = f"raise maximum ({it.pool.maximum}) of pool {it.pool.name} in assistant:gpuPools, or free a GPU"
        return Diagnosis("autoscaler", "The pool is as large as it may become.", tuple(said[:1]), (raising,))
    if "in backoff after failed scale-up" in words:
        summary = "The autoscaler asked for a node, got none in time, and waits before it asks again."
        return Diagnosis("capacity", summary, tuple(said[:1]), (activities(it), autoscaler_log()))
    if asked:
        summary = "The autoscaler asked for a node, and none has come."
        return Diagnosis("capacity", summary, tuple(asked[:1]), (activities(it), autoscaler_log()))
    if said:
        return Diagnosis(
            "autoscaler",
            "The autoscaler believes that a node of the pool would not take the pod.",
            tuple(said[:1]),
            (
                "see that the pool's Auto Scaling group has its tags k8s.io/cluster-autoscaler/node-template/resources/"
                "nvidia.com/gpu, …/label/… and …/taint/… (pulumi refresh, then pulumi up, puts them back)",
                autoscaler_log(),
            ),
        )
    if it.pool_nodes or not unplaced:
        return None
    running = [pod for pod in it.system_pods if "cluster-autoscaler" in pod["metadata"]["name"]]
    return Diagnosis(
        "autoscaler",
        "The autoscaler does not react to the pod." if running else "No autoscaler runs in kube-system.",
        (*unplaced[:1], *held(waiting(running))),
        (autoscaler_log(), f"or keep a node: minimum 1 for pool {it.pool.name} in assistant:gpuPools"),
    )


def _quota(it: Evidence, said: str) -> Diagnosis:
    if any(words in said for words in OF_THE_ACCOUNT):
        summary = "The account may not launch such instances yet: it is new, on the free plan, or being verified."
        return Diagnosis(
            "quota", summary, (said,), ("upgrade the account, or wait for AWS' mail, then run the same again",), True
        )
    kinds = [GPU_INSTANCES[name] for name in it.pool.instance_types]
    code = kinds[0].spot_quota if it.pool.capacity == "spot" else kinds[0].quota
    wanted = max(kind.vcpus for kind in kinds) * it.pool.maximum
    how = "spot" if it.pool.capacity == "spot" else "on demand"
    return Diagnosis(
        "quota",
        f"The account's quota does not allow these vCPUs ({how}).",
        (said,),
        (
            f"aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {code} "
            f"--desired-value {wanted} --region {it.region}   (a person at AWS decides; hours to days)",
            f"until then: a smaller type for pool {it.pool.name} in assistant:gpuPools, or assistant:inference.device cpu",
        ),
        hopeless=True,
    )


def _capacity(it: Evidence, said: str) -> Diagnosis:
    kinds = ", ".join(it.pool.instance_types)
    if it.pool.capacity == "capacityBlock":
        what = (
            "see when the block begins and ends: aws ec2 describe-capacity-reservations "
            f"--capacity-reservation-ids {it.pool.capacity_reservation_id} --region {it.region}"
        )
        return Diagnosis("capacity", "The capacity block gives no instance now.", (said,), (what,))
    other = "onDemand" if it.pool.capacity == "spot" else "capacityBlock with a reservation"
    return Diagnosis(
        "capacity",
        f"AWS has no such instance to give now, in the zones of the stack ({kinds}).",
        (said,),
        (
            f"give pool {it.pool.name} more instanceTypes in assistant:gpuPools, or capacity {other}; or try again later",
            "which zones have the type at all: aws ec2 describe-instance-type-offerings --location-type availability-zone "
            f"--filters Name=instance-type,Values={it.pool.instance_types[0]} --region {it.region}",
        ),
    )
