"""The firewall's rules, asked as the service asks them: what gets through to the gateway, and what does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aws_rendering import aws_settings, render_component

from app.gateway.routes import ROUTES, Authentication
from infra.aws.firewall import (
    ANONYMOUS,
    COMMON,
    COUNTED,
    KNOWN_BAD,
    PLATFORM_PATHS,
    REPUTATION,
    TEXT_PATHS,
    Firewall,
    FirewallArgs,
)

INSPECTED_BYTES = 8192
ALLOWED, BLOCKED, TOO_MANY = 200, 403, 429
RULES_OF = {
    "a script": (COMMON, "CrossSiteScripting_BODY"),
    "a URL with an address": (COMMON, "GenericRFI_BODY"),
    "a path upwards": (COMMON, "GenericLFI_BODY"),
    "a metadata address": (COMMON, "EC2MetaDataSSRF_BODY"),
    "a JNDI lookup": (KNOWN_BAD, "Log4JRCE_BODY"),
    "a script in the query": (COMMON, "CrossSiteScripting_QUERYARGUMENTS"),
    "a JNDI lookup in a header": (KNOWN_BAD, "Log4JRCE_HEADER"),
    "no user agent": (COMMON, "NoUserAgent_HEADER"),
    "a bad address": (REPUTATION, "AWSManagedIPReputationList"),
    "an anonymous address": (ANONYMOUS, "HostingProviderIPList"),
}
CODE = ("a script", "a URL with an address", "a path upwards", "a metadata address", "a JNDI lookup")


@dataclass(frozen=True)
class Request:
    """``holds``: what the managed rules find. ``earlier``: requests within the window, of the path and of the address."""

    path: str
    size: int = 0
    holds: tuple[str, ...] = ()
    earlier: Mapping[str, int] = field(default_factory=dict)

    def matches(self, group: str) -> list[str]:
        too_long = [(COMMON, "SizeRestrictions_BODY")] if self.size > INSPECTED_BYTES else []
        return [rule for of, rule in [*too_long, *(RULES_OF[what] for what in self.holds)] if of == group]


def status(rules: list[dict[str, Any]], request: Request) -> int:
    """What the client gets: AWS WAF's documented evaluation, in order of priority, as far as these rules go."""
    labels: set[str] = set()
    for rule in sorted(rules, key=lambda rule: rule["priority"]):
        group = rule["statement"].get("managedRuleGroupStatement")
        if group is not None:
            assert ("none" in rule["overrideAction"]) != ("count" in rule["overrideAction"])
            if "scopeDownStatement" in group and not holds(group["scopeDownStatement"], request, labels):
                continue
            counted = {one["name"] for one in group.get("ruleActionOverrides", []) if "count" in one["actionToUse"]}
            for matched in request.matches(group["name"]):
                if matched in counted:
                    labels.add(COUNTED[group["name"]][matched])
                elif "none" in rule["overrideAction"]:
                    return BLOCKED
        elif holds(rule["statement"], request, labels):
            labels.update(label["name"] for label in rule.get("ruleLabels", []))
            if "block" in rule["action"]:
                return int(rule["action"]["block"].get("customResponse", {}).get("responseCode", BLOCKED))
    return ALLOWED


def holds(statement: dict[str, Any], request: Request, labels: set[str]) -> bool:
    ((kind, inner),) = statement.items()
    if kind == "byteMatchStatement":
        assert inner["fieldToMatch"] == {"uriPath": {}}
        wanted = inner["searchString"]
        return request.path == wanted if inner["positionalConstraint"] == "EXACTLY" else request.path.startswith(wanted)
    if kind == "labelMatchStatement":
        return inner["key"] in labels
    if kind == "rateBasedStatement":
        counted = request.earlier.get(inner["aggregateKeyType"], 0)
        return holds(inner["scopeDownStatement"], request, labels) and counted >= inner["limit"]
    if kind == "notStatement":
        return not holds(inner["statement"], request, labels)
    several = [holds(one, request, labels) for one in inner["statements"]]
    assert len(several) >= 2, f"the service refuses {kind} of {len(several)}"
    return {"andStatement": all, "orStatement": any}[kind](several)


@pytest.fixture
async def rendered():
    return await render_component(
        lambda context: Firewall(
            "firewall", FirewallArgs(context=context, load_balancer_arn="the-balancer", log_key_arn="the-key")
        ),
        aws_settings("prod", edge={**EDGE, "platformRate": 5000, "addressRate": 500}),
    )


EDGE = {"domain": "assistant.example.com", "zone": "example.com"}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        # A signed event of 100 KB with code and URLs, sent by a program from a cloud.
        (Request("/events", 100_000, (*CODE, "no user agent", "a bad address", "an anonymous address")), ALLOWED),
        (Request("/events/slack", 100_000, CODE), ALLOWED),
        # A question about a script, with a long context: the gateway asks for an API key and shows nothing as HTML.
        (Request("/api/v1/answer", 100_000, CODE), ALLOWED),
        # What is not text is judged as anywhere else.
        (Request("/events", holds=("a script in the query",)), BLOCKED),
        (Request("/events", holds=("a JNDI lookup in a header",)), BLOCKED),
        (Request("/api/v1/answer", holds=("a bad address",)), BLOCKED),
        (Request("/api/v1/events/1", holds=("an anonymous address",)), ALLOWED),
        # Nothing else takes a body.
        (Request("/", 9000), BLOCKED),
        *((Request("/readyz", 100, (what,)), BLOCKED) for what in CODE),
        (Request("/events%2f", 100, ("a script",)), BLOCKED),
        (Request("/%65vents", 9000), BLOCKED),
        (Request("/eventsandmore", 9000), BLOCKED),
        (Request("/docs"), ALLOWED),
        (Request("/docs", holds=("no user agent",)), BLOCKED),
        # Rates: a platform by itself, whatever its addresses; everybody else by address.
        (Request("/events", earlier={"IP": 4999, "CONSTANT": 4999}), ALLOWED),
        (Request("/events", earlier={"IP": 1, "CONSTANT": 5000}), TOO_MANY),
        (Request("/api/v1/answer", earlier={"IP": 499, "CONSTANT": 9999}), ALLOWED),
        (Request("/api/v1/answer", earlier={"IP": 500}), TOO_MANY),
        (Request("/events/unknown", earlier={"IP": 500}), TOO_MANY),
    ],
)
async def test_lets_through_what_people_write_and_nothing_else(rendered, request_, expected):
    assert status(rendered.one("WebAcl").inputs["rules"], request_) == expected


async def test_stands_before_the_load_balancer_and_lets_pass_what_no_rule_stops(rendered):
    acl = rendered.one("WebAcl").inputs
    assert (acl["scope"], acl["defaultAction"]) == ("REGIONAL", {"allow": {}})
    association = rendered.one("WebAclAssociation").inputs
    assert association["resourceArn"] == "the-balancer"
    assert association["webAclArn"] == rendered.one("WebAclLoggingConfiguration").inputs["resourceArn"]


async def test_logs_what_it_stopped_encrypted_and_without_credentials(rendered):
    group = rendered.one("LogGroup").inputs
    assert group["name"] == "aws-waf-logs-assistant-prod-edge"
    assert (group["kmsKeyId"], group["retentionInDays"]) == ("the-key", 400)
    logging = rendered.one("WebAclLoggingConfiguration").inputs
    assert {one["singleHeader"]["name"] for one in logging["redactedFields"]} >= {"authorization", "cookie"}
    assert logging["loggingFilter"]["defaultBehavior"] == "DROP"
    assert "delivery.logs.amazonaws.com" in rendered.one("LogResourcePolicy").inputs["policyDocument"]


async def test_every_rule_has_a_priority_and_a_name_of_its_own(rendered):
    rules = rendered.one("WebAcl").inputs["rules"]
    for what in ("priority", "name"):
        assert len({rule[what] for rule in rules}) == len(rules)


def test_knows_the_paths_of_the_gateway_that_take_text():
    platforms = {route.platform: route.path for route in ROUTES if route.authentication is Authentication.PLATFORM}
    assert platforms == PLATFORM_PATHS
    assert {route.path for route in ROUTES if route.limit} == set(TEXT_PATHS)
