"""Waits for the Job that proves a pool's GPU, tells how it goes, and on failure says what is in the way and what to do.

A Job that nobody awaits any more is held back (``spec.suspend``), so that no node is bought for it; the next ``up`` lets it
go on.
:mod:`infra.dynamic` says why this module cannot be renamed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from infra.aws_settings import GpuPool
from infra.dynamic import DynamicProvider, Props, changed_inputs, inputs_of, update_or_replace
from infra.errors import DeploymentError
from infra.kubernetes.gpu_causes import Diagnosis
from infra.kubernetes.gpu_diagnosis import diagnose
from infra.kubernetes.gpu_evidence import Document, Evidence, gpus_of, is_complete, is_failed, is_ready, waiting
from infra.kubernetes.kubectl import Kubectl, KubectlError, kubectl
from infra.kubernetes.names import GPU_RESOURCE, selector

EVERY_SECONDS = 10
AWS_EVERY_SECONDS = 60
TELL_EVERY_SECONDS = 60
HOPELESS_SECONDS = 120  # the same answer for so long is one: quotas are raised by people, not by waiting
SILENT_LOOKS = 12  # of a cluster that answered before
RECENT = timedelta(hours=1)  # of Auto Scaling's activities: what an older one says may have passed
ANOTHER_PROOF = frozenset({"namespace", "job"})


class GpuProofProvider(DynamicProvider):
    """Inputs: ``namespace``, ``job``, ``pool`` (as in ``assistant:gpuPools``), ``kubeconfig`` (its text), ``region``,
    ``profile``, ``clusterName``, ``nodeGroup``, ``seconds``. Output besides: ``found``, what the probe said."""

    def create(self, props: Props) -> CreateResult:
        return CreateResult(f"{props['namespace']}/{props['job']}", {**inputs_of(props), "found": prove(props)})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        news = {name: value for name, value in inputs_of(news).items() if name != "found"}
        return update_or_replace(changed_inputs(olds, news), replaced_by=frozenset())

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Another way to the cluster, or another size of the pool, proves nothing anew."""
        again = ANOTHER_PROOF.intersection(changed_inputs(olds, inputs_of(news)))
        return UpdateResult({**inputs_of(news), "found": prove(news) if again else olds.get("found")})


def prove(props: Props) -> dict[str, Any]:
    """Raises :class:`DeploymentError` with the diagnosis."""
    pool, seconds = GpuPool.model_validate(props["pool"]), float(props["seconds"])
    namespace, job = props["namespace"], props["job"]
    with kubectl(props["kubeconfig"]) as cluster:
        hold(cluster, namespace, job, held=False)
        proved = False
        try:
            found = wait(Looking(cluster=cluster, props=props, pool=pool).look, seconds)
            proved = "by" not in found
            return found
        finally:
            if not proved:
                hold(cluster, namespace, job, held=True)


def hold(cluster: Kubectl, namespace: str, job: str, *, held: bool) -> None:
    """Hold the Job back, or let it go on. Of a Job that has ended or is gone, nothing is asked."""
    try:
        there = cluster.get("job", job, "--namespace", namespace)
        if there and not is_complete(there) and not is_failed(there) and bool(there["spec"].get("suspend")) != held:
            patch = json.dumps({"spec": {"suspend": held}})
            cluster.run("patch", "job", job, "--namespace", namespace, "--type=merge", f"--patch={patch}")
    except KubectlError as error:
        say(f"The Job {job} could not be {'held back' if held else 'let go on'}: {error}")


def wait(
    look: Callable[[], Evidence],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """What the probe found. ``look`` may fail for a while, but not at first."""
    begun, told, silent = clock(), float(-TELL_EVERY_SECONDS), SILENT_LOOKS
    since: tuple[str, float] | None = None  # the hopeless cause, and when it was first seen
    previous = ""
    while True:
        passed = clock() - begun
        try:
            evidence, silent = look(), 0
        except KubectlError as error:
            silent += 1
            if silent > SILENT_LOOKS or passed > seconds:
                raise DeploymentError(f"The GPU gate cannot look into the cluster: {error}") from None
            sleep(EVERY_SECONDS)
            continue
        if evidence.job and is_complete(evidence.job):
            return report(evidence.pods)
        last = diagnose(evidence)
        if passed > HOPELESS_SECONDS and (server := standing_in(evidence)):
            say(f"Pool {evidence.pool.name}: every GPU is at work, and {server} computes on one: that is proof enough.")
            return {"by": server}
        if not last.hopeless:
            since = None
        elif since is None or since[0] != last.cause:
            since = (last.cause, clock())
        if (evidence.job and is_failed(evidence.job)) or passed > seconds or (since and clock() - since[1] >= HOPELESS_SECONDS):
            raise DeploymentError(_failure(evidence, last, passed))
        if last.summary != previous or passed - told >= TELL_EVERY_SECONDS:
            say(progress(evidence, last, passed))
            previous, told = last.summary, passed
        sleep(EVERY_SECONDS)


def progress(evidence: Evidence, now: Diagnosis, passed: float) -> str:
    """While there is hope, in few words."""
    states = [(pod.get("status") or {}).get("phase") for pod in evidence.tried]
    nodes, gpus = len(evidence.pool_nodes), sum(map(gpus_of, evidence.pool_nodes))
    where = f"{nodes} nodes, {gpus} GPUs, pod {states[0] if states else 'not made'}"
    return f"GPU gate, pool {evidence.pool.name}, {int(passed)} s: {where}. {now.summary}"


def standing_in(evidence: Evidence) -> str | None:
    """A pod of inference that computes on a GPU of the pool, where no GPU is left for the probe: an update of a full pool."""
    nodes = {str(node["metadata"]["name"]) for node in evidence.pool_nodes if gpus_of(node)}
    if not evidence.said("FailedScheduling") or any((pod.get("spec") or {}).get("nodeName") for pod in evidence.tried):
        return None
    for pod in evidence.serving:
        containers = pod["spec"].get("containers", [])
        has_gpu = any(((it.get("resources") or {}).get("limits") or {}).get(GPU_RESOURCE) for it in containers)
        if has_gpu and is_ready(pod) and pod["spec"].get("nodeName") in nodes:
            return str(pod["metadata"]["name"])
    return None


def report(pods: Sequence[Document]) -> dict[str, Any]:
    """What the probe that succeeded said; empty where its pod is gone."""
    for pod in pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            ended = (status.get("state") or {}).get("terminated") or {}
            if ended.get("exitCode") == 0:
                try:
                    return {"node": pod["spec"].get("nodeName"), **json.loads(ended.get("message", ""))}
                except (ValueError, TypeError):
                    continue
    return {}


@dataclass(kw_only=True)
class Looking:
    """Gathers evidence; AWS is asked less often than the cluster, and what it refuses to say is no failure."""

    cluster: Kubectl
    props: Mapping[str, Any]
    pool: GpuPool
    _asked: float = field(default=-AWS_EVERY_SECONDS)
    _answer: dict[str, Any] = field(default_factory=dict)

    def look(self) -> Evidence:
        cluster, props = self.cluster, self.props
        inside = ("--namespace", props["namespace"])
        job = cluster.get("job", props["job"], *inside)
        system = cluster.items("pods", "--namespace", "kube-system")
        return Evidence(
            pool=self.pool,
            region=props["region"],
            cluster_name=props["clusterName"],
            node_group=props["nodeGroup"],
            namespace=props["namespace"],
            job_name=props["job"],
            job=job or None,
            pods=cluster.items("pods", *inside, "--selector", f"job-name={props['job']}"),
            serving=cluster.items(
                "pods", *inside, "--selector", ",".join(f"{k}={v}" for k, v in selector("inference").items())
            ),
            events=cluster.items("events", *inside),
            nodes=cluster.items("nodes"),
            system_pods=system,
            plugin_log=self._plugin_log(system),
            **self._aws(),
        )

    def _plugin_log(self, system: Sequence[Document]) -> str:
        """Of a plugin of the pool that restarts: what it said before it ended."""
        for pod in system:
            labels = pod["metadata"].get("labels", {})
            if labels.get("app.kubernetes.io/instance") == self.pool.name and waiting([pod]):
                try:
                    name = pod["metadata"]["name"]
                    return self.cluster.run("logs", name, "--namespace", "kube-system", "--previous", "--tail=40")
                except KubectlError:
                    continue
        return ""

    def _aws(self) -> dict[str, Any]:
        if time.monotonic() - self._asked >= AWS_EVERY_SECONDS:
            self._asked = time.monotonic()
            self._answer = aws_facts(self.props, datetime.now(UTC) - RECENT)
        return self._answer


def aws_facts(props: Mapping[str, Any], after: datetime) -> dict[str, Any]:
    """``issues`` and ``activities`` of :class:`Evidence`, or ``unread``: why they are not known."""
    from botocore.exceptions import BotoCoreError, ClientError

    from infra.aws.session import client, session

    try:
        opened = session(props["region"], props.get("profile"))
        asked = {"clusterName": props["clusterName"], "nodegroupName": props["nodeGroup"]}
        group = client(opened, "eks").describe_nodegroup(**asked)["nodegroup"]
        scaling = client(opened, "autoscaling")
        activities = [
            activity
            for it in (group.get("resources") or {}).get("autoScalingGroups") or []
            for activity in scaling.describe_scaling_activities(AutoScalingGroupName=it["name"], MaxRecords=20)["Activities"]
            if activity.get("StartTime", after) >= after
        ]
    except (BotoCoreError, ClientError) as error:
        return {"unread": (f"AWS was not asked: {error}",)}
    return {"issues": tuple((group.get("health") or {}).get("issues") or ()), "activities": tuple(activities)}


def say(line: str) -> None:
    print(line, flush=True)  # the engine shows a provider's output as it comes


def _failure(evidence: Evidence, found: Diagnosis, passed: float) -> str:
    lines = [found.text(evidence.pool.name), f"    waited {int(passed)} s; the next `up` tries again"]
    if evidence.job and is_failed(evidence.job):
        delete = f"kubectl -n {evidence.namespace} delete job {evidence.job_name}, then pulumi refresh"
        lines.append(f"    the Job has used up its tries; before that: {delete}")
    return "\n".join(lines)


class GpuProof(Resource, module="cluster", name="GpuProof"):
    """``found``: driver, CUDA and GPUs as the probe saw them; ``by`` names the pod that stood in for it."""

    def __init__(
        self,
        name: str,
        *,
        namespace: pulumi.Input[str],
        job: pulumi.Input[str],
        pool: GpuPool,
        kubeconfig: pulumi.Input[str],
        region: pulumi.Input[str],
        profile: str | None,
        cluster_name: pulumi.Input[str],
        node_group: pulumi.Input[str],
        seconds: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {
            "namespace": namespace,
            "job": job,
            "pool": pool.model_dump(by_alias=True, mode="json", exclude_none=True),
            "kubeconfig": kubeconfig,
            "region": region,
            "profile": profile,
            "clusterName": cluster_name,
            "nodeGroup": node_group,
            "seconds": seconds,
            "found": None,
        }
        super().__init__(GpuProofProvider(), name, properties, opts)

    @property
    def found(self) -> pulumi.Output[Mapping[str, Any]]:
        return cast("pulumi.Output[Mapping[str, Any]]", self.__dict__["found"])
