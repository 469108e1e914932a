"""The assistant in a cloud's cluster as a whole: as restricted as in any other, and open to what it needs there alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
from assistant_rendering import VPC, on_aws
from pulumi.runtime import mocks
from pulumi_kubernetes.core.v1 import ConfigMap

from infra.kubernetes import names
from infra.kubernetes.assistant import TYPE, Assistant
from infra.kubernetes.connection import Connection
from infra.kubernetes.quantities import cores, size
from infra.targets.cluster import ClusterAssistant

PLATFORM = {"platforms": {"generic": {"url": "https://platform.example.com"}}}
OURS = {"gateway", "worker", "inference", "model"}


def containers(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from pod["spec"].get("initContainers", [])
    yield from pod["spec"]["containers"]


@pytest.mark.parametrize("config", [PLATFORM, {"inference": {"device": "cuda"}}])
async def test_every_container_is_restricted_and_bounded_those_that_deliver_and_pull_too(config: dict[str, Any]) -> None:
    pods = (await on_aws(config)).pods()
    assert set(pods) == OURS
    seen = set()
    for part, pod in pods.items():
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["serviceAccountName"] == part
        for volume in pod["spec"]["volumes"]:
            assert volume.keys() - {"name"} <= {"emptyDir", "projected", "secret", "configMap"}
            assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"]
        for container in containers(pod):
            seen.add(container["name"])
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is context["runAsNonRoot"] is True
            assert context["allowPrivilegeEscalation"] is context["privileged"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            assert context["runAsUser"] == names.USER_ID
            requests, limits = container["resources"]["requests"], container["resources"]["limits"]
            assert {"cpu", "memory", "ephemeral-storage"} <= set(requests) == set(limits)
            assert cores(requests["cpu"]) <= cores(limits["cpu"])
            assert requests["memory"] == limits["memory"]
            assert size(requests["ephemeral-storage"]) <= size(limits["ephemeral-storage"])
    assert seen == OURS | {"deliver-secrets", "pull-model"}


async def test_nothing_is_written_but_tmp_secrets_on_delivery_and_the_model_where_it_is_made_or_pulled() -> None:
    written = {
        (container["name"], mount["mountPath"])
        for pod in (await on_aws()).pods().values()
        for container in containers(pod)
        for mount in container["volumeMounts"]
        if not mount.get("readOnly") and mount["mountPath"] != "/tmp"
    }
    assert written == {
        ("deliver-secrets", names.SECRETS_DIRECTORY),
        ("pull-model", names.MODELS_DIRECTORY),
        ("model", names.MODELS_DIRECTORY),
    }


async def test_the_environment_that_all_are_given_reaches_every_process_of_ours() -> None:
    rendered = await on_aws(environment={"EMF_NAMESPACE": "Assistant/prod", "AWS_ENDPOINT_URL": "http://aws.test:5000"})
    for pod in rendered.pods().values():
        for container in containers(pod):
            found = {variable["name"]: variable["value"] for variable in container["env"]}
            assert found["EMF_NAMESPACE"] == "Assistant/prod"
            assert found["AWS_ENDPOINT_URL"] == "http://aws.test:5000"
    for pod in (await on_aws(environment={})).pods().values():
        assert "EMF_NAMESPACE" not in repr(pod)


async def test_the_pods_keep_the_annotations_that_a_scraper_looks_for() -> None:
    pods = (await on_aws()).pods()
    for part in ("gateway", "worker", "inference"):
        assert pods[part]["metadata"]["annotations"]["prometheus.io/scrape"] == "true"


async def test_what_the_job_says_of_the_model_is_read_where_there_is_a_way_to_read_it() -> None:
    def reports(rendered: Any) -> list[Any]:
        return [item for item in rendered.registered if item.type.endswith("cluster:ModelReport")]

    assert reports(await on_aws()) == []
    (report,) = reports(await on_aws(connection=Connection(context="test", kubeconfig=None)))
    assert report.inputs["context"] == "test"


async def test_inference_waits_for_what_is_made_before_it_in_the_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: dict[str, list[str]] = {}
    register = mocks.MockMonitor.RegisterResource

    def record(self: Any, request: Any) -> Any:
        waits[request.name] = [urn.rpartition("::")[2] for urn in request.dependencies]
        return register(self, request)

    def gate(namespace: pulumi.Input[str], opts: pulumi.ResourceOptions) -> pulumi.Resource:
        return ConfigMap("gate", metadata={"name": "gate", "namespace": namespace}, opts=opts)

    monkeypatch.setattr(mocks.MockMonitor, "RegisterResource", record)
    rendered = await on_aws(before_inference=gate)
    assert rendered.find("ConfigMap", "gate")["metadata"]["namespace"] == "assistant"
    assert "gate" in waits["inference"]
    assert "policy-default-deny" in waits["gate"]
    assert "gate" not in waits["model"]


async def test_the_policies_open_what_surrounds_this_cluster_and_where_its_redis_is() -> None:
    policies = {item["metadata"]["name"]: item["spec"] for item in (await on_aws()).kinds("NetworkPolicy")}
    assert set(policies) == {"default-deny", *OURS}
    vpc = {"ipBlock": {"cidr": VPC.cidr}}
    assert {"from": [vpc], "ports": [{"port": names.GATEWAY_PORT, "protocol": "TCP"}]} in policies["gateway"]["ingress"]
    assert all(rule.get("from") for rule in policies["gateway"]["ingress"])
    identity = {"to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}], "ports": [{"port": 80, "protocol": "TCP"}]}
    for part in OURS:
        assert identity in policies[part]["egress"]
    for part in ("gateway", "worker"):
        assert {"to": [vpc], "ports": [{"port": 6379, "protocol": "TCP"}]} in policies[part]["egress"]


async def test_the_component_round_it_all_has_the_type_that_users_stacks_know() -> None:
    assert TYPE == "assistant:kubernetes:Assistant"
    assert Assistant.__bases__ == ClusterAssistant.__bases__
    rendered = await on_aws()
    assert [item.name for item in rendered.registered if item.type == TYPE] == ["assistant"]
