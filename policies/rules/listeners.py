"""What listeners speak: TLS 1.2 or newer, and plain HTTP only to say where TLS is spoken. The rule itself is R57."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Final

from policies.relations import means
from policies.resource import Malformed, Resource, Stack, View
from policies.rule import PASS, Check, Finding, Outcome, Relation, Verdict, each, fail, found, undetermined
from policies.show import show


def of_balancing(what: str) -> tuple[str, ...]:
    """The type by its name today, and by the one that programs of years ago write."""
    kind = f"{what}:{what[0].upper()}{what[1:]}"
    return f"aws:lb/{kind}", f"aws:alb/{kind}"


LISTENERS: Final = of_balancing("listener")
LISTENER_RULES: Final = of_balancing("listenerRule")
CLASSIC: Final = ("aws:elb/loadBalancer:LoadBalancer",)
INGRESS: Final = "kubernetes:networking.k8s.io/v1:Ingress"
GATEWAYS: Final = ("kubernetes:gateway.networking.k8s.io/v1:Gateway", "kubernetes:gateway.networking.k8s.io/v1beta1:Gateway")

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
    return undetermined(f"{name} is {show(policy)}, which this rule does not know: policies/rules/listeners.py lists them")


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
