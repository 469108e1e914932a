"""A model that is published to a bucket and pulled by each pod, against one on a shared volume."""

from __future__ import annotations

from typing import Any

import pytest
from assistant_rendering import BUCKET, REGION, on_aws
from rendering import environment, registered, settings_of

from infra.kubernetes import names
from infra.kubernetes.model import recipe
from infra.kubernetes.model_store import BucketStore
from infra.kubernetes.quantities import plus, size

GPU = {"inference": {"device": "cuda"}}
SIZE = {"storage": {"modelSize": "40Gi"}}


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"])}


async def job_name(config: dict[str, Any] | None = None, **changes: Any) -> str:
    (job,) = (await on_aws(config, **changes)).kinds("Job")
    return str(job["metadata"]["name"])


async def test_the_job_publishes_what_it_made_and_claims_no_volume() -> None:
    rendered = await on_aws()
    container = containers(rendered.pods()["model"])["model"]
    command = container["command"]
    assert command[:3] == ["python", "-m", "app.models"]
    assert command[-2:] == ["--publish", BUCKET]
    assert command[command.index("--store") + 1] == names.MODELS_DIRECTORY
    assert {"name": "AWS_REGION", "value": REGION} in container["env"]
    assert not rendered.kinds("PersistentVolumeClaim")
    (mount,) = (mount for mount in container["volumeMounts"] if mount["mountPath"] == names.MODELS_DIRECTORY)
    assert not mount.get("readOnly")


async def test_a_pod_pulls_the_recipes_model_before_it_serves_it_and_cannot_change_it() -> None:
    rendered = await on_aws()
    key = recipe(rendered.settings).key
    pod = rendered.pods()["inference"]
    pulling = containers(pod)["pull-model"]
    assert pulling["command"] == [
        *("python", "-m", "app.models.pull", BUCKET, key),
        *("--into", names.MODELS_DIRECTORY, "--seconds", "1800"),
    ]
    assert {"name": "AWS_REGION", "value": REGION} in pulling["env"]
    assert environment(pod)["MODEL_PATH"] == f"{names.MODELS_DIRECTORY}/.recipes/{key}"
    read_only = {
        name: mount.get("readOnly", False)
        for name, container in containers(pod).items()
        for mount in container["volumeMounts"]
        if mount["mountPath"] == names.MODELS_DIRECTORY
    }
    assert read_only == {"pull-model": False, "inference": True}
    assert "verify-model" not in containers(pod)


async def test_what_a_pod_may_leave_on_its_nodes_disk_holds_the_model() -> None:
    pods = (await on_aws(SIZE)).pods()
    for part, names_ in {"model": ("model",), "inference": ("pull-model", "inference")}.items():
        (volume,) = (volume for volume in pods[part]["spec"]["volumes"] if volume["name"] == "models")
        assert volume["emptyDir"] == {"sizeLimit": "40Gi"}
        for name in names_:
            resources = containers(pods[part])[name]["resources"]
            assert (
                size("40Gi") < size(resources["requests"]["ephemeral-storage"]) < size(resources["limits"]["ephemeral-storage"])
            )
    assert size(containers(pods["gateway"])["gateway"]["resources"]["limits"]["ephemeral-storage"]) < size("1Gi")


async def test_pods_with_a_copy_of_their_own_stand_apart_and_leave_one_by_one() -> None:
    rendered = await on_aws()
    spec = rendered.pods()["inference"]["spec"]
    assert "affinity" not in spec
    keys = [item["topologyKey"] for item in spec["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert names.MODEL_VOLUME_LABEL not in rendered.pods()["inference"]["metadata"]["labels"]
    assert rendered.find("PodDisruptionBudget", "inference")["spec"]["maxUnavailable"] == 1


async def test_the_job_needs_no_gpus_node_since_no_volume_ties_it_to_one() -> None:
    pods = (await on_aws(GPU)).pods()
    assert "nvidia" not in repr(pods["model"])
    assert pods["inference"]["spec"]["tolerations"][0]["key"] == names.GPU_TAINT_KEY
    on_a_volume = (await registered(settings_of(GPU))).pods()
    assert "nvidia" in repr(on_a_volume["model"])


async def test_whatever_changes_the_job_is_in_its_name() -> None:
    usual = await job_name()
    assert usual == await job_name()
    assert usual != await job_name(SIZE)
    assert usual != await job_name(environment={"EMF_NAMESPACE": "Assistant/other"})
    elsewhere = BucketStore(url="s3://other/models", region=REGION, size="10Gi")
    assert usual != await job_name(models=elsewhere)


@pytest.mark.parametrize(
    ("one", "other", "total"),
    [
        ("256Mi", "10Gi", "10496Mi"),
        ("2Gi", "10Gi", "12Gi"),
        ("512Mi", "512Mi", "1Gi"),
        ("128Mi", "10G", "9896697Ki"),
        ("128Mi", "10M", "144217728"),
        ("512Gi", "512Gi", "1Ti"),
        ("128Mi", "1.5Gi", "1664Mi"),
    ],
)
def test_sizes_are_added_and_written_as_the_api_server_writes_them(one: str, other: str, total: str) -> None:
    assert plus(one, other) == total
    assert size(total) == size(one) + size(other)
