"""What both targets on AWS stand on, rendered together."""

from __future__ import annotations

import json

import pytest
from aws_rendering import aws_settings, render_component

from infra.aws.foundation import Foundation, FoundationArgs

pytestmark = pytest.mark.timeout(60)
TRAIL = "arn:aws:cloudtrail:eu-central-1:123456789012:trail/organisation"
STORES = {
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:ecr/repository:Repository",
    "aws:sns/topic:Topic",
    "aws:secretsmanager/secret:Secret",
    "aws:backup/vault:Vault",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:cloudtrail/trail:Trail",
}


def foundation(context):
    return Foundation("foundation", FoundationArgs(context=context, images=("gateway", "inference-cpu")))


async def test_no_arn_is_of_another_partition_and_nothing_is_open_to_the_world():
    rendered = await render_component(foundation, aws_settings("prod", aws={"region": "cn-north-1"}))
    everything = json.dumps([it.inputs for it in rendered.resources], default=str)
    assert "arn:aws:" not in everything
    assert "arn:aws-cn:" in everything
    for rule in rendered.of("SecurityGroupIngressRule"):
        assert rule.inputs.get("cidrIpv4") != "0.0.0.0/0", rule.name


async def test_whatever_keeps_data_is_encrypted_with_a_key_of_the_stacks():
    rendered = await render_component(foundation)
    kinds = {it.type for it in rendered.resources}
    assert kinds >= STORES
    for it in rendered.resources:
        if it.type in STORES and "access-logs" not in it.name:  # S3's own key: load balancers write to no other
            assert "kms" in json.dumps(it.inputs, default=str).lower(), it.name


async def test_there_is_one_trail_over_all_regions_or_the_organisations():
    rendered = await render_component(foundation)
    trail = rendered.one("aws:cloudtrail/trail:Trail").inputs
    assert (trail["isMultiRegionTrail"], trail["enableLogFileValidation"]) == (True, True)
    management, objects = trail["advancedEventSelectors"]
    assert management["fieldSelectors"] == [{"field": "eventCategory", "equals": ["Management"]}]
    resources = objects["fieldSelectors"][-1]
    assert len(resources["startsWiths"]) == 2
    assert resources["notStartsWiths"][0].endswith("/trail/")  # not its own writing, for ever

    external = aws_settings("prod", audit={"trail": "external", "externalTrailArn": TRAIL})
    rendered = await render_component(foundation, external)
    assert not rendered.of("aws:cloudtrail/trail:Trail")


async def test_what_holds_data_is_named_once():
    rendered = await render_component(foundation)
    for kind in ("aws:s3/bucket:Bucket", "aws:secretsmanager/secret:Secret", "aws:kms/key:Key"):
        names = [it.inputs.get("bucket") or it.inputs.get("name") or it.name for it in rendered.of(kind)]
        assert len(names) == len(set(names)) > 2
