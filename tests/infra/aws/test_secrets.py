"""Secrets: made empty, for this account alone, and read by those that need each."""

from __future__ import annotations

import json

import pytest
from aws_rendering import ACCOUNT, aws_settings, render_component

from infra.aws.secrets import (
    DESCRIPTIONS,
    ROTATION_REASONS,
    ROTATION_TAG,
    ApplicationSecrets,
    ApplicationSecretsArgs,
    read_statements,
    secret_names,
)
from infra.credentials import NAMES as BROUGHT
from infra.generated.values import NAMES as GENERATED

GENERIC = {"generic": {"url": "https://platform.example.com"}}


def secrets(context):
    return ApplicationSecrets(
        "s", ApplicationSecretsArgs(context=context, key_arn="the-key", names=secret_names(context.settings))
    )


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        ({}, ("api_key", "inference_api_key", "redis_password", "token_key")),
        ({"redis": {"url": "rediss://redis.example.com:6379"}}, ("api_key", "inference_api_key", "token_key")),
        (
            {"redis": {"url": "rediss://redis.example.com:6379", "passwordSecret": "mine"}},
            ("api_key", "inference_api_key", "redis_password", "token_key"),
        ),
        (
            {"platforms": GENERIC},
            ("api_key", "inference_api_key", "redis_password", "generic_webhook_secret", "generic_client_secret", "token_key"),
        ),
        (
            {"platforms": {"slack": {}, "feishu": {"appId": "cli_a", "transport": "longConnection"}}},
            (
                *("api_key", "inference_api_key", "redis_password", "token_key"),
                *("slack_signing_secret", "slack_bot_token", "feishu_app_secret"),
            ),
        ),
    ],
)
def test_there_is_a_secret_for_what_the_stack_has(groups, names):
    assert secret_names(aws_settings("prod", **groups)) == names


async def test_a_reference_is_the_arn_less_what_aws_adds_to_it():
    told = {}

    def made(context):
        component = secrets(context)
        component.references["api_key"].apply(lambda arn: told.update(api_key=arn))
        return component

    await render_component(made, aws_settings("prod"))
    assert told == {"api_key": f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:assistant/prod/api_key"}


async def test_a_secret_is_made_empty_with_the_stacks_key_and_can_be_had_back_where_it_is_protected():
    rendered = await render_component(secrets, aws_settings("prod", platforms=GENERIC))
    assert not rendered.of("SecretVersion")
    found = {it.inputs["name"]: it.inputs for it in rendered.of("aws:secretsmanager/secret:Secret")}
    assert len(found) == 6
    assert found["assistant/prod/api_key"]["kmsKeyId"] == "the-key"
    assert {it["recoveryWindowInDays"] for it in found.values()} == {30}
    assert all(it["tags"][ROTATION_TAG] for it in found.values())
    dev = await render_component(secrets, aws_settings("dev"), stack="dev")
    # Elsewhere its name must be free for the next `up`.
    assert {it.inputs["recoveryWindowInDays"] for it in dev.of("aws:secretsmanager/secret:Secret")} == {0}


def test_each_secret_that_a_stack_may_have_is_described_and_says_why_it_does_not_rotate_by_itself():
    assert set(DESCRIPTIONS) == set(ROTATION_REASONS) == {*GENERATED, *BROUGHT}


async def test_nobody_reads_it_without_tls_or_from_another_account():
    rendered = await render_component(secrets)
    policy = rendered.one("SecretPolicy", "s-api_key-policy").inputs
    assert policy["blockPublicPolicy"] is True
    tls, account = json.loads(policy["policy"])["Statement"]
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert account["Effect"] == "Deny"
    assert account["Condition"]["StringNotEquals"] == {"aws:PrincipalAccount": ACCOUNT}


async def test_a_reader_reads_its_own_secrets_and_uses_the_key_for_them_alone():
    seen = []

    def make(context):
        seen.extend(read_statements(context, ["one", "two"], "the-key"))
        assert read_statements(context, [], "the-key") == []

    await render_component(make, aws_settings("prod", aws={"region": "cn-north-1"}))
    read, decrypt = seen
    assert read.resources == ("one", "two")
    assert not any(action.endswith("*") for action in read.actions)
    assert decrypt.resources == ("the-key",)
    assert decrypt.conditions == {"StringEquals": {"kms:ViaService": "secretsmanager.cn-north-1.amazonaws.com.cn"}}
