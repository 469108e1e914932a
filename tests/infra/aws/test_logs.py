"""Log groups: encrypted, kept as long as set, masked where prompts may stand in them."""

from __future__ import annotations

import json

from aws_rendering import aws_settings, render_component

from infra.aws.logs import LogGroup, LogGroupArgs


async def group(settings=None, **more):
    def make(context):
        return LogGroup("g", LogGroupArgs(context=context, key_arn="the-key", words=("worker",), **more))

    return await render_component(make, settings)


async def test_it_has_the_stacks_key_and_its_retention():
    rendered = await group(aws_settings("prod", retention={"logsDays": 731}))
    assert rendered.one("LogGroup").inputs == {"name": "/assistant/prod/worker", "kmsKeyId": "the-key", "retentionInDays": 731}
    assert not rendered.of("LogDataProtectionPolicy")


async def test_where_prompts_may_stand_credentials_and_addresses_are_masked():
    rendered = await group(aws_settings("prod", aws={"region": "cn-north-1"}), masked=True)
    policy = json.loads(rendered.one("LogDataProtectionPolicy").inputs["policyDocument"])
    audit, mask = policy["Statement"]
    assert mask["Operation"] == {"Deidentify": {"MaskConfig": {}}}
    assert audit["DataIdentifier"] == mask["DataIdentifier"]  # CloudWatch refuses a policy whose two lists differ
    assert "arn:aws-cn:dataprotection::aws:data-identifier/EmailAddress" in mask["DataIdentifier"]


async def test_a_service_that_wants_a_name_of_its_own_gets_it():
    assert (await group(named="/aws/eks/x/cluster")).one("LogGroup").inputs["name"] == "/aws/eks/x/cluster"
