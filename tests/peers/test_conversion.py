"""A record as Terraform and Kubernetes would say it: names, blocks, references, and nothing that nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from policies.record import Seen
from policies.resource import Resource
from policies.values import UNKNOWN, Secret
from tools.peers.checkov.manifests import NOT_KNOWN, manifests_of
from tools.peers.checkov.names import block_name, snake, terraform_type
from tools.peers.checkov.plan import plan_of

KEY, BUCKET, SETTINGS = "aws:kms/key:Key", "aws:s3/bucket:Bucket", "aws:s3/bucketVersioning:BucketVersioning"
SUBNET, GROUP = "aws:ec2/subnet:Subnet", "aws:ec2/securityGroup:SecurityGroup"
DEPLOYMENT, NAMESPACE = "kubernetes:apps/v1:Deployment", "kubernetes:core/v1:Namespace"


def urn(kind: str, name: str, parent: str = "") -> str:
    return f"urn:pulumi:prod::assistant::{parent}{kind}::{name}"


def seen(
    kind: str,
    name: str,
    inputs: Mapping[str, Any],
    *,
    edges: Mapping[str, tuple[str, ...]] | None = None,
    outputs: Mapping[str, Any] | None = None,
    parent: str = "",
) -> Seen:
    resource = Resource(urn(kind, name, parent), kind, name, outputs or dict(inputs), property_dependencies=edges or {})
    return Seen(resource, inputs)


def planned(*resources: Seen) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """By address: what is known, what is not, and the expressions."""
    document = plan_of(resources).document
    known = {each["address"]: each["values"] for each in document["planned_values"]["root_module"]["resources"]}
    unknown = {each["address"]: each["change"]["after_unknown"] for each in document["resource_changes"]}
    stated = {each["address"]: each["expressions"] for each in document["configuration"]["root_module"]["resources"]}
    return known, unknown, stated


@pytest.mark.parametrize(
    ("pulumi", "terraform"),
    [
        ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "aws_s3_bucket_public_access_block"),
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "aws_vpc_security_group_ingress_rule"),
        ("aws:ec2/natGateway:NatGateway", "aws_nat_gateway"),
        ("aws:cloudtrail/trail:Trail", "aws_cloudtrail"),
        ("aws:lb/loadBalancer:LoadBalancer", "aws_lb"),
        ("aws:lb/targetGroup:TargetGroup", "aws_lb_target_group"),
        ("aws:servicediscovery/service:Service", "aws_service_discovery_service"),
        ("aws:unheard/of:Of", None),
        ("kubernetes:apps/v1:Deployment", None),
        ("assistant:aws:Keys", None),
    ],
)
def test_a_type_has_terraforms_name_or_none(pulumi: str, terraform: str | None) -> None:
    assert terraform_type(pulumi) == terraform


@pytest.mark.parametrize(
    ("pulumi", "terraform"),
    [
        ("metricQueries", "metric_query"),
        ("defaultActions", "default_action"),
        ("aliases", "alias"),
        ("capacityProviderStrategies", "capacity_provider_strategy"),
        ("blockDeviceMappings", "block_device_mappings"),
        ("ingress", "ingress"),
        ("rules", "rule"),
    ],
)
def test_a_list_of_blocks_has_terraforms_name(pulumi: str, terraform: str) -> None:
    assert block_name(snake(pulumi)) == terraform


def test_a_mapping_is_a_block_and_tags_are_a_mapping() -> None:
    known, _, _ = planned(
        seen(
            "aws:ec2/launchTemplate:LaunchTemplate",
            "nodes",
            {"metadataOptions": {"httpTokens": "required"}, "tags": {"A": "b"}},
        )
    )
    assert known == {"aws_launch_template.nodes": {"metadata_options": [{"http_tokens": "required"}], "tags": {"A": "b"}}}


def test_what_is_not_known_is_a_reference_to_where_it_comes_from() -> None:
    known, unknown, stated = planned(
        seen(BUCKET, "logs", {}),
        seen(SETTINGS, "logs", {"bucket": UNKNOWN}, edges={"bucket": (urn(BUCKET, "logs"),)}),
    )
    address = "aws_s3_bucket_versioning.logs"
    assert "bucket" not in known[address]
    assert unknown[address] == {"bucket": True}
    assert stated[address] == {"bucket": {"references": ["aws_s3_bucket.logs.id", "aws_s3_bucket.logs"]}}


def test_a_secret_stands_nowhere_in_the_plan() -> None:
    document = str(plan_of([seen(KEY, "data", {"description": Secret("hunter2")})]).document)
    assert "hunter2" not in document
    assert "'after_unknown': {'description': True}" in document


def test_the_reference_that_is_meant_stands_first_among_several() -> None:
    edges = {"vpcConfig": (urn(GROUP, "nodes"), urn(SUBNET, "a"))}
    _, _, stated = planned(
        seen(SUBNET, "a", {}),
        seen(GROUP, "nodes", {}),
        seen(
            "aws:eks/cluster:Cluster",
            "eks",
            {"vpcConfig": {"subnetIds": [UNKNOWN], "securityGroupIds": [UNKNOWN]}},
            edges=edges,
        ),
    )
    [block] = stated["aws_eks_cluster.eks"]["vpc_config"]
    assert block["subnet_ids"]["references"][0] == "aws_subnet.a.id"
    assert block["security_group_ids"]["references"][0] == "aws_security_group.nodes.id"


def test_a_known_part_of_a_block_is_traced_by_its_text() -> None:
    group = seen(GROUP, "tasks", {}, outputs={"arn": "arn:aws:ec2:eu-central-1:123456789012:security-group/sg-1"})
    subnet = seen(SUBNET, "a", {}, outputs={"arn": "arn:aws:ec2:eu-central-1:123456789012:subnet/subnet-1"})
    service = seen(
        "aws:ecs/service:Service",
        "worker",
        {"networkConfiguration": {"securityGroups": ["sg-1"], "subnets": ["subnet-1"], "assignPublicIp": False}},
        edges={"networkConfiguration": (subnet.resource.urn, group.resource.urn)},
    )
    _, _, stated = planned(group, subnet, service)
    assert stated["aws_ecs_service.worker"]["network_configuration"] == [
        {
            "security_groups": {"references": ["aws_security_group.tasks.id", "aws_security_group.tasks"]},
            "subnets": {"references": ["aws_subnet.a.id", "aws_subnet.a"]},
        }
    ]


def test_two_resources_of_one_name_have_addresses_of_their_own() -> None:
    plan = plan_of([seen(KEY, "data", {}, parent="a$"), seen(KEY, "data", {}, parent="b$")])
    assert plan.urns == {"aws_kms_key.data": urn(KEY, "data", "a$"), "aws_kms_key.data_2": urn(KEY, "data", "b$")}


def test_a_manifest_has_the_namespace_that_its_edge_leads_to_and_a_placeholder_for_what_nobody_knows() -> None:
    namespace = seen(NAMESPACE, "namespace", {"metadata": {"name": "assistant"}})
    deployment = seen(
        DEPLOYMENT,
        "gateway",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "gateway", "namespace": UNKNOWN},
            "spec": {"image": UNKNOWN},
        },
        edges={"metadata": (namespace.resource.urn,)},
    )
    made = manifests_of([namespace, deployment])
    [file] = [file for file, of in made.urns.items() if of == deployment.resource.urn]
    manifest = yaml.safe_load(made.texts[file])
    assert manifest["metadata"]["namespace"] == "assistant"
    assert manifest["spec"]["image"] == NOT_KNOWN


def test_a_secrets_data_stands_in_no_manifest() -> None:
    made = manifests_of(
        [seen("kubernetes:core/v1:Secret", "api", {"kind": "Secret", "stringData": Secret({"key": "hunter2"})})]
    )
    assert [yaml.safe_load(text) for text in made.texts.values()] == [{"kind": "Secret"}]
