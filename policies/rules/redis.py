"""Redis is the one service with state: nobody without its password, nothing evicted, every acknowledged write on the disk."""

from __future__ import annotations

from typing import Final

from policies.local_types import PROCESS, Role, role_of
from policies.resource import Resource
from policies.rule import PASS, Check, Rule, Severity, Verdict, each, fail
from policies.rules import links, managed_redis, redis_pods
from policies.rules.redis_access import authenticated, directives
from policies.show import show


def is_redis(resource: Resource) -> bool:
    return role_of(resource.view) is Role.REDIS


def requires_authentication(resource: Resource) -> Verdict:
    return authenticated(resource.view) if is_redis(resource) else PASS


def never_evicts(resource: Resource) -> Verdict:
    if not is_redis(resource):
        return PASS
    policy = " ".join(directives(resource.view).get("maxmemory-policy", ["noeviction"]))  # Redis' own default
    return PASS if policy.lower() == "noeviction" else fail(f"maxmemory-policy is {show(policy)}: events would vanish unseen")


def always_on_disk(resource: Resource) -> Verdict:
    if not is_redis(resource):
        return PASS
    found = directives(resource.view)

    def check(directive: str, wanted: str, default: str) -> Verdict:
        came = " ".join(found.get(directive, [default]))
        return PASS if came.lower() == wanted else fail(f"{directive} is {show(came)}, not {wanted}")

    return each(lambda: check("appendonly", "yes", "no"), lambda: check("appendfsync", "always", "everysec"))


READ: Final = ("command", "configurationFiles")

RULES: Final = (
    Rule(
        id="R08",
        name="redis-authentication",
        title="Redis requires authentication",
        severity=Severity.HIGH,
        controls=("5.17", "8.5"),
        remedy="give every user of the access list a password (or set requirepass), and never nopass",
        link=links.REDIS_SECURITY,
        checks=(Check(types=(PROCESS,), properties=READ, judge=requires_authentication),),
        relations=(managed_redis.AUTHENTICATION, redis_pods.AUTHENTICATION),
    ),
    Rule(
        id="L03",
        name="redis-never-evicts",
        title="Redis never evicts",
        severity=Severity.HIGH,
        controls=("8.6", "5.33"),
        remedy="set maxmemory-policy noeviction: overload is refused at admission, and what is a cache bounds itself",
        link=links.REDIS_EVICTION,
        checks=(Check(types=(PROCESS,), properties=READ, judge=never_evicts),),
    ),
    Rule(
        id="L04",
        name="redis-durable",
        title="Redis has every acknowledged write on the disk",
        severity=Severity.HIGH,
        controls=("8.13", "8.14", "5.33"),
        remedy="set appendonly yes and appendfsync always: an acknowledged event must survive a power cut",
        link=links.REDIS_PERSISTENCE,
        checks=(Check(types=(PROCESS,), properties=READ, judge=always_on_disk),),
    ),
)
