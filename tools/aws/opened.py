"""What an AWS stack's outputs only refer to, fetched for whoever may read it: the API key; and where its logs are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.aws.naming import log_group, secret_name
from infra.aws.session import client, session
from infra.settings import Settings
from tools.stack.assistant import AssistantError

SUFFIX = re.compile(r":secret:(.+)-[A-Za-z0-9]{6}$")  # what Secrets Manager adds to a name in an ARN


def outputs(settings: Settings, given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` with values in place of ARNs of Secrets Manager. Raises :class:`AssistantError`."""
    if not any(is_reference(value) for value in (given.get("apiKey"), *(given.get("webhookSecrets") or {}).values())):
        return dict(given)
    manager = client(session(settings.aws.region, settings.aws.profile), "secretsmanager")

    def value_of(value: Any) -> Any:
        return read(manager, value) if is_reference(value) else value

    values = {**given, "apiKey": value_of(given.get("apiKey"))}
    if webhooks := given.get("webhookSecrets"):
        values["webhookSecrets"] = {platform: value_of(value) for platform, value in webhooks.items()}
    return values


def is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("arn:") and ":secretsmanager:" in value


def named(stack: str, settings: Settings, names: Sequence[str]) -> dict[str, str]:
    """The values of these secrets of the stack. Raises :class:`AssistantError`."""
    manager = client(session(settings.aws.region, settings.aws.profile), "secretsmanager")
    return {name: read(manager, secret_name(stack, name)) for name in names}


def read(manager: Any, reference: str) -> str:
    """By ARN or name. Raises :class:`AssistantError`."""
    try:
        return str(manager.get_secret_value(SecretId=reference)["SecretString"])
    except ClientError as error:
        missing = error.response["Error"]["Code"] == "ResourceNotFoundException"
        if missing and (match := SUFFIX.search(reference)):
            # Made anew, or in a world that gives other suffixes: the name is the same.
            return read(manager, match[1])
        if missing:
            raise AssistantError(f"{reference} has no value yet. Write it: make secrets STACK=<this stack>") from None
        raise AssistantError(f"{reference} cannot be read with these credentials: {error}") from None
    except BotoCoreError as error:
        raise AssistantError(f"{reference} cannot be read: {error}") from None


def log_commands(stack: str, settings: Settings, *, follow: bool) -> str:
    """For people: the logs are CloudWatch's, which has its own program to read them."""
    flags = f"--region {settings.aws.region}" + (f" --profile {settings.aws.profile}" if settings.aws.profile else "")
    since, prefix = "--follow" if follow else "--since 10m", log_group(stack)
    return (
        f"The logs of {stack} are in CloudWatch, by log groups below {prefix}/:\n"
        f"  aws logs describe-log-groups --log-group-name-prefix {prefix}/ {flags} --query 'logGroups[].logGroupName'\n"
        f"  aws logs tail {log_group(stack, 'pods' if settings.target == 'eks' else 'gateway')} {since} {flags}\n"
    )
