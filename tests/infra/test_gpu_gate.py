"""The Jobs that prove GPUs: where their pods may go, what they ask for, and when there is another one."""

from __future__ import annotations

from typing import Any

import pytest
from gpu_documents import pool

from infra.aws.gpu_nodes import labels
from infra.kubernetes.gpu_gate import GpuGate, GpuGateArgs, job_name, which_pools
from infra.kubernetes.names import INFERENCE_PORT, selector

IMAGE = f"registry.example/inference-gpu@sha256:{'a' * 64}"


async def gate(kubernetes_objects: Any, settings: Any, *pools: Any) -> dict[str, Any]:
    def make() -> None:
        args = GpuGateArgs(
            namespace="assistant",
            settings=settings,
            image=IMAGE,
            pools=pools,
            kubeconfig="{}",
            region="eu-central-1",
            profile=None,
            cluster_name="assistant-prod",
            node_groups={chosen.name: f"group-{chosen.name}" for chosen in pools},
        )
        GpuGate("gpu-gate", args)

    return dict((await kubernetes_objects.rendered(make))["Job"])


async def test_each_pool_gets_one_pod_that_only_its_own_nodes_take(kubernetes_objects, cluster_settings) -> None:
    pools = (pool(), pool(name="spare", image="bottlerocket"))
    jobs = await gate(kubernetes_objects, cluster_settings(), *pools)
    assert len(jobs) == 2
    proved = set()
    for item in jobs.values():  # in whichever order they were registered
        spec = item["spec"]["template"]["spec"]
        (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        wanted = {it["key"]: it["values"] for it in term["matchExpressions"]}
        (chosen,) = (each for each in pools if [each.name] == wanted["assistant/pool"])
        proved.add(chosen.name)
        assert {key: [value] for key, value in labels(chosen).items() if key in wanted} == wanted
        assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert item["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
    assert proved == {each.name for each in pools}


async def test_the_pod_is_one_that_pod_security_restricted_takes_and_nobody_reaches(
    kubernetes_objects, cluster_settings
) -> None:
    (item,) = (await gate(kubernetes_objects, cluster_settings(), pool())).values()
    template = item["spec"]["template"]
    spec, (container,) = template["spec"], template["spec"]["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["automountServiceAccountToken"] is False
    assert not selector("inference").items() <= template["metadata"]["labels"].items()
    assert str(INFERENCE_PORT) not in str(container.get("ports", ""))


async def test_it_runs_the_probe_as_the_image_knows_it(kubernetes_objects, cluster_settings) -> None:
    from app.inference import gpu_probe

    (item,) = (await gate(kubernetes_objects, cluster_settings(), pool())).values()
    (container,) = item["spec"]["template"]["spec"]["containers"]
    assert container["command"][:3] == ["python", "-m", gpu_probe.__name__]
    assert container["command"][3:] == ["--report", "/dev/termination-log"]
    assert container["image"] == IMAGE


@pytest.mark.parametrize(
    ("pools", "device", "proved"),
    [
        ([{"name": "a"}, {"name": "b", "minimum": 1}], "cpu", ["b"]),
        ([{"name": "a"}, {"name": "b", "minimum": 1}], "cuda", ["a", "b"]),
        ([], "cuda", []),
    ],
)
def test_pools_that_cost_or_serve_are_proved(pools: list[dict[str, Any]], device: str, proved: list[str]) -> None:
    class Stack:
        gpu_pools = tuple(pool(**each) for each in pools)
        inference = type("Inference", (), {"device": device})

    assert [each.name for each in which_pools(Stack)] == proved  # type: ignore[arg-type]


def test_other_machines_or_another_image_make_another_job_and_another_size_does_not(cluster_settings) -> None:
    settings = cluster_settings()
    name = job_name(settings, pool(), IMAGE)
    assert len(name) <= 57  # a pod's name adds six characters, of 63
    assert job_name(settings, pool(maximum=7, minimum=1), IMAGE) == name
    assert job_name(settings, pool(image="bottlerocket"), IMAGE) != name
    assert job_name(settings, pool(instanceTypes=["g5.xlarge"]), IMAGE) != name
    assert job_name(settings, pool(), f"{IMAGE[:-1]}b") != name
