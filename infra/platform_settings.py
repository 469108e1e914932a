"""Settings of what the assistant is connected to, and of whom it serves: platforms, access, answers, an identity provider.

A platform is set up where its section stands (``platforms.slack: {}`` is enough). Its credentials are no settings:
:mod:`infra.credentials`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from app.settings import AnswerSettings, FeishuSettings, SlackSettings
from infra.section import Allowed, Section

Platform = Literal["slack", "feishu"]

Address = Annotated[
    str,
    Field(pattern=r"^https?://[^\s/?#]+[^\s?#]*$"),
    Allowed("an address that starts with http:// or https://, without ? and #"),
]
AccessFile = Annotated[Path | None, AfterValidator(lambda path: path.expanduser() if path else None)]


def _default(model: Any, field: str) -> Any:
    """The application's own, so that both say the same."""
    return model.model_fields[field].default


def _emptied(value: Any) -> Any:
    """``make set KEY=platforms.slack VALUE={}`` arrives as text."""
    return {} if value == "{}" else value


class GenericPlatform(Section):
    """A platform that speaks Standard Webhooks, and this assistant's OAuth2 client there."""

    # Left out, `local` takes LOCAL_PLATFORM, where `make say` plays it; a cluster is then not connected to such a platform.
    url: Annotated[
        str | None, Field(pattern=r"^https?://[^\s/]+\S*$"), Allowed("an address that starts with http:// or https://")
    ] = None
    client_id: Annotated[str, Field(pattern=r"^[\x21-\x39\x3b-\x7e]+$"), Allowed("printable ASCII without blank and colon")] = (
        "assistant"
    )


class Slack(Section):
    """A Slack application. With ``clientId``, workspaces install it themselves; else it has the token of one workspace."""

    app_id: Annotated[str | None, Field(pattern=r"^A[A-Z0-9]+$"), Allowed("the application's id, A0123456789")] = None
    client_id: Annotated[
        str | None, Field(pattern=r"^[0-9]+\.[0-9]+$"), Allowed("the application's client id in quotes, '1234.5678'")
    ] = None
    transport: Annotated[Literal["webhook", "socketMode"], Allowed("webhook or socketMode")] = "webhook"
    api_url: Address = _default(SlackSettings, "slack_api_url")
    authorize_url: Address = _default(SlackSettings, "slack_authorize_url")


class Feishu(Section):
    """A Feishu application, or, with Lark's two addresses, a Lark one."""

    app_id: Annotated[str, Field(pattern=r"^cli_[A-Za-z0-9]+$"), Allowed("the application's id, cli_…")]
    transport: Annotated[Literal["webhook", "longConnection"], Allowed("webhook or longConnection")] = "webhook"
    url: Address = _default(FeishuSettings, "feishu_url")
    accounts_url: Address = _default(FeishuSettings, "feishu_accounts_url")
    bot_open_id: Annotated[
        str | None, Field(pattern=r"^ou_[A-Za-z0-9]+$"), Allowed("the bot's own open_id, ou_…; left out: learnt from Feishu")
    ] = None
    calendar_id: Annotated[
        str | None, Field(min_length=1), Allowed("the id of a calendar; left out: the application's own")
    ] = None


class Platforms(Section):
    generic: GenericPlatform = GenericPlatform()
    slack: Annotated[Slack | None, BeforeValidator(_emptied)] = None
    feishu: Annotated[Feishu | None, BeforeValidator(_emptied)] = None

    @property
    def connected(self) -> tuple[Platform, ...]:
        """Those of the vendors that are set up."""
        platforms: tuple[Platform, ...] = ("slack", "feishu")
        return tuple(name for name in platforms if getattr(self, name) is not None)


class Access(Section):
    """Who may do what, and whose things are whose. A relative path starts at the checkout."""

    tenants: Annotated[AccessFile, Allowed("the path of a YAML file; left out: one tenant, to whom everybody belongs")] = None
    roles: Annotated[AccessFile, Allowed("the path of a YAML file; left out: app/auth/roles.yaml")] = None
    # A Secret of the user's own, where pods find what the tenants' file refers to.
    secret: Annotated[
        str | None, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"), Allowed("the name of a Secret in the namespace")
    ] = None


class Answers(Section):
    """The answer cache and the context of a conversation; see ``app.settings.AnswerSettings``."""

    cache_seconds: Annotated[float, Field(ge=0, le=30 * 86400), Allowed("seconds, from 0 (no cache) to 2592000")] = _default(
        AnswerSettings, "answer_cache_seconds"
    )
    cache_entries: Annotated[int, Field(ge=1, le=10_000_000), Allowed("a whole number from 1 to 10000000")] = _default(
        AnswerSettings, "answer_cache_entries"
    )
    context_turns: Annotated[int, Field(ge=0, le=100), Allowed("a whole number from 0 (no context) to 100")] = _default(
        AnswerSettings, "context_turns"
    )
    context_characters: Annotated[int, Field(ge=1, le=1_000_000), Allowed("a whole number from 1 to 1000000")] = _default(
        AnswerSettings, "context_characters"
    )
    context_seconds: Annotated[float, Field(ge=1, le=30 * 86400), Allowed("seconds, from 1 to 2592000")] = _default(
        AnswerSettings, "context_seconds"
    )


class IdentityProvider(Section):
    """Whose bearer tokens (JWT) the answer API takes beside API keys."""

    issuer: Annotated[Address | None, Allowed("the issuer's address, exactly as its tokens name it")] = None
    audience: Annotated[str | None, Field(min_length=1), Allowed("what the tokens' `aud` must hold")] = None
    jwks_url: Annotated[Address | None, Allowed("the address of its keys; left out: as its discovery document says")] = None
    tenant_claim: Annotated[str, Field(min_length=1), Allowed("the name of the claim that holds the tenant")] = "tenant"

    @model_validator(mode="after")
    def _whole(self) -> IdentityProvider:
        if (self.issuer is None) != (self.audience is None):
            raise ValueError("identityProvider.issuer and identityProvider.audience belong together: give both or neither")
        if self.issuer is None and self.jwks_url is not None:
            raise ValueError("identityProvider.jwksUrl is of an issuer: give identityProvider.issuer and .audience as well")
        return self
