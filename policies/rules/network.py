"""Who can reach a process, and how: loopback for internal services, TLS 1.2 or newer for the edge and beyond the machine."""

from __future__ import annotations

import ipaddress
import re
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from policies.local_types import INTERNAL_ROLES, PROCESS, Role, role_of
from policies.resource import Resource, View
from policies.rule import PASS, Check, Rule, Severity, Verdict, all_of, each, fail, undetermined
from policies.rules import links, listeners
from policies.rules.redis_access import directives
from policies.show import show

OLDEST_TLS: Final = (1, 2)
# TLS_MINIMUM_VERSION=1.1, SSL_PROTOCOLS=TLSv1 TLSv1.2, MIN_TLS=TLSv1_1: whatever a setting for the version may be called.
TLS_SETTING: Final = re.compile(r"(?:TLS|SSL)(?!.*(?:KEY|CERT|CA_|FILE)).*(?:MIN|VERSION|PROTOCOL)|MIN.*(?:TLS|SSL)")
TLS_VERSION: Final = re.compile(r"(?:(?P<ssl>SSL)|TLS)?[ _]?v?(?P<major>[1-3])(?:[._](?P<minor>\d))?(?![\d.])", re.IGNORECASE)
# Schemes by which a password or a message would cross a network in plain.
PLAIN_SCHEMES: Final = {"http": "https", "redis": "rediss", "ws": "wss", "amqp": "amqps", "ftp": "sftp", "tcp": "tls"}


def is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def loopback_alone(resource: Resource) -> Verdict:
    view = resource.view
    role = role_of(view)
    if role is Role.REDIS:
        return _redis_addresses(view)
    if role not in INTERNAL_ROLES:
        return (
            PASS
            if role is Role.GATEWAY
            else undetermined("command is none that the rule knows, so nobody can say where it listens")
        )
    environment = view.mapping("environment")
    host = environment.text("HOST") if environment else None
    if not host:
        return fail("environment.HOST is not set: say 127.0.0.1")
    return PASS if is_loopback(host) else fail(f"environment.HOST is {show(host)}, which other machines may reach")


def _redis_addresses(view: View) -> Verdict:
    addresses = directives(view).get("bind", [])
    if not addresses:
        return fail("Redis binds no address of its own and so listens on every interface: say bind 127.0.0.1")
    # A leading "-" means: go on where the address is not available.
    return all_of(
        PASS
        if is_loopback(address.removeprefix("-"))
        else fail(f"Redis listens on {show(address)}, which other machines may reach")
        for address in addresses
    )


def tls_minimum(resource: Resource) -> Verdict:
    view = resource.view
    if role_of(view) is not Role.GATEWAY:
        return PASS
    environment = view.mapping("environment")
    if environment is None:
        return fail("environment is missing: without TLS_CERTIFICATE and TLS_PRIVATE_KEY the gateway serves plain HTTP")
    return each(lambda: _serves_tls(environment), lambda: _no_older_version(environment), lambda: _asked_over_tls(view))


def _serves_tls(environment: View) -> Verdict:
    missing = [name for name in ("TLS_CERTIFICATE", "TLS_PRIVATE_KEY") if not environment.text(name)]
    return (
        fail(f"environment.{' and environment.'.join(missing)} not set: the gateway would serve plain HTTP")
        if missing
        else PASS
    )


def _no_older_version(environment: View) -> Verdict:
    return each(*(partial(_version, environment, name) for name in environment.names() if TLS_SETTING.search(name)))


def _version(environment: View, name: str) -> Verdict:
    value = environment.text(name) or ""
    versions = [(0 if match["ssl"] else int(match["major"]), int(match["minor"] or 0)) for match in TLS_VERSION.finditer(value)]
    if any(version < OLDEST_TLS for version in versions):
        return fail(f"environment.{name} is {show(value)}: TLS 1.2 is the oldest version allowed")
    return PASS if versions else undetermined(f"environment.{name} is {show(value)}, which names no version of TLS")


def _asked_over_tls(view: View) -> Verdict:
    check = view.mapping("check")
    kind = check.text("kind") if check else None
    return PASS if kind in (None, "https") else fail(f"check.kind is {show(kind or '')}: the gateway must be asked over https")


def encrypted_beyond_the_machine(resource: Resource) -> Verdict:
    environment = resource.view.mapping("environment")
    if environment is None:
        return PASS
    return each(
        *(
            partial(_encrypted, environment, name)
            for name in environment.names()
            if name.endswith(("_URL", "_URI", "_ENDPOINT"))
        )
    )


def _encrypted(environment: View, name: str) -> Verdict:
    value = environment.text(name) or ""
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError:
        return fail(f"environment.{name} is no address that can be read")
    better = PLAIN_SCHEMES.get(parts.scheme.lower())
    if better is None or is_loopback(host):
        return PASS
    return fail(f"environment.{name} leads to {show(host)} in plain ({parts.scheme}); use {better}")


RULES: Final = (
    Rule(
        id="L02",
        name="internal-services-loopback",
        title="Internal services (redis, inference, worker) listen on loopback alone",
        severity=Severity.HIGH,
        controls=("8.20", "8.22"),
        remedy="set HOST=127.0.0.1 (for Redis: bind 127.0.0.1); the gateway is the one way in",
        link=links.LOOPBACK,
        checks=(Check(types=(PROCESS,), properties=("command", "environment", "configurationFiles"), judge=loopback_alone),),
    ),
    Rule(
        id="R57",
        name="tls-minimum",
        title="Listeners speak TLS 1.2 or newer, and port 80 only redirects",
        severity=Severity.CRITICAL,
        controls=("8.21", "8.24"),
        remedy="give the gateway TLS_CERTIFICATE and TLS_PRIVATE_KEY, a listener an sslPolicy from TLS 1.2 on, an Ingress tls",
        link=links.TLS,
        checks=(
            Check(types=(PROCESS,), properties=("command", "environment", "check"), judge=tls_minimum),
            *listeners.TLS_CHECKS,
        ),
        relations=listeners.TLS_RELATIONS,
    ),
    Rule(
        id="L09",
        name="encrypted-beyond-the-machine",
        title="What a process sends to another machine is encrypted",
        severity=Severity.HIGH,
        controls=("5.14", "8.20", "8.24"),
        remedy="use https (rediss, wss) for every address that is not this machine's",
        link=links.TLS,
        checks=(Check(types=(PROCESS,), properties=("environment",), judge=encrypted_beyond_the_machine),),
    ),
)
