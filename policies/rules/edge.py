"""The way in: load balancer, listeners, target groups, web firewall, certificate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Final

from policies.relations import means, meant
from policies.resource import Malformed, Resource, Stack, View
from policies.rule import (
    PASS,
    Check,
    Finding,
    Outcome,
    Relation,
    Remediation,
    Rule,
    Severity,
    Verdict,
    each,
    fail,
    found,
    undetermined,
)
from policies.rules import links
from policies.show import show


def of_balancing(what: str) -> tuple[str, ...]:
    """The type by its name today, and by the one that programs of years ago write."""
    kind = f"{what}:{what[0].upper()}{what[1:]}"
    return f"aws:lb/{kind}", f"aws:alb/{kind}"


BALANCERS: Final = of_balancing("loadBalancer")
LISTENERS: Final = of_balancing("listener")
LISTENER_RULES: Final = of_balancing("listenerRule")
TARGET_GROUPS: Final = of_balancing("targetGroup")
CLASSIC: Final = ("aws:elb/loadBalancer:LoadBalancer",)
INGRESS: Final = "kubernetes:networking.k8s.io/v1:Ingress"
GATEWAYS: Final = ("kubernetes:gateway.networking.k8s.io/v1:Gateway", "kubernetes:gateway.networking.k8s.io/v1beta1:Gateway")
WEB_ACL: Final = "aws:wafv2/webAcl:WebAcl"
WEB_ACL_ASSOCIATION: Final = "aws:wafv2/webAclAssociation:WebAclAssociation"
WEB_ACL_LOGGING: Final = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
CERTIFICATE: Final = "aws:acm/certificate:Certificate"

# docs.aws.amazon.com/elasticloadbalancing: security policies and the oldest version of TLS that each still speaks.
_MODERN: Final = ("", "-Res", "-Ext0", "-Ext1", "-Ext2")
NEW_POLICIES: Final = frozenset(
    {
        "ELBSecurityPolicy-TLS13-1-3-2021-06",
        "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
        "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04",
        "ELBSecurityPolicy-TLS13-1-3-FIPS-PQ-2025-09",
        *(f"ELBSecurityPolicy-TLS13-1-2{kind}-2021-06" for kind in _MODERN if kind != "-Ext0"),
        *(f"ELBSecurityPolicy-TLS13-1-2{kind}-PQ-2025-09" for kind in _MODERN if kind != "-Ext0"),
        *(f"ELBSecurityPolicy-TLS13-1-2{kind}-FIPS-2023-04" for kind in _MODERN),
        *(f"ELBSecurityPolicy-TLS13-1-2{kind}-FIPS-PQ-2025-09" for kind in _MODERN),
        "ELBSecurityPolicy-TLS-1-2-2017-01",
        "ELBSecurityPolicy-TLS-1-2-Ext-2018-06",
        "ELBSecurityPolicy-FS-1-2-2019-08",
        "ELBSecurityPolicy-FS-1-2-Res-2019-08",
        "ELBSecurityPolicy-FS-1-2-Res-2020-10",
    }
)
OLD_POLICIES: Final = frozenset(
    {
        "ELBSecurityPolicy-TLS13-1-1-2021-06",
        "ELBSecurityPolicy-TLS13-1-0-2021-06",
        "ELBSecurityPolicy-TLS13-1-0-PQ-2025-09",
        "ELBSecurityPolicy-TLS13-1-1-FIPS-2023-04",
        "ELBSecurityPolicy-TLS13-1-0-FIPS-2023-04",
        "ELBSecurityPolicy-TLS13-1-0-FIPS-PQ-2025-09",
        "ELBSecurityPolicy-TLS-1-1-2017-01",
        "ELBSecurityPolicy-TLS-1-0-2015-04",
        "ELBSecurityPolicy-FS-1-1-2019-08",
        "ELBSecurityPolicy-FS-2018-06",
        "ELBSecurityPolicy-2016-08",
        "ELBSecurityPolicy-2015-05",
        "ELBSecurityPolicy-2015-03",
        "ELBSecurityPolicy-2015-02",
        "ELBSecurityPolicy-2014-10",
        "ELBSecurityPolicy-2014-01",
        "ELBSecurityPolicy-2011-08",
    }
)
ENCRYPTED: Final = frozenset({"HTTPS", "TLS"})
ALB_ANNOTATION: Final = "alb.ingress.kubernetes.io/"
# Annotations by which a controller would serve plain HTTP beside TLS, and the value that says so.
PLAIN_ANNOTATIONS: Final = {
    "nginx.ingress.kubernetes.io/ssl-redirect": "false",
    "haproxy.org/ssl-redirect": "false",
    "haproxy-ingress.github.io/ssl-redirect": "false",
}


# Listeners


def listener_speaks_tls(resource: Resource) -> Verdict:
    view = resource.view
    protocol = _protocol(view)
    if protocol in ENCRYPTED:
        return _policy("sslPolicy", view.text("sslPolicy"))
    if protocol == "HTTP":
        return _redirects_alone(view, "defaultActions")
    if protocol == "GENEVE":  # carries packets to appliances, and is no door
        return PASS
    return undetermined(f"protocol is {show(protocol)}: whether TLS is spoken is for what stands behind to say")


def _protocol(view: View) -> str:
    """As AWS takes it where none is said: by the port, for an application's load balancer."""
    named = view.text("protocol")
    return named.upper() if named else "HTTPS" if view.integer("port") in (443, 8443) else "HTTP"


def _policy(name: str, policy: str | None) -> Verdict:
    if policy is None:
        return fail(f"{name} is not set, and AWS' default may be one that speaks TLS 1.0")
    if policy in NEW_POLICIES:
        return PASS
    if policy in OLD_POLICIES:
        return fail(f"{name} is {show(policy)}, which speaks a version of TLS older than 1.2")
    return undetermined(f"{name} is {show(policy)}, which this rule does not know: policies/rules/edge.py lists them")


def _redirects_alone(view: View, name: str) -> Verdict:
    actions = view.mappings(name)
    if not actions:
        return fail(f"{name} is empty; plain HTTP does nothing but redirect to HTTPS")
    return each(*(partial(_redirects, action) for action in actions))


def _redirects(action: View) -> Verdict:
    kind = action.text("type") or ""
    if kind != "redirect":
        return fail(f"{action.path('type')} is {show(kind)}; plain HTTP does nothing but redirect to HTTPS")
    redirect = action.mapping("redirect")
    protocol = redirect.text("protocol") if redirect else None
    if protocol == "HTTPS":
        return PASS
    return fail(f"{action.path('redirect')} leads to {show(protocol or 'the same protocol')}; it leads to HTTPS")


def plain_rules_redirect(stack: Stack) -> Sequence[Finding]:
    """A rule of a plain listener goes before its default action."""
    plain = [listener for listener in stack.of_type(*LISTENERS) if listener.view.raw("protocol") == "HTTP"]
    return [found(rule, partial(_rule_redirects, rule, plain)) for rule in stack.of_type(*LISTENER_RULES)]


def _rule_redirects(rule: Resource, plain: Sequence[Resource]) -> Verdict:
    of_plain = [means(rule, "listenerArn", listener) for listener in plain]
    if all(of is False for of in of_plain):
        return PASS
    verdict = _redirects_alone(rule.view, "actions")
    if verdict.outcome is Outcome.FAIL and True not in of_plain:
        return undetermined("it cannot be told whether this rule is a plain listener's, and it does not only redirect")
    return verdict


def classic_speaks_tls(resource: Resource) -> Verdict:
    """The load balancers of before 2016: they cannot redirect, and what they speak is a policy of their own."""
    return each(*(partial(_classic, listener) for listener in resource.view.mappings("listeners") or ()))


def _classic(listener: View) -> Verdict:
    protocol = (listener.text("lbProtocol") or "").upper()
    if protocol in ("HTTPS", "SSL"):
        return undetermined(f"{listener.path('lbProtocol')}: a classic load balancer speaks TLS 1.0 unless a policy says no")
    return fail(f"{listener.path('lbProtocol')} is {show(protocol)}: a classic load balancer can redirect nothing to HTTPS")


def ingress_speaks_tls(resource: Resource) -> Verdict:
    metadata, spec = resource.view.mapping("metadata"), resource.view.mapping("spec")
    annotations = metadata.mapping("annotations") if metadata else None
    notes = annotations or View({})
    return each(
        lambda: _has_certificate(spec or View({}), notes),
        lambda: _hosts_covered(spec or View({}), notes),
        lambda: _says_no_plain(notes),
        lambda: _alb(notes),
    )


def _has_certificate(spec: View, notes: View) -> Verdict:
    if spec.mappings("tls") or notes.text(f"{ALB_ANNOTATION}certificate-arn"):
        return PASS
    return fail("spec.tls is empty: the Ingress would serve plain HTTP")


def _hosts_covered(spec: View, notes: View) -> Verdict:
    if notes.text(f"{ALB_ANNOTATION}certificate-arn"):
        return PASS
    covered = {host for entry in spec.mappings("tls") or () for host in entry.texts("hosts") or ()}
    hosts = [host for rule in spec.mappings("rules") or () if (host := rule.text("host"))]
    bare = [host for host in hosts if host not in covered and f"*.{host.partition('.')[2]}" not in covered]
    return fail(*(f"spec.tls has no entry for the host {show(host)}" for host in bare)) if bare else PASS


def _says_no_plain(notes: View) -> Verdict:
    said = [name for name, value in PLAIN_ANNOTATIONS.items() if (notes.text(name) or "").lower() == value]
    return fail(*(f"the annotation {name} lets plain HTTP through" for name in said)) if said else PASS


def _alb(notes: View) -> Verdict:
    policy = notes.text(f"{ALB_ANNOTATION}ssl-policy")
    verdict = _policy(f"the annotation {ALB_ANNOTATION}ssl-policy", policy) if policy else PASS
    ports = notes.text(f"{ALB_ANNOTATION}listen-ports")
    try:
        plain = any("HTTP" in entry for entry in json.loads(ports)) if ports else False
    except (ValueError, TypeError):
        raise Malformed(notes.path(f"{ALB_ANNOTATION}listen-ports"), "JSON", "another text") from None
    if plain and not notes.text(f"{ALB_ANNOTATION}ssl-redirect"):
        return fail(f"the annotation {ALB_ANNOTATION}listen-ports has HTTP, and ssl-redirect is not set")
    return verdict


def gateway_speaks_tls(resource: Resource) -> Verdict:
    spec = resource.view.mapping("spec")
    listeners = spec.mappings("listeners") if spec else None
    return each(*(partial(_gateway_listener, listener) for listener in listeners or ()))


def _gateway_listener(listener: View) -> Verdict:
    protocol = (listener.text("protocol") or "").upper()
    if protocol not in ENCRYPTED:
        return undetermined(f"{listener.path('protocol')} is {show(protocol)}: its routes tell whether it redirects alone")
    tls = listener.mapping("tls")
    if tls is not None and (tls.text("mode") == "Passthrough" or tls.mappings("certificateRefs")):
        return PASS
    return fail(f"{listener.path('tls')} names no certificate")


TLS_CHECKS: Final = (
    Check(types=LISTENERS, properties=("protocol", "port", "sslPolicy", "defaultActions"), judge=listener_speaks_tls),
    Check(types=CLASSIC, properties=("listeners",), judge=classic_speaks_tls),
    Check(types=(INGRESS,), properties=("metadata", "spec"), judge=ingress_speaks_tls),
    Check(types=GATEWAYS, properties=("spec",), judge=gateway_speaks_tls),
)
TLS_RELATIONS: Final = (
    Relation(
        reads={
            **dict.fromkeys(LISTENERS, ("protocol",)),
            **dict.fromkeys(LISTENER_RULES, ("listenerArn", "actions")),
        },
        judge=plain_rules_redirect,
    ),
)

# Load balancers


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


# Target groups


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


# Certificates


def is_validated_by_dns(resource: Resource) -> Verdict:
    """A record in DNS renews it for as long as it stands there; a mail waits for somebody to read it."""
    view = resource.view
    return each(lambda: _validated(view), lambda: _no_wildcard(view))


def _validated(view: View) -> Verdict:
    if view.text("certificateAuthorityArn"):  # a private authority asks nobody
        return PASS
    if "certificateBody" in view or "privateKey" in view:
        return fail("the certificate is imported: nobody renews it but by hand")
    method = view.text("validationMethod")
    return PASS if method == "DNS" else fail(f"validationMethod is {show(method or 'not set')}; it is DNS")


def _no_wildcard(view: View) -> Verdict:
    # What AWS adds to the names it was asked for is not known before; what was asked for is.
    names = [("domainName", view.text("domainName") or "")]
    names += [("subjectAlternativeNames", name) for name in view.texts("subjectAlternativeNames") or ()]
    wild = [f"{where} has {show(name)}: one stolen key would speak for every host" for where, name in names if "*" in name]
    return fail(*wild) if wild else PASS


CERTIFICATE_CHECKS: Final = (
    Check(
        types=(CERTIFICATE,),
        properties=(
            "domainName",
            "subjectAlternativeNames",
            "validationMethod",
            "certificateAuthorityArn",
            "certificateBody",
            "privateKey",
        ),
        judge=is_validated_by_dns,
    ),
)

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
