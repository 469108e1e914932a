"""How a stack and a platform are going to reach each other, decided from the stack's settings and outputs. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from infra.platform_settings import Platform
from infra.settings import ON_AWS, Settings
from tools.connect.fields import Wrong

WEBHOOK = "webhook"
OUTBOUND: Mapping[Platform, str] = {"slack": "socketMode", "feishu": "longConnection"}
NAMES = {"webhook": "webhook", "socketMode": "Socket Mode", "longConnection": "long connection"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``base``: the address under which the platform reaches the gateway, None where there is no public one. ``option``: what a
    ``make`` command needs besides, to mean this stack. ``why``: the transport, in a sentence."""

    platform: Platform
    stack: str
    option: str
    transport: str
    why: str
    base: str | None
    on_aws: bool = False

    @property
    def webhook(self) -> bool:
        return self.transport == WEBHOOK

    @property
    def events_url(self) -> str | None:
        return f"{self.base}/events/{self.platform}" if self.base else None

    @property
    def redirect_uri(self) -> str | None:
        """Where an installation comes back."""
        return f"{self.base}/oauth/{self.platform}/callback" if self.base else None


def plan_for(platform: Platform, stack: str, option: str, settings: Settings, outputs: Mapping[str, Any], wanted: str) -> Plan:
    """``outputs``: empty where the stack is not up. ``wanted``: the transport that was asked for, "" for none. Raises
    :class:`Wrong`."""
    base, outbound = public_address(settings, outputs), OUTBOUND[platform]
    if wanted not in ("", WEBHOOK, outbound):
        raise Wrong("TRANSPORT", f'is "{wanted[:40]}". Allowed here: {outbound} or {WEBHOOK}')
    transport = wanted or configured_transport(platform, settings) or (WEBHOOK if base else outbound)
    if transport == WEBHOOK and base is None:
        raise Wrong("TRANSPORT", no_address(platform, stack, option, settings))
    return Plan(
        platform=platform,
        stack=stack,
        option=option,
        transport=transport,
        why=_why(transport, base, option),
        base=base,
        on_aws=settings.target in ON_AWS,
    )


def configured_transport(platform: Platform, settings: Settings) -> str | None:
    """What the stack's file says itself, and not by leaving it out."""
    section = getattr(settings.platforms, platform)
    return str(section.transport) if section is not None and "transport" in section.model_fields_set else None


def public_address(settings: Settings, outputs: Mapping[str, Any]) -> str | None:
    """Where the world reaches the gateway, as far as settings and outputs tell."""
    if settings.target in ON_AWS:
        own = f"https://{settings.edge.domain}" if settings.edge.domain else None
    else:
        host = settings.exposure.host if settings.target == "cluster" else None
        own = outputs.get("url") or (f"https://{host}" if host else None)
    found = settings.public_url or own
    return found.rstrip("/") if found and is_public(found) else None


def is_public(url: str) -> bool:
    """Whether a platform could call it: https, and a host that is no network's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        last = host.rpartition(".")[2]
        return "." in host and last not in ("localhost", "local", "internal", "test", "invalid", "example")


def no_address(platform: Platform, stack: str, option: str, settings: Settings) -> str:
    """What to do where webhooks are wanted and nobody could deliver them."""
    outbound = OUTBOUND[platform]
    where = f"the stack {stack} has none"
    if settings.target in ON_AWS:
        return f"webhook needs a public https:// address, and {where}: set it with make set{option} KEY=edge.domain VALUE=…"
    return (
        f"webhook needs a public https:// address, and {where}. Give it that of a tunnel or proxy that leads to the gateway: "
        f"make set{option} KEY=publicUrl VALUE=https://… Or do without one: TRANSPORT={outbound}, a connection that goes out"
    )


def _why(transport: str, base: str | None, option: str) -> str:
    if transport == WEBHOOK:
        return f"Events come by webhook, to {base}."
    said = f"Events come by {NAMES[transport]}: a process of the stack opens a connection, and no public address is needed."
    if base:
        return f"{said}\nBy webhook instead, to {base}: TRANSPORT={WEBHOOK}"
    return (
        f"{said}\nWebhooks would need a public https:// address, which this stack does not have (with a tunnel or a proxy: "
        f"make set{option} KEY=publicUrl VALUE=https://…)."
    )
