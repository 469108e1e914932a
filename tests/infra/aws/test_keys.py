"""Keys: one a purpose, rotated, and used by those services alone that need each."""

from __future__ import annotations

import json

from aws_rendering import ACCOUNT, aws_settings, render_component

from infra.aws.keys import Keys, KeysArgs, audit_is_kept

GIVEN = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/0000"


def keys(context):
    return Keys("keys", KeysArgs(context=context))


async def policies(settings=None):
    rendered = await render_component(keys, settings)
    return {
        it.name.removeprefix("keys-"): {
            statement["Sid"]: statement for statement in json.loads(it.inputs["policy"])["Statement"]
        }
        for it in rendered.of("aws:kms/key:Key")
    }


async def test_every_key_rotates_and_its_deletion_can_be_taken_back_for_weeks():
    rendered = await render_component(keys)
    found = rendered.of("aws:kms/key:Key")
    assert len(found) == 7
    for key in found:
        assert key.inputs["enableKeyRotation"] is True
        assert key.inputs["deletionWindowInDays"] >= 14
    assert "alias/assistant-prod-redis" in {it.inputs["name"] for it in rendered.of("Alias")}


async def test_services_use_the_keys_that_they_need_and_no_others():
    found = await policies()
    services = {
        purpose: {service for it in statements.values() for service in it["Principal"].get("Service", [])}
        for purpose, statements in found.items()
    }
    assert services == {
        "data": set(),
        "secrets": set(),
        "redis": set(),
        "cluster": set(),
        "logs": {"logs.eu-central-1.amazonaws.com"},
        "audit": {"cloudtrail.amazonaws.com", "logs.eu-central-1.amazonaws.com"},
        "notifications": {"cloudwatch.amazonaws.com", "budgets.amazonaws.com", "backup.amazonaws.com", "events.amazonaws.com"},
    }


async def test_a_service_is_bound_to_this_account_and_to_what_it_encrypts():
    found = await policies(aws_settings("prod", aws={"region": "cn-north-1"}))
    groups = found["logs"]["LogGroupsOfThisAccount"]
    assert groups["Principal"] == {"Service": ["logs.cn-north-1.amazonaws.com.cn"]}
    arn = f"arn:aws-cn:logs:cn-north-1:{ACCOUNT}:log-group:*"
    assert groups["Condition"] == {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arn}}
    assert found["notifications"]["AlarmsOfThisAccount"]["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    trail = found["audit"]["TrailsOfThisAccount"]
    assert trail["Action"] == ["kms:GenerateDataKey*"]
    assert trail["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}


async def test_volumes_of_nodes_are_made_by_the_role_of_auto_scaling_which_hands_the_key_to_services_alone():
    found = (await policies())["cluster"]
    role = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    assert found["NodeVolumes"]["Principal"] == {"AWS": [role]}
    assert found["NodeVolumesAttached"]["Action"] == ["kms:CreateGrant"]
    assert found["NodeVolumesAttached"]["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


async def test_the_account_administers_every_key_and_nobody_is_everybody():
    for statements in (await policies()).values():
        assert statements["AccountThroughIam"]["Principal"] == {"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]}
        assert all(statement["Principal"] != "*" for statement in statements.values())


async def test_there_is_no_key_for_what_the_stack_has_not():
    url = {"url": "rediss://redis.example.com:6379"}
    assert "cluster" not in await policies(aws_settings("serverless"))
    assert "redis" not in await policies(aws_settings("prod", redis=url))


async def test_a_key_of_yours_serves_every_purpose_and_none_is_made():
    seen = []

    def make(context):
        made = keys(context)
        for purpose in ("data", "secrets", "logs", "audit", "redis", "notifications"):
            made.arn(purpose).apply(seen.append)

    rendered = await render_component(make, aws_settings("prod", keys={"arn": GIVEN}))
    assert not rendered.of("aws:kms/key:Key")
    assert seen == [GIVEN] * 6


async def test_the_audit_records_outlive_the_stack_where_that_is_set_and_a_lock_that_nobody_opens():
    kept = {}

    async def ask(name, settings):
        await render_component(lambda context: kept.update({name: audit_is_kept(context)}), settings)

    await ask("prod", aws_settings("prod"))
    await ask("on the way to a destroy", aws_settings("prod", protection=False))
    await ask("dev", aws_settings("dev"))
    await ask("compliance", aws_settings("dev", retention={"auditLock": "compliance"}))
    assert kept == {"prod": True, "on the way to a destroy": True, "dev": False, "compliance": True}
