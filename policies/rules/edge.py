"""The way in: load balancers, their targets and the web firewall before them; what they speak is in ``listeners``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from policies.relations import means, meant
from policies.resource import Resource, Stack, View
from policies.rule import PASS, Check, Finding, Relation, Remediation, Rule, Severity, Verdict, each, fail, found, undetermined
from policies.rules import links
from policies.rules.listeners import CLASSIC, ENCRYPTED, of_balancing
from policies.show import show

BALANCERS: Final = of_balancing("loadBalancer")
TARGET_GROUPS: Final = of_balancing("targetGroup")
WEB_ACL: Final = "aws:wafv2/webAcl:WebAcl"
WEB_ACL_ASSOCIATION: Final = "aws:wafv2/webAclAssociation:WebAclAssociation"
WEB_ACL_LOGGING: Final = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"


def kind_of(view: View) -> str:
    return view.text("loadBalancerType") or "application"


def is_logged(resource: Resource) -> Verdict:
    view = resource.view
    if resource.type in BALANCERS and kind_of(view) == "gateway":  # AWS keeps none for these
        return PASS
    logs = view.mapping("accessLogs")
    if logs is None:
        return fail("accessLogs is missing: nobody could tell who asked for what")
    # Of a classic load balancer, what is written down is on unless it says otherwise.
    enabled = logs.boolean("enabled") if logs.raw("enabled") is not None else resource.type in CLASSIC
    if not enabled:
        return fail("accessLogs.enabled is not true")
    return PASS if logs.text("bucket") else fail("accessLogs.bucket is empty")


def drops_invalid_headers(resource: Resource) -> Verdict:
    view = resource.view
    if kind_of(view) != "application":
        return PASS
    if view.boolean("dropInvalidHeaderFields") is True:
        return PASS
    return fail("dropInvalidHeaderFields is not true: what no header may look like would reach the gateway")


def is_protected_from_deletion(stack: Stack) -> Sequence[Finding]:
    if not stack.production:
        return []
    return [found(balancer, partial(_protected, balancer)) for balancer in stack.of_type(*BALANCERS)]


def _protected(balancer: Resource) -> Verdict:
    if balancer.view.boolean("enableDeletionProtection") is True:
        return PASS
    return fail("enableDeletionProtection is not true: one call would take the way in away, and its name with it")


def public_ones_have_a_firewall(stack: Stack) -> Sequence[Finding]:
    return [
        found(balancer, partial(_has_firewall, stack, balancer))
        for balancer in stack.of_type(*BALANCERS, *CLASSIC)
        if balancer.view.raw("internal") is not True
    ]


def _has_firewall(stack: Stack, balancer: Resource) -> Verdict:
    view = balancer.view
    view.boolean("internal")
    if balancer.type in CLASSIC or kind_of(view) != "application":
        return fail("only an application load balancer takes a web ACL, and this one is open to the world without")
    associations = {link.urn: means(link, "resourceArn", balancer) for link in stack.of_type(WEB_ACL_ASSOCIATION)}
    ours = [link for link in stack.of_type(WEB_ACL_ASSOCIATION) if associations[link.urn]]
    if not ours:
        if None in associations.values():
            return undetermined("it cannot be told whether a web ACL stands before it")
        return fail("no web ACL stands before it")
    acls = [acl for link in ours for acl in meant(stack, link, "webAclArn", (WEB_ACL,))]
    if not acls:
        return undetermined("its web ACL is none of this stack, so nobody can say here whether it is logged")
    return each(*(partial(_is_a_firewall, stack, acl) for acl in acls))


def _is_a_firewall(stack: Stack, acl: Resource) -> Verdict:
    default = acl.view.mapping("defaultAction")
    blocks = default is not None and "block" in default
    if not blocks and not acl.view.mappings("rules"):
        return fail(f"its web ACL {show(acl.name)} has no rule, and lets everything through")
    loggings = stack.of_type(WEB_ACL_LOGGING)
    logged = [means(logging, "resourceArn", acl) for logging in loggings]
    if True not in logged:
        if None in logged:
            return undetermined(f"it cannot be told whether its web ACL {show(acl.name)} is logged")
        return fail(f"its web ACL {show(acl.name)} is not logged")
    ours = [logging for logging, of_acl in zip(loggings, logged, strict=True) if of_acl]
    return each(*(partial(_keeps_something, logging.view) for logging in ours))


def _keeps_something(logging: View) -> Verdict:
    if logging.raw("logDestinationConfigs") in (None, []):
        return fail("logDestinationConfigs is empty: the web ACL's log goes nowhere")
    chosen = logging.mapping("loggingFilter")
    if chosen is None or chosen.text("defaultBehavior") != "DROP":
        return PASS
    kept = [entry for entry in chosen.mappings("filters") or () if entry.text("behavior") == "KEEP"]
    return PASS if kept else fail("loggingFilter drops everything that the web ACL logs")


def is_encrypted_and_asked(resource: Resource) -> Verdict:
    view = resource.view
    if view.text("targetType") == "lambda":  # called by AWS, without a protocol
        return PASS
    return each(lambda: _speaks_https(view), lambda: _is_asked(view))


def _speaks_https(view: View) -> Verdict:
    protocol = view.text("protocol") or ""
    if protocol in ENCRYPTED:
        return PASS
    return fail(f"protocol is {show(protocol or 'not set')}; from the load balancer to its targets it is HTTPS as well")


def _is_asked(view: View) -> Verdict:
    check = view.mapping("healthCheck")
    if check is None:
        return fail("healthCheck is missing: AWS' own asks for / and not whether the gateway is ready")
    if check.boolean("enabled") is False:
        return fail("healthCheck.enabled is false: a target that does not work would get requests")
    protocol = check.text("protocol") or "HTTP"
    if protocol == "HTTPS":
        return PASS if (check.text("path") or "/") != "/" else fail("healthCheck.path is /, which says nothing of readiness")
    if protocol == "TCP" and view.text("protocol") == "TLS":
        return PASS
    return fail(f"healthCheck.protocol is {show(protocol)}; the targets speak HTTPS")


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R46",
        name="load-balancer-logs",
        title="Load balancers write access logs",
        severity=Severity.HIGH,
        controls=("8.15", "5.28"),
        remedy="set accessLogs with enabled true and the bucket of the access logs",
        link=links.BALANCER_LOGS,
        checks=(
            Check(types=BALANCERS, properties=("accessLogs", "loadBalancerType"), judge=is_logged),
            Check(types=CLASSIC, properties=("accessLogs",), judge=is_logged),
        ),
    ),
    Rule(
        id="R58",
        name="load-balancer-hardened",
        title="Load balancers drop invalid headers and are protected from deletion in production",
        severity=Severity.MEDIUM,
        controls=("8.21", "8.32"),
        remedy="set dropInvalidHeaderFields and, in production, enableDeletionProtection",
        link=links.BALANCER_ATTRIBUTES,
        checks=(
            Check(types=BALANCERS, properties=("dropInvalidHeaderFields", "loadBalancerType"), judge=drops_invalid_headers),
        ),
        relations=(Relation(reads=dict.fromkeys(BALANCERS, ("enableDeletionProtection",)), judge=is_protected_from_deletion),),
        remediation=Remediation(types=BALANCERS, propose=lambda _resource: {("dropInvalidHeaderFields",): True}),
    ),
    Rule(
        id="R59",
        name="public-load-balancer-has-a-logged-firewall",
        title="A public load balancer has a web application firewall that is logged",
        severity=Severity.HIGH,
        controls=("8.21", "8.15", "8.20"),
        remedy="associate a web ACL with rules, and give it a logging configuration (infra/aws/firewall.py does both)",
        link=links.WEB_ACL_LOGS,
        relations=(
            Relation(
                reads={
                    **dict.fromkeys(BALANCERS, ("internal", "loadBalancerType")),
                    WEB_ACL: ("defaultAction", "rules"),
                    WEB_ACL_ASSOCIATION: ("resourceArn", "webAclArn"),
                    WEB_ACL_LOGGING: ("resourceArn", "logDestinationConfigs", "loggingFilter"),
                },
                judge=public_ones_have_a_firewall,
            ),
        ),
    ),
    Rule(
        id="R60",
        name="target-groups-https",
        title="Target groups speak HTTPS and ask their targets whether they are ready",
        severity=Severity.MEDIUM,
        controls=("8.21", "8.24", "8.16"),
        remedy="set protocol HTTPS and a healthCheck over HTTPS on the readiness path",
        link=links.TARGET_GROUPS,
        checks=(
            Check(
                types=TARGET_GROUPS,
                properties=("protocol", "healthCheck", "targetType"),
                judge=is_encrypted_and_asked,
            ),
        ),
    ),
)
