"""References in the outputs become values for whoever may read them."""

from __future__ import annotations

import pytest

from tools.aws import opened
from tools.stack.assistant import AssistantError


def test_references_are_read_and_the_rest_stays(aws, settings_with):
    made = aws("secretsmanager").create_secret(Name="assistant/prod/api_key", SecretString="the-key")["ARN"]
    given = {"url": "https://assistant.acme.dev", "apiKey": made, "webhookSecrets": {"generic": made}}
    assert opened.outputs(settings_with(), given) == {
        "url": "https://assistant.acme.dev",
        "apiKey": "the-key",
        "webhookSecrets": {"generic": "the-key"},
    }


def test_a_reference_needs_none_of_the_characters_that_aws_adds(aws, settings_with):
    made = aws("secretsmanager").create_secret(Name="assistant/prod/api_key", SecretString="the-key")["ARN"]
    assert opened.outputs(settings_with(), {"apiKey": made.rpartition("-")[0]})["apiKey"] == "the-key"


def test_a_secret_that_was_made_anew_is_found_by_its_name(aws, settings_with):
    made = aws("secretsmanager").create_secret(Name="assistant/prod/api_key", SecretString="the-key")["ARN"]
    before = f"{made.rpartition('-')[0]}-AAAAAA"
    assert opened.outputs(settings_with(), {"apiKey": before})["apiKey"] == "the-key"


def test_without_references_nobody_is_asked(no_account, settings_with):
    assert opened.outputs(settings_with(), {"apiKey": "plain"}) == {"apiKey": "plain"}


def test_a_secret_without_a_value_is_told_with_what_to_do(aws, settings_with):
    made = aws("secretsmanager").create_secret(Name="assistant/prod/api_key")["ARN"]
    with pytest.raises(AssistantError, match="make secrets"):
        opened.outputs(settings_with(), {"apiKey": made})


def test_no_credentials_are_told(no_account, settings_with):
    with pytest.raises(AssistantError, match="cannot be read"):
        opened.outputs(settings_with(), {"apiKey": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"})


@pytest.mark.parametrize(
    ("stack", "group"), [("prod", "/assistant/prod/pods"), ("serverless", "/assistant/serverless/gateway")]
)
def test_the_logs_are_read_with_the_programs_own_command(settings_with, stack, group):
    told = opened.log_commands(stack, settings_with(stack, aws={"profile": "work"}), follow=True)
    assert f"aws logs tail {group} --follow --region eu-central-1 --profile work" in told
