"""The web application firewall in front of the edge, which lets through what people write.

A load balancer hands the firewall the first 8 KB of a body and no more (docs.aws.amazon.com/waf, "body inspection size
limits"), and the managed body rules block what is longer, and what looks like code. Messages are long and hold code, and a
signature or an API key proves who sent them: on the paths that take text, body rules only count. Nothing else of the gateway
takes a body.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.alarms import GENERATING_ROUTES
from infra.aws.context import AwsContext
from infra.aws.identity import Statement, declared, policy_document
from infra.aws.logs import LogGroup, LogGroupArgs
from infra.aws_settings import Edge as EdgeSettings

# Of app/gateway/routes.py, written out because that brings a web framework along; a test compares the two.
PLATFORM_PATHS: Mapping[str, str] = {"generic": "/events", "slack": "/events/slack", "feishu": "/events/feishu"}
PLATFORM_PREFIX = "/events/"  # of every platform but the generic one
TEXT_PATHS = (*PLATFORM_PATHS.values(), *GENERATING_ROUTES)

# Labels of this web ACL's own, by which later rules know what a request is.
TEXT_LABEL, PLATFORM_LABEL = "assistant:text", "assistant:platform"
RATE_WINDOW_SECONDS = 300
TOO_MANY = 429
RETRY_AFTER_SECONDS = 60

# The rules that look at the body, and the one that wants a user agent, which senders of webhooks leave out, with their labels
# (docs.aws.amazon.com/waf, "Baseline rule groups"). A rule that a later version adds blocks until it stands here.
COMMON, KNOWN_BAD = "AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"
REPUTATION, ANONYMOUS = "AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesAnonymousIpList"
COUNTED: Mapping[str, Mapping[str, str]] = {
    COMMON: {
        rule: f"awswaf:managed:aws:core-rule-set:{label}"
        for rule, label in {
            "SizeRestrictions_BODY": "SizeRestrictions_Body",
            "CrossSiteScripting_BODY": "CrossSiteScripting_Body",
            "GenericLFI_BODY": "GenericLFI_Body",
            "GenericRFI_BODY": "GenericRFI_Body",
            "EC2MetaDataSSRF_BODY": "EC2MetaDataSSRF_Body",
            "NoUserAgent_HEADER": "NoUserAgent_Header",
        }.items()
    },
    KNOWN_BAD: {
        rule: f"awswaf:managed:aws:known-bad-inputs:{label}"
        for rule, label in {
            "Log4JRCE_BODY": "Log4JRCE_Body",
            "JavaDeserializationRCE_BODY": "JavaDeserializationRCE_Body",
            "ReactJSRCE_BODY": "ReactJSRCE_Body",
        }.items()
    },
}
REDACTED_HEADERS = ("authorization", "cookie", "webhook-signature")
LOG_GROUP_PREFIX = "aws-waf-logs-"  # the service takes no other


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """``load_balancer_arn``: what it stands before. ``log_key_arn``: of the key that encrypts its log."""

    context: AwsContext
    load_balancer_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]


class Firewall(pulumi.ComponentResource):
    """``web_acl_name``: the dimension WebACL of its metrics."""

    web_acl_name: pulumi.Output[str]

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Firewall", name, {}, opts)
        context, child = args.context, pulumi.ResourceOptions(parent=self)
        acl_name = context.name("edge")
        acl = aws.wafv2.WebAcl(
            f"{name}-acl",
            name=acl_name,
            description="What reaches the load balancer of the assistant",
            scope="REGIONAL",
            default_action={"allow": {}},
            rules=rules(context.settings.edge, context.settings.platforms.connected),
            visibility_config=_visibility(acl_name),
            opts=child,
        )
        aws.wafv2.WebAclAssociation(f"{name}-association", resource_arn=args.load_balancer_arn, web_acl_arn=acl.arn, opts=child)
        said = self._log(name, args, acl, child)
        self.web_acl_name = acl.name
        self.register_outputs({"web_acl_name": self.web_acl_name, "statements": declared(said)})

    def _log(
        self, name: str, args: FirewallArgs, acl: aws.wafv2.WebAcl, child: pulumi.ResourceOptions
    ) -> dict[str, list[Statement]]:
        """The statements that it makes a policy of, by that policy's name."""
        context = args.context
        named = LOG_GROUP_PREFIX + context.name("edge")
        group = LogGroup(
            f"{name}-log", LogGroupArgs(context=context, key_arn=args.log_key_arn, words=("firewall",), named=named), child
        )
        # Without it the service writes one of its own, which no destroy would remove.
        statement = Statement(
            actions=("logs:CreateLogStream", "logs:PutLogEvents"),
            resources=(pulumi.Output.concat(group.arn, ":*"),),
            principals={"Service": (context.partition.service("delivery.logs"),)},
            conditions={
                "StringEquals": {"aws:SourceAccount": context.account},
                "ArnLike": {"aws:SourceArn": context.arn("logs", "*")},
            },
        )
        policy_name = f"{name}-log-delivery"
        delivery = aws.cloudwatch.LogResourcePolicy(
            policy_name,
            policy_name=context.name("edge-firewall"),
            policy_document=policy_document(statement),
            opts=child,
        )
        aws.wafv2.WebAclLoggingConfiguration(
            f"{name}-logging",
            resource_arn=acl.arn,
            log_destination_configs=[group.arn],
            redacted_fields=[{"single_header": {"name": header}} for header in REDACTED_HEADERS],
            # What was let through stands in the load balancer's access log.
            logging_filter={
                "default_behavior": "DROP",
                "filters": [
                    {
                        "behavior": "KEEP",
                        "requirement": "MEETS_ANY",
                        "conditions": [{"action_condition": {"action": action}} for action in ("BLOCK", "EXCLUDED_AS_COUNT")],
                    }
                ],
            },
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[delivery])),
        )
        return {policy_name: [statement]}


def rules(edge: EdgeSettings, connected: Collection[str] = ()) -> list[Any]:
    """The web ACL's rules in the order in which they are asked. ``connected``: the vendors' platforms that are set up. Pure."""
    paths = {name: path for name, path in PLATFORM_PATHS.items() if name == "generic" or name in connected}
    platforms = _any(_path("EXACTLY", path) for path in paths.values())
    exact = [path for path in TEXT_PATHS if not path.startswith(PLATFORM_PREFIX)]
    text = _any([*(_path("EXACTLY", path) for path in exact), _path("STARTS_WITH", PLATFORM_PREFIX)])
    labels = [_label(label) for group in COUNTED.values() for label in group.values()]
    ordered = [
        _rule("platform-paths", platforms, action={"count": {}}, rule_labels=[{"name": PLATFORM_LABEL}]),
        _rule("text-paths", text, action={"count": {}}, rule_labels=[{"name": TEXT_LABEL}]),
        # A platform calls from few addresses and for many people, so that it is counted as a whole, …
        *(
            _rule(f"rate-{platform}", _rate(edge.platform_rate, "CONSTANT", _path("EXACTLY", path)), action=_too_many())
            for platform, path in paths.items()
        ),
        # … and everybody else by address.
        _rule("rate-address", _rate(edge.address_rate, "IP", _not(_label(PLATFORM_LABEL))), action=_too_many()),
        # Platforms send from clouds, whose addresses have had other users: their signature says who they are.
        _rule("reputation", _managed(REPUTATION, scope_down=_not(_label(PLATFORM_LABEL))), override_action={"none": {}}),
        # Hosting providers and VPNs, from which API clients call: to be looked at, not refused.
        _rule("anonymous", _managed(ANONYMOUS), override_action={"count": {}}),
        _rule("common", _managed(COMMON), override_action={"none": {}}),
        _rule("known-bad-inputs", _managed(KNOWN_BAD), override_action={"none": {}}),
        _rule("counted-elsewhere", _all([_any(labels), _not(_label(TEXT_LABEL))]), action={"block": {}}),
    ]
    return [{**rule, "priority": priority} for priority, rule in enumerate(ordered)]


def _rule(name: str, statement: Mapping[str, Any], **action: Any) -> dict[str, Any]:
    return {"name": name, "statement": statement, "visibility_config": _visibility(name), **action}


def _visibility(name: str) -> Any:
    return {"cloudwatch_metrics_enabled": True, "sampled_requests_enabled": True, "metric_name": name}


def _path(constraint: str, path: str) -> dict[str, Any]:
    """As it came, not decoded: a path in disguise is not taken for one that is treated gently."""
    return {
        "byte_match_statement": {
            "field_to_match": {"uri_path": {}},
            "positional_constraint": constraint,
            "search_string": path,
            "text_transformations": [{"priority": 0, "type": "NONE"}],
        }
    }


def _label(key: str) -> dict[str, Any]:
    return {"label_match_statement": {"scope": "LABEL", "key": key}}


def _any(statements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The service refuses an `or` of one."""
    listed = list(statements)
    return dict(listed[0]) if len(listed) == 1 else {"or_statement": {"statements": listed}}


def _all(statements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {"and_statement": {"statements": list(statements)}}


def _not(statement: Mapping[str, Any]) -> dict[str, Any]:
    return {"not_statement": {"statement": statement}}


def _rate(limit: int, key: str, scope: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "rate_based_statement": {
            "limit": limit,
            "aggregate_key_type": key,
            "evaluation_window_sec": RATE_WINDOW_SECONDS,
            "scope_down_statement": scope,
        }
    }


def _too_many() -> dict[str, Any]:
    header = {"name": "retry-after", "value": str(RETRY_AFTER_SECONDS)}
    return {"block": {"custom_response": {"response_code": TOO_MANY, "response_headers": [header]}}}


def _managed(group: str, *, scope_down: Mapping[str, Any] | None = None) -> dict[str, Any]:
    statement: dict[str, Any] = {"vendor_name": "AWS", "name": group}
    if group in COUNTED:
        statement["rule_action_overrides"] = [{"name": rule, "action_to_use": {"count": {}}} for rule in COUNTED[group]]
    if scope_down:
        statement["scope_down_statement"] = scope_down
    return {"managed_rule_group_statement": statement}
