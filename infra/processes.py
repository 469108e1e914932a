"""What gateway, worker and the outbound transports are told of platforms, access and answers: the same in every target.

Environment variables are those of ``app.settings``. A default stack is told nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Literal

import pulumi

from infra import credentials
from infra.kubernetes.peers import destinations
from infra.platform_settings import Answers, Platform
from infra.settings import Settings

TransportPart = Literal["slack-transport", "feishu-transport"]
# What a transport runs, by what it is for.
ENTRIES: Mapping[TransportPart, str] = {
    "slack-transport": "app.platforms.slack.socket_mode",
    "feishu-transport": "app.platforms.feishu.long_connection",
}
# Which process reads which: to receive, to install, to send.
GATEWAY_READS = frozenset(
    {"slack_signing_secret", "slack_client_secret", "feishu_encrypt_key", "feishu_verification_token", "feishu_app_secret"}
)
WORKER_READS = frozenset({"slack_bot_token", "slack_client_secret", "feishu_app_secret"})
TRANSPORT_READS: Mapping[TransportPart, frozenset[str]] = {
    "slack-transport": frozenset({"slack_app_token"}),
    "feishu-transport": frozenset({"feishu_app_secret"}),
}
TOKEN_KEY = {"TOKEN_KEY": "token_key"}


@dataclass(frozen=True, kw_only=True)
class Told:
    """``secrets``: by environment variable, the name of the secret whose file ``<variable>_FILE`` names."""

    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


def gateway(settings: Settings, public_url: str | None, optional: Set[str] = frozenset()) -> Told:
    """``public_url``: see :func:`public_url_of`. ``optional``: those of the optional credentials that are there."""
    provider = settings.identity_provider
    oidc = {
        "OIDC_ISSUER": provider.issuer,
        "OIDC_AUDIENCE": provider.audience,
        "OIDC_JWKS_URL": provider.jwks_url,
        "OIDC_TENANT_CLAIM": provider.tenant_claim,
    }
    return Told(
        environment={
            **_platforms(settings),
            **_answers(settings.answers),
            **({name: value for name, value in oidc.items() if value} if provider.issuer else {}),
            **({"PUBLIC_URL": public_url} if public_url else {}),
        },
        secrets={**_credentials(settings, GATEWAY_READS, optional), **TOKEN_KEY},
    )


def worker(settings: Settings, optional: Set[str] = frozenset()) -> Told:
    return Told(
        environment={**_platforms(settings), **_answers(settings.answers)},
        secrets={**_credentials(settings, WORKER_READS, optional), **TOKEN_KEY},
    )


def transport(settings: Settings, part: TransportPart) -> Told:
    return Told(
        environment=_of_slack(settings) if part == "slack-transport" else _of_feishu(settings),
        secrets=_credentials(settings, TRANSPORT_READS[part], frozenset()),
    )


def transports(settings: Settings) -> tuple[TransportPart, ...]:
    """Those that the settings choose: each is a process of its own, of which there is one."""
    slack, feishu = settings.platforms.slack, settings.platforms.feishu
    chosen: list[TransportPart] = []
    if slack and slack.transport == "socketMode":
        chosen.append("slack-transport")
    if feishu and feishu.transport == "longConnection":
        chosen.append("feishu-transport")
    return tuple(chosen)


@dataclass(frozen=True)
class Caller:
    """``part`` opens connections to the address ``url``."""

    part: Literal["gateway", "worker"] | TransportPart
    url: str
    why: str


def callers(settings: Settings) -> tuple[Caller, ...]:
    """Who calls which platform or identity provider, each connection once."""
    generic, slack, feishu = settings.platforms.generic, settings.platforms.slack, settings.platforms.feishu
    provider = settings.identity_provider
    found: list[Caller] = []
    if generic.url is not None:
        found.append(Caller("worker", generic.url, "answer on the platform"))
    if slack:
        found.append(Caller("worker", slack.api_url, "answer on Slack"))
        if slack.client_id:
            found.append(Caller("gateway", slack.api_url, "install the Slack application"))
    if feishu:
        found.append(Caller("worker", feishu.url, "answer on Feishu"))
        found.append(Caller("gateway", feishu.url, "install the Feishu application"))
    # What the platform answers with is the address of the connection itself, another of its names on the same port.
    for part in transports(settings):
        if slack and part == "slack-transport":
            found.append(Caller(part, slack.api_url, "receive events"))
        if feishu and part == "feishu-transport":
            found.append(Caller(part, feishu.url, "receive events"))
    keys = "fetch the identity provider's keys"
    found += [Caller("gateway", url, keys) for url in (provider.issuer, provider.jwks_url) if url]
    each: dict[object, Caller] = {}
    for caller in found:
        each.setdefault((caller.part, destinations(caller.url)), caller)
    return tuple(each.values())


def public_url_of(settings: Settings, own: str | None) -> str | None:
    """Where browsers and platforms reach the gateway, if that matters to the stack. ``own``: the gateway's, if it is known."""
    if settings.public_url:
        return settings.public_url
    return own if settings.platforms.connected else None


def webhook_urls(settings: Settings, url: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    """Of the vendors' platforms, those that call us. ``url``: where they reach the gateway."""
    slack, feishu = settings.platforms.slack, settings.platforms.feishu
    calling: dict[Platform, bool] = {
        "slack": slack is not None and slack.transport == "webhook",
        "feishu": feishu is not None and feishu.transport == "webhook",
    }
    return {name: pulumi.Output.concat(url, "/events/", name) for name, calls in calling.items() if calls}


def redirect_uris(settings: Settings, url: pulumi.Input[str]) -> dict[str, pulumi.Input[str]] | None:
    """Where a platform sends a browser back after an installation."""
    uris: dict[str, pulumi.Input[str]] = {
        name: pulumi.Output.concat(url, "/oauth/", name, "/callback") for name in installable(settings)
    }
    return uris or None


def installable(settings: Settings) -> tuple[Platform, ...]:
    """The platforms whose application others install: a Slack application of one workspace has its token."""
    slack = settings.platforms.slack
    return tuple(name for name in settings.platforms.connected if name != "slack" or (slack and slack.client_id))


def _credentials(settings: Settings, read: Set[str], optional: Set[str]) -> dict[str, str]:
    names = credentials.wanted(settings.platforms)
    there = (*names.required, *(name for name in names.optional if name in optional))
    return {name.upper(): name for name in there if name in read}


def _platforms(settings: Settings) -> dict[str, str]:
    return {**_of_slack(settings), **_of_feishu(settings)}


def _of_slack(settings: Settings) -> dict[str, str]:
    slack = settings.platforms.slack
    if slack is None:
        return {}
    return {
        "SLACK_API_URL": slack.api_url,
        "SLACK_AUTHORIZE_URL": slack.authorize_url,
        **({"SLACK_CLIENT_ID": slack.client_id} if slack.client_id else {}),
    }


def _of_feishu(settings: Settings) -> dict[str, str]:
    feishu = settings.platforms.feishu
    if feishu is None:
        return {}
    return {
        "FEISHU_APP_ID": feishu.app_id,
        "FEISHU_URL": feishu.url,
        "FEISHU_ACCOUNTS_URL": feishu.accounts_url,
        **({"FEISHU_BOT_OPEN_ID": feishu.bot_open_id} if feishu.bot_open_id else {}),
        **({"FEISHU_CALENDAR_ID": feishu.calendar_id} if feishu.calendar_id else {}),
    }


def _answers(answers: Answers) -> dict[str, str]:
    """What the stack says of them; the rest is the application's own default."""
    variables = {
        "cache_seconds": "ANSWER_CACHE_SECONDS",
        "cache_entries": "ANSWER_CACHE_ENTRIES",
        "context_turns": "CONTEXT_TURNS",
        "context_characters": "CONTEXT_CHARACTERS",
        "context_seconds": "CONTEXT_SECONDS",
    }
    return {
        variable: f"{getattr(answers, name):.15g}" for name, variable in variables.items() if name in answers.model_fields_set
    }
