"""Nodes: hardened, encrypted, without a public address, scaled by the autoscaler, and known to it before they are there."""

from __future__ import annotations

import base64
import json
import tomllib
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from aws_rendering import Rendered, aws_settings, render_component

from infra.aws.context import AwsContext
from infra.aws.gpu_nodes import GpuNodePool, GpuNodePoolArgs, labels, node_pool, template_tags, user_data
from infra.aws.node_pools import Launch, SystemPool, SystemPoolArgs, architecture_of
from infra.aws_settings import GpuPool
from infra.errors import DeploymentError
from infra.kubernetes.device_plugin import GPU_IMAGE_LABEL
from infra.settings import Settings


class Network(pulumi.ComponentResource):
    def __init__(self) -> None:
        super().__init__("test:Network", "network", {})
        self.private_subnet_ids = ["subnet-1", "subnet-2"]


def network() -> Any:
    return Network()


class Keys:
    def arn(self, purpose: str) -> pulumi.Output[str]:
        return pulumi.Output.from_input(f"key-{purpose}")


KEYS: Any = Keys()


def cluster() -> Any:
    return SimpleNamespace(
        cluster_name=pulumi.Output.from_input("assistant-prod"), security_group_id=pulumi.Output.from_input("sg-cluster")
    )


def gpu_pool(**settings: Any) -> GpuPool:
    return GpuPool.model_validate({"name": "l4", "instanceTypes": ["g6.xlarge", "g6.2xlarge"], **settings})


async def system(settings: Settings | None = None) -> Rendered:
    def make(context: AwsContext) -> None:
        SystemPool("system", SystemPoolArgs(context=context, network=network(), cluster=cluster(), keys=KEYS))

    return await render_component(make, settings)


async def gpus(pool: GpuPool, settings: Settings | None = None) -> Rendered:
    def make(context: AwsContext) -> None:
        args = GpuNodePoolArgs(context=context, network=network(), cluster=cluster(), pool=pool, keys=KEYS)
        GpuNodePool("gpu-l4", args)

    return await render_component(make, settings)


async def test_every_node_is_hardened_encrypted_and_without_a_public_address():
    for found in (await system(), await gpus(gpu_pool())):
        template = found.one("LaunchTemplate").inputs
        metadata = template["metadataOptions"]
        assert (metadata["httpTokens"], metadata["httpPutResponseHopLimit"]) == ("required", 1)
        (volume,) = template["blockDeviceMappings"]
        assert volume["deviceName"] == "/dev/xvda"
        assert volume["ebs"]["encrypted"] == "true"
        assert (volume["ebs"]["kmsKeyId"], volume["ebs"]["volumeType"]) == ("key-cluster", "gp3")
        (interface,) = template["networkInterfaces"]
        assert interface["associatePublicIpAddress"] == "false"
        assert interface["securityGroups"] == ["sg-cluster"]
        assert {it["resourceType"] for it in template["tagSpecifications"]} == {"instance", "volume", "network-interface"}
        assert all(it["tags"]["Application"] == "assistant" for it in template["tagSpecifications"])
        group = found.one("NodeGroup").inputs
        assert group["subnetIds"] == ["subnet-1", "subnet-2"]
        assert group["nodeRepairConfig"] == {"enabled": True}
        assert group["version"] == "1.35"


async def test_the_system_pool_is_what_the_settings_say():
    pool = {"instanceTypes": ["m7g.large"], "minimum": 2, "maximum": 5}
    found = await system(aws_settings("prod", eks={"deployerCidrs": ["203.0.113.0/24"], "systemPool": pool}))
    group = found.one("NodeGroup").inputs
    assert group["amiType"] == "AL2023_ARM_64_STANDARD"
    assert group["scalingConfig"] == {"minSize": 2, "maxSize": 5, "desiredSize": 2}
    assert group["labels"] == {"assistant/pool": "system"}
    assert "taints" not in group
    assert (await system()).one("NodeGroup").inputs["amiType"] == "AL2023_x86_64_STANDARD"


async def test_nodes_may_join_and_pull_and_nothing_else():
    found = await system(aws_settings("prod", aws={"region": "cn-north-1"}))
    attached = {it.inputs["policyArn"] for it in found.of("RolePolicyAttachment")}
    assert attached == {
        "arn:aws-cn:iam::aws:policy/AmazonEKSWorkerNodePolicy",
        "arn:aws-cn:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
    }
    assert not found.of("RolePolicy")
    trust = json.loads(found.one("Role").inputs["assumeRolePolicy"])
    assert trust["Statement"][0]["Principal"] == {"Service": ["ec2.amazonaws.com.cn"]}


@pytest.mark.parametrize(
    ("types", "architecture"),
    [
        (("m7g.large", "c7gn.xlarge", "t4g.small", "im4gn.large"), "arm64"),
        (("m7i.large", "g6.xlarge", "c7a.large"), "x86_64"),
    ],
)
def test_an_instance_types_family_says_its_architecture(types, architecture):
    assert architecture_of(types) == architecture


def test_a_pool_of_both_architectures_is_refused():
    with pytest.raises(DeploymentError, match=r"m7g\.large, m7i\.large"):
        architecture_of(["m7g.large", "m7i.large"])


@pytest.mark.parametrize(
    ("image", "kinds", "ami"),
    [
        ("al2023", ["g6.xlarge"], "AL2023_x86_64_NVIDIA"),
        ("al2023", ["g5g.xlarge"], "AL2023_ARM_64_NVIDIA"),
        ("bottlerocket", ["p5.48xlarge"], "BOTTLEROCKET_x86_64_NVIDIA"),
        ("bottlerocket", ["g5g.xlarge"], "BOTTLEROCKET_ARM_64_NVIDIA"),
    ],
)
def test_the_machine_image_follows_the_setting_and_the_architecture(image, kinds, ami):
    assert node_pool(gpu_pool(image=image, instanceTypes=kinds)).ami_type == ami


async def test_a_gpu_pool_starts_with_none_and_keeps_others_away():
    group = (await gpus(gpu_pool())).one("NodeGroup").inputs
    assert group["nodeGroupNamePrefix"] == "assistant-prod-gpu-l4-"  # another beside it where it cannot be changed
    assert group["scalingConfig"] == {"minSize": 0, "maxSize": 2, "desiredSize": 0}
    assert group["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]
    assert group["labels"] == labels(gpu_pool())
    assert labels(gpu_pool())["nvidia.com/gpu.present"] == "true"
    assert group["instanceTypes"] == ["g6.xlarge", "g6.2xlarge"]
    assert "taints" not in (await gpus(gpu_pool(tainted=False))).one("NodeGroup").inputs


async def test_the_autoscaler_reads_off_the_group_what_a_node_would_have():
    found = await gpus(gpu_pool(timeSlices=4, volume=300))
    tags = {it.inputs["tag"]["key"]: it.inputs["tag"]["value"] for it in found.of("aws:autoscaling/tag:Tag")}
    prefix = "k8s.io/cluster-autoscaler/node-template"
    assert tags[f"{prefix}/resources/nvidia.com/gpu"] == "4"
    assert tags[f"{prefix}/resources/ephemeral-storage"] == "300Gi"
    assert tags[f"{prefix}/taint/nvidia.com/gpu"] == "true:NoSchedule"
    assert tags[f"{prefix}/label/nvidia.com/gpu.present"] == "true"
    assert tags[f"{prefix}/label/assistant/pool"] == "l4"
    assert {it.inputs["autoscalingGroupName"] for it in found.of("aws:autoscaling/tag:Tag")} == {"gpu-l4-group-asg"}
    assert not any(it.inputs["tag"]["propagateAtLaunch"] for it in found.of("aws:autoscaling/tag:Tag"))
    assert f"{prefix}/taint/nvidia.com/gpu" not in template_tags(gpu_pool(tainted=False))
    assert template_tags(gpu_pool(instanceTypes=["g6.48xlarge"]))[f"{prefix}/resources/nvidia.com/gpu"] == "8"


async def test_spot_and_capacity_blocks_are_bought_as_set():
    spot = (await gpus(gpu_pool(capacity="spot"))).one("NodeGroup").inputs
    assert spot["capacityType"] == "SPOT"
    block = await gpus(
        gpu_pool(instanceTypes=["p5.48xlarge"], capacity="capacityBlock", capacityReservationId="cr-0123456789abcdef0")
    )
    group, template = block.one("NodeGroup").inputs, block.one("LaunchTemplate").inputs
    assert group["capacityType"] == "CAPACITY_BLOCK"
    assert "instanceTypes" not in group
    assert template["instanceType"] == "p5.48xlarge"
    assert template["instanceMarketOptions"] == {"marketType": "capacity-block"}
    reservation = template["capacityReservationSpecification"]["capacityReservationTarget"]
    assert reservation == {"capacityReservationId": "cr-0123456789abcdef0"}
    plain = (await gpus(gpu_pool())).one("LaunchTemplate").inputs
    assert not {"instanceType", "instanceMarketOptions", "capacityReservationSpecification"} & plain.keys()


async def test_bottlerocket_has_two_volumes_and_the_one_that_fills_has_the_size():
    template = (await gpus(gpu_pool(image="bottlerocket", volume=500))).one("LaunchTemplate").inputs
    system_volume, data = template["blockDeviceMappings"]
    assert (system_volume["deviceName"], data["deviceName"]) == ("/dev/xvda", "/dev/xvdb")
    assert "volumeSize" not in system_volume["ebs"]
    assert data["ebs"]["volumeSize"] == 500
    assert all(it["ebs"]["encrypted"] == "true" for it in template["blockDeviceMappings"])


def test_time_slicing_is_told_to_bottlerocket_itself_and_to_nobody_else():
    told = user_data(gpu_pool(image="bottlerocket", timeSlices=4))
    assert told is not None
    nvidia = tomllib.loads(base64.b64decode(told).decode())["settings"]["kubelet-device-plugins"]["nvidia"]
    assert nvidia["device-sharing-strategy"] == "time-slicing"
    assert nvidia["time-slicing"]["replicas"] == 4
    assert nvidia["time-slicing"]["rename-by-default"] is False
    assert user_data(gpu_pool(image="bottlerocket")) is None
    assert user_data(gpu_pool(timeSlices=4)) is None
    assert node_pool(gpu_pool(image="bottlerocket")).labels[GPU_IMAGE_LABEL] == "bottlerocket"
    assert node_pool(gpu_pool()).launch == Launch(image="al2023", volume=200)
