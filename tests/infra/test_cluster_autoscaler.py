"""Cluster Autoscaler: it finds this cluster's groups and may change no others."""

from __future__ import annotations

import json

import pytest
from aws_rendering import ACCOUNT, Rendered, aws_settings, render_component

from infra.aws.context import AwsContext
from infra.errors import DeploymentError
from infra.kubernetes.cluster_autoscaler import ClusterAutoscaler, ClusterAutoscalerArgs
from infra.kubernetes.third_party_images import CLUSTER_AUTOSCALER, cluster_autoscaler
from infra.settings import Settings


async def rendered(settings: Settings | None = None, image: str | None = None) -> Rendered:
    def make(context: AwsContext) -> ClusterAutoscaler:
        args = ClusterAutoscalerArgs(context=context, cluster="c", cluster_name="c", image=image)
        return ClusterAutoscaler("autoscaler", args)

    return await render_component(make, settings)


async def test_it_scales_what_bears_the_tag_of_this_cluster_and_nothing_else():
    found = await rendered()
    statements = json.loads(found.one("RolePolicy").inputs["policy"])["Statement"]
    (scaling,) = [it for it in statements if "autoscaling:SetDesiredCapacity" in it["Action"]]
    assert scaling["Condition"] == {"StringEquals": {"aws:ResourceTag/k8s.io/cluster-autoscaler/c": "owned"}}
    assert scaling["Resource"] == [f"arn:aws:autoscaling:eu-central-1:{ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/*"]
    for statement in statements:
        if statement["Resource"] == ["*"]:
            assert all(action.split(":")[1].startswith(("Describe", "Get")) for action in statement["Action"])


async def test_it_finds_its_groups_by_the_tags_that_eks_puts_on_them():
    (container,) = (await rendered()).one("Deployment").inputs["spec"]["template"]["spec"]["containers"]
    flags = container["command"]
    assert "--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/c" in flags
    assert "--expander=least-waste" in flags
    assert "--balance-similar-node-groups=true" in flags
    assert {"name": "AWS_REGION", "value": "eu-central-1"} in container["env"]


async def test_its_pod_takes_the_role_by_its_service_account_and_by_no_key():
    found = await rendered(aws_settings("prod", aws={"region": "cn-north-1"}))
    association = found.one("PodIdentityAssociation").inputs
    assert (association["namespace"], association["serviceAccount"]) == ("kube-system", "cluster-autoscaler")
    deployment = found.one("Deployment").inputs["spec"]["template"]["spec"]
    assert deployment["serviceAccountName"] == "cluster-autoscaler"
    security = deployment["containers"][0]["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    order = [it.type for it in found.resources]
    assert order.index("aws:eks/podIdentityAssociation:PodIdentityAssociation") < order.index("kubernetes:apps/v1:Deployment")
    assert "arn:aws:" not in json.dumps([it.inputs for it in found.resources], default=str)


async def test_it_reads_no_secrets_and_writes_config_maps_at_home_alone():
    found = await rendered()
    everywhere = found.one("ClusterRole").inputs
    assert "namespace" not in everywhere["metadata"]
    resources = {resource for rule in everywhere["rules"] for resource in rule["resources"]}
    assert not {"secrets", "configmaps"} & resources
    assert found.one("kubernetes:rbac.authorization.k8s.io/v1:Role").inputs["metadata"]["namespace"] == "kube-system"


async def test_its_version_is_the_clusters_or_an_image_of_yours():
    (container,) = (await rendered()).one("Deployment").inputs["spec"]["template"]["spec"]["containers"]
    assert container["image"] == CLUSTER_AUTOSCALER["1.35"]
    (other,) = (await rendered(image="mirror/ca@sha256:1")).one("Deployment").inputs["spec"]["template"]["spec"]["containers"]
    assert other["image"] == "mirror/ca@sha256:1"
    with pytest.raises(DeploymentError, match=r"no Cluster Autoscaler for Kubernetes 1\.20"):
        cluster_autoscaler("1.20")


async def test_its_role_is_associated_without_waiting_for_nodes():
    """The webhook hears of it seconds later, and a pod that is made until then never gets credentials."""
    made = (await rendered()).made
    assert "ClusterAutoscaler" in (await made.urn.future())
    assert "ClusterAutoscaler$" not in (await made.association.urn.future())
