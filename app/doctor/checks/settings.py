"""The settings: whether they can be read, and what a platform that is meant still lacks, by name."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Final

from app.doctor.finding import Finding, error, note, ok, warning
from app.doctor.place import Place, Service

CHECK: Final = "settings"
CORRECT: Final = "Correct it where the stack says it (docs/configuration.md), and bring the stack up again: make up."


async def look(place: Place) -> list[Finding]:
    if place.settings is None:
        return [error(CHECK, mistake, "the process does not start with it", CORRECT) for mistake in place.mistakes]
    given = {name for name in type(place.settings).model_fields if _value(place.settings, name) is not None}
    found = missing(place.service, given & set(place.settings.model_fields_set))
    return found or [ok(CHECK, "The settings are valid and complete", f"{len(place.settings.model_fields_set)} are set")]


def missing(service: Service, given: Set[str]) -> list[Finding]:
    """``given``: the fields that somebody has set. A platform is meant where one of its settings is there."""
    found: list[Finding] = []
    if service == "gateway":
        found += _together(given, "slack_client_id", "slack_client_secret", "nobody can install the Slack application")
        found += _together(given, "feishu_encrypt_key", "feishu_verification_token", "Feishu's challenge cannot be proved")
        found += _together(given, "oidc_issuer", "oidc_audience", "no bearer token is taken")
        found += _together(given, "oidc_audience", "oidc_issuer", "no bearer token is taken")
        found += _together(given, "tls_certificate", "tls_private_key", "the gateway does not start")
        if _platform(given, "slack") and "slack_signing_secret" not in given:
            found.append(_without_webhooks("Slack", "SLACK_SIGNING_SECRET", "Socket Mode"))
        if _platform(given, "feishu") and "feishu_verification_token" not in given and "feishu_encrypt_key" not in given:
            found.append(_without_webhooks("Feishu", "FEISHU_VERIFICATION_TOKEN", "the long connection"))
        if "slack_client_id" in given:
            found += _together(given, "slack_client_id", "public_url", "Slack does not know where to come back to")
    if service in ("gateway", "worker"):
        if "slack_client_id" in given and "token_key" not in given:
            found.append(_lacks("TOKEN_KEY", "nothing can seal the tokens of teams that install the Slack application"))
        found += _together(given, "feishu_app_id", "feishu_app_secret", "nothing is sent to Feishu")
    if service == "worker":
        if _platform(given, "slack") and not given & {"slack_bot_token", "slack_client_id"}:
            found.append(
                warning(
                    CHECK,
                    "Nothing can be sent to Slack",
                    "neither SLACK_BOT_TOKEN nor SLACK_CLIENT_ID is set; tenants.yaml may name tokens of its own",
                    "For one workspace set SLACK_BOT_TOKEN, for several SLACK_CLIENT_ID and SLACK_CLIENT_SECRET.",
                )
            )
        for other in ("generic_client_secret", "generic_webhook_secret"):
            found += _together(given, "generic_url", other, "the worker does not start")
    return found


def _together(given: Set[str], first: str, second: str, so: str) -> list[Finding]:
    if first not in given or second in given:
        return []
    return [_lacks(second.upper(), f"{first.upper()} is set, and without {second.upper()} {so}")]


def _lacks(name: str, why: str) -> Finding:
    return error(CHECK, f"{name} is not set", why, f"Set {name} (or {name}_FILE, with the path of a file). {CORRECT}")


def _without_webhooks(platform: str, name: str, transport: str) -> Finding:
    return note(
        CHECK,
        f"No webhooks of {platform} are taken here",
        f"{name} is not set",
        f"Right where {transport} brings the events; else set {name}.",
    )


def _platform(given: Set[str], name: str) -> bool:
    return any(field.startswith(f"{name}_") for field in given)


def _value(settings: Any, name: str) -> object:
    return getattr(settings, name)
