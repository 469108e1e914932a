"""NVIDIA's device plugin: one owner a machine image, and each pool shares its GPUs as its settings say."""

from __future__ import annotations

import json
from typing import Any

from infra.aws.gpu_nodes import labels, user_data
from infra.aws_settings import GpuPool
from infra.kubernetes.device_plugin import DevicePlugin, DevicePluginArgs, configuration, served


def pool(name: str, **settings: Any) -> GpuPool:
    return GpuPool.model_validate({"name": name, "instanceTypes": ["g6.xlarge"], **settings})


async def test_a_plugin_runs_exactly_on_the_al2023_nodes_of_each_pool(kubernetes_objects):
    pools = [pool("one"), pool("two", image="bottlerocket"), pool("three")]
    objects = await kubernetes_objects.rendered(lambda: DevicePlugin("plugin", DevicePluginArgs(pools=pools)))
    assert set(objects["DaemonSet"]) == {"nvidia-device-plugin-one", "nvidia-device-plugin-three"}
    for each in pools:
        # What schedules the DaemonSet's pods: every label of its selector is on the node.
        on_it = [
            name
            for name, item in objects["DaemonSet"].items()
            if item["spec"]["template"]["spec"]["nodeSelector"].items() <= labels(each).items()
        ]
        assert len(on_it) == (1 if each.image == "al2023" else 0), each.name


def test_every_machine_image_has_exactly_one_owner_of_time_slicing():
    for image in ("al2023", "bottlerocket"):
        sharing = pool("one", image=image, timeSlices=4)
        assert bool(served([sharing])) != (user_data(sharing) is not None)


def test_shared_gpus_keep_their_resource_name():
    assert "sharing" not in configuration(pool("one"))
    (resource,) = configuration(pool("one", timeSlices=4))["sharing"]["timeSlicing"]["resources"]
    assert resource == {"name": "nvidia.com/gpu", "replicas": 4}
    assert configuration(pool("one", timeSlices=4))["sharing"]["timeSlicing"]["renameByDefault"] is False


async def test_it_reads_its_own_pools_configuration_and_is_replaced_when_that_changes(kubernetes_objects):
    def rendered(slices: int) -> Any:
        args = DevicePluginArgs(pools=[pool("one", timeSlices=slices)])
        return kubernetes_objects.rendered(lambda: DevicePlugin("plugin", args))

    first = await rendered(1)
    (item,) = first["DaemonSet"].values()
    pod = item["spec"]["template"]["spec"]
    (volume,) = [it for it in pod["volumes"] if it["name"] == "configuration"]
    data = first["ConfigMap"][volume["configMap"]["name"]]["data"]
    assert json.loads(data["config.json"]) == configuration(pool("one"))
    assert pod["containers"][0]["env"] == [{"name": "CONFIG_FILE", "value": "/etc/nvidia-device-plugin/config.json"}]
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    before = item["spec"]["template"]["metadata"]["annotations"]
    (other,) = (await rendered(2))["DaemonSet"].values()
    assert other["spec"]["template"]["metadata"]["annotations"] != before


async def test_without_such_pools_there_is_nothing(kubernetes_objects):
    args = DevicePluginArgs(pools=[pool("two", image="bottlerocket")])
    assert await kubernetes_objects.rendered(lambda: DevicePlugin("plugin", args)) == {}
