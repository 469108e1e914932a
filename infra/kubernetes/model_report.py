"""Which model the Job made: its name and digest, from the termination message of the Job's pod."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from infra.dynamic import DynamicProvider, Props, changed_inputs, inputs_of, update_or_replace
from infra.errors import DeploymentError
from infra.kubernetes.connection import Connection
from infra.kubernetes.images import cluster_at, say

# Our names for what app.models reports.
RESULTS = {"modelName": "name", "modelDigest": "digest"}


class ModelReportProvider(DynamicProvider):
    """Inputs: ``namespace``, ``job``, ``context``, ``kubeconfig``. Outputs besides: ``modelName``, ``modelDigest``.

    A pod that is gone takes its report with it; what was known of the same Job then stays.
    """

    def create(self, props: Props) -> CreateResult:
        return CreateResult(f"{props['namespace']}/{props['job']}", _outputs(props, {}))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = changed_inputs(olds, news)
        if any(olds.get(name) is None for name in RESULTS):
            changed.append("modelDigest")
        return update_or_replace(changed, replaced_by=frozenset())

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(_outputs(news, olds))


def _outputs(props: Props, olds: Props) -> Props:
    from tools.kubernetes.errors import ClusterError

    try:
        cluster = cluster_at(props["context"], props.get("kubeconfig"))
        pods = cluster.get("pods", "--namespace", props["namespace"], "--selector", f"job-name={props['job']}")
    except ClusterError as error:
        raise DeploymentError(str(error)) from error
    found = report(pods)
    if not found and olds.get("job") == props["job"]:
        found = {name: olds.get(name) for name in RESULTS}
    if not found:
        say(f"The pod of Job {props['job']} is gone, and with it what it said of the model.")
    return {**inputs_of(props), **dict.fromkeys(RESULTS), **found}


def report(pods: Mapping[str, Any]) -> dict[str, Any]:
    """What the pod that succeeded said of the model, in our names; empty where none did. Pure."""
    for pod in pods.get("items", []):
        for status in pod.get("status", {}).get("containerStatuses", []):
            ended = status.get("state", {}).get("terminated") or {}
            if ended.get("exitCode") != 0:
                continue
            try:
                said = json.loads(ended.get("message", "").strip().splitlines()[-1])
                return {ours: said[theirs] for ours, theirs in RESULTS.items()}
            except (IndexError, ValueError, KeyError, TypeError):
                continue
    return {}


class ModelReport(Resource, module="cluster", name="ModelReport"):
    """``model_name`` and ``model_digest`` of the model that a finished Job made."""

    def __init__(
        self,
        name: str,
        *,
        namespace: pulumi.Input[str],
        job: pulumi.Input[str],
        connection: Connection,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {
            "namespace": namespace,
            "job": job,
            "context": connection.context,
            "kubeconfig": connection.kubeconfig,
            **dict.fromkeys(RESULTS),
        }
        super().__init__(ModelReportProvider(), name, properties, opts)

    @property
    def model_name(self) -> pulumi.Output[str]:
        return cast("pulumi.Output[str]", self.__dict__["modelName"])

    @property
    def model_digest(self) -> pulumi.Output[str]:
        return cast("pulumi.Output[str]", self.__dict__["modelDigest"])
