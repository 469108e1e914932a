"""The application's secrets in Secrets Manager: made empty, so that no value passes through Pulumi or its state.

``infra.aws.secret_values`` and `make secrets` write the values through AWS' API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import credentials
from infra.aws.context import AwsContext
from infra.aws.identity import Conditions, Statement, policy_document
from infra.aws.naming import secret_name
from infra.credentials import NAMES as BROUGHT
from infra.kubernetes.redis_connection import REDIS_PASSWORD
from infra.settings import Settings

# How long a deleted secret can be had back: the longest that AWS has where it is protected. So long its name is taken, and an
# `up` after a `down` would be refused: what is not protected goes at once.
PROTECTED_DAYS, RECOVERY_DAYS = 30, 0
# Control R07: a secret rotates by itself, or says why not. A Lambda could set a new value; that the platform at the other
# end, or whoever holds the API key, takes it on as well it could not.
ROTATION_TAG = "RotationByHand"
ROTATION_REASONS: Mapping[str, str] = {
    "api_key": "its users hold it as well: raise secretVersions within 90 days",
    "inference_api_key": "both sides roll out together: raise secretVersions within 90 days",
    "redis_password": "MemoryDB and pods change in step: raise secretVersions within 90 days",
    "generic_webhook_secret": "the platform holds it as well: make secrets within 90 days",
    "generic_client_secret": "the platform holds it as well: make secrets within 90 days",
    "token_key": "what it sealed is opened by it: raise secretVersions within 90 days",
    **dict.fromkeys(BROUGHT, "the platform makes it: make connect and make secrets within 90 days"),
}
DESCRIPTIONS: Mapping[str, str] = {
    "api_key": "opens the assistant's API",
    "inference_api_key": "opens the inference service to gateway and worker",
    "redis_password": "of the user of the queue's store",
    "generic_webhook_secret": "signs the generic platform's webhooks",
    "generic_client_secret": "of the assistant's OAuth2 client at the generic platform",
    "token_key": "seals the tokens of teams that installed the assistant",
    "slack_signing_secret": "signs Slack's requests",
    "slack_bot_token": "of the assistant in its Slack workspace",
    "slack_client_secret": "of the Slack application, for its installation",
    "slack_app_token": "opens Slack's Socket Mode",
    "feishu_app_secret": "of the Feishu application",
    "feishu_encrypt_key": "encrypts and signs Feishu's events",
    "feishu_verification_token": "is in Feishu's challenges",
}


def secret_names(settings: Settings) -> tuple[str, ...]:
    """Those that the stack needs: no password for a Redis that has none, and nothing of a platform that is not connected."""
    names = ["api_key", "inference_api_key"]
    if settings.redis.url is None or settings.redis.password_secret is not None:
        names.append(REDIS_PASSWORD)
    if settings.platforms.generic.url is not None:
        names += ["generic_webhook_secret", "generic_client_secret"]
    # Of a platform's credentials those that are needed, whatever of them lies on this machine.
    return (*names, "token_key", *credentials.wanted(settings.platforms).required)


@dataclass(frozen=True, kw_only=True)
class ApplicationSecretsArgs:
    context: AwsContext
    key_arn: pulumi.Input[str]
    names: Sequence[str]


class ApplicationSecrets(pulumi.ComponentResource):
    """``made``: the secrets and their policies, for whoever writes a value. ``references``: ARNs without the six characters
    that Secrets Manager adds, by which a secret is read as well: known before there is one, the same if it is made anew."""

    arns: dict[str, pulumi.Output[str]]
    references: dict[str, pulumi.Output[str]]
    made: list[pulumi.Resource]

    def __init__(self, name: str, args: ApplicationSecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:ApplicationSecrets", name, {}, opts)
        context, protection = args.context, args.context.settings.protection
        self.arns, self.references, self.made = {}, {}, []
        for word in args.names:
            secret = aws.secretsmanager.Secret(
                f"{name}-{word}",
                name=secret_name(context.stack, word),
                description=DESCRIPTIONS[word],
                kms_key_id=args.key_arn,
                recovery_window_in_days=PROTECTED_DAYS if protection else RECOVERY_DAYS,
                tags={ROTATION_TAG: ROTATION_REASONS[word]},
                opts=pulumi.ResourceOptions(parent=self, protect=protection),
            )
            policy = aws.secretsmanager.SecretPolicy(
                f"{name}-{word}-policy",
                secret_arn=secret.arn,
                policy=own_account_by_tls(context),
                block_public_policy=True,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.arns[word] = secret.arn
            self.references[word] = context.arn("secretsmanager", pulumi.Output.concat("secret:", secret.name))
            self.made += [secret, policy]
        self.register_outputs({"arns": self.arns})


def own_account_by_tls(context: AwsContext) -> pulumi.Output[str]:
    """Gives nobody anything, which roles' own policies do; takes it from everybody without TLS and from other accounts. In a
    secret's policy, ``*`` is the secret that it belongs to."""
    everybody = {"*": ("*",)}
    plain: Conditions = {"Bool": {"aws:SecureTransport": "false"}}
    # AWS' own services, which keep it and its key, are no principal of an account.
    foreign: Conditions = {
        "StringNotEquals": {"aws:PrincipalAccount": context.account},
        "Bool": {"aws:PrincipalIsAWSService": "false"},
    }
    every = ("secretsmanager:*",)
    return policy_document(
        Statement(every, ("*",), plain, everybody, "Deny", "TlsAlone"),
        Statement(every, ("*",), foreign, everybody, "Deny", "ThisAccountAlone"),
    )


def read_statements(context: AwsContext, arns: Sequence[pulumi.Input[str]], key_arn: pulumi.Input[str]) -> list[Statement]:
    """Of a role that reads these secrets and no others: the key opens them through Secrets Manager alone."""
    if not arns:
        return []
    through: Conditions = {
        "StringEquals": {"kms:ViaService": f"secretsmanager.{context.region}.{context.partition.dns_suffix}"}
    }
    return [
        Statement(("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"), tuple(arns), sid="Secrets"),
        Statement(("kms:Decrypt",), (key_arn,), through, sid="SecretsKey"),
    ]
