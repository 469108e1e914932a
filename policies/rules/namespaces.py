"""Where pods run, and who may speak to them there: namespaces held to ``restricted``, closed to the network by default."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import partial
from typing import Final

from policies.pods import (
    DEFAULT_NAMESPACE,
    NAMESPACE,
    PROPERTIES,
    WORKLOADS,
    Pod,
    labels_of,
    name_of_namespace,
    namespace_of,
    pods_of,
)
from policies.resource import Malformed, Resource, Stack, View
from policies.rule import PASS, Check, Finding, Relation, Rule, Severity, Verdict, each, fail, found
from policies.rules import links
from policies.selectors import selected_by_pairs, selects, selects_all
from policies.show import show

ENFORCE: Final = "pod-security.kubernetes.io/enforce"
RESTRICTED: Final = "restricted"
SERVICE: Final = "kubernetes:core/v1:Service"
NETWORK_POLICY: Final = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
# What lies beside pods in a namespace, and would be within reach of everything that ends up in `default`.
BESIDE_PODS: Final = tuple(
    f"kubernetes:core/v1:{kind}" for kind in ("Service", "ServiceAccount", "ConfigMap", "Secret", "PersistentVolumeClaim")
)
# The rules of a policy by direction, and the peers of such a rule.
DIRECTIONS: Final = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}
LEAST_PREFIX: Final = 5  # bits; 0.0.0.0/0 and halves of it, or 2000::/3, which is all of IPv6, are shorter


def enforces_restricted(resource: Resource) -> Verdict:
    enforced = labels_of(resource.view.mapping("metadata")).get(ENFORCE)
    if enforced is None:
        return fail(f"metadata.labels has no {ENFORCE}, so any pod is let in")
    return PASS if enforced == RESTRICTED else fail(f"{ENFORCE} is {show(enforced)}; it is {RESTRICTED}")


def outside_default(stack: Stack) -> Sequence[Finding]:
    return [found(resource, partial(_outside, stack, resource)) for resource in stack.of_type(*WORKLOADS, *BESIDE_PODS)]


def _outside(stack: Stack, resource: Resource) -> Verdict:
    owners = [pod.owner for pod in pods_of(resource)] or [resource.view]
    return each(*(partial(_not_default, stack, resource, owner) for owner in owners))


def _not_default(stack: Stack, resource: Resource, owner: View) -> Verdict:
    if namespace_of(stack, resource, owner) != DEFAULT_NAMESPACE:
        return PASS
    return fail(f"{owner.path('metadata')}.namespace is {DEFAULT_NAMESPACE} or missing, which is the same")


def closed_by_default(stack: Stack) -> Sequence[Finding]:
    """A namespace of the stack's own denies both ways by default. In somebody else's (``kube-system``) that would cut off what
    the stack does not know; there policies close each pod of the stack both ways."""
    pods = stack.of_type(*WORKLOADS)
    services = stack.of_type(SERVICE) if pods else []
    return [
        *(found(resource, partial(_pods_are_closed, stack, resource)) for resource in pods),
        *(found(service, partial(_pods_are_let_in, stack, service)) for service in services),
    ]


def _pods_are_closed(stack: Stack, resource: Resource) -> Verdict:
    return each(*(partial(_closed, stack, resource, pod) for pod in pods_of(resource)))


def _closed(stack: Stack, resource: Resource, pod: Pod) -> Verdict:
    if pod.spec.boolean("hostNetwork"):
        return PASS  # no policy reaches it; that it is so is another rule's finding
    namespace = namespace_of(stack, resource, pod.owner)
    own = namespace in {name_of_namespace(each_one) for each_one in stack.of_type(NAMESPACE)}
    policies, labels = _policies_in(stack, namespace), pod.labels()
    selecting = [policy for policy in policies if selects(policy.mapping("podSelector"), labels)]
    where = f"namespace {show(namespace)}"
    return each(
        *(partial(_denied_by_default if own else _isolated, policies if own else selecting, way, where) for way in DIRECTIONS),
        *(partial(_not_thrown_open, policy, way) for policy in selecting for way in DIRECTIONS),
    )


def _denied_by_default(policies: Sequence[View], way: str, where: str) -> Verdict:
    for policy in policies:
        if selects_all(policy.mapping("podSelector")) and way in _ways(policy) and not _rules(policy, way):
            return PASS
    return fail(f"{where} has no NetworkPolicy that selects every pod and denies all {way.lower()}")


def _isolated(selecting: Sequence[View], way: str, where: str) -> Verdict:
    if any(way in _ways(policy) for policy in selecting):
        return PASS
    return fail(f"no NetworkPolicy in {where} selects these pods for {way.lower()}, so all of it passes")


def _not_thrown_open(policy: View, way: str) -> Verdict:
    """What another policy opens to everybody on every port is open, whatever the default denies."""
    _name, peers = DIRECTIONS[way]
    return each(*(partial(_bounded, rule, peers) for rule in _rules(policy, way)))


def _bounded(rule: View, peers: str) -> Verdict:
    if rule.mappings("ports"):
        return PASS
    named = rule.mappings(peers)
    if not named:
        return fail(f"{rule.path(peers)} names nobody and no port, which lets everybody in or out")
    return each(*(partial(_no_world, peer) for peer in named))


def _no_world(peer: View) -> Verdict:
    block = peer.mapping("ipBlock")
    cidr = (block.text("cidr") if block else None) or ""
    if block is None:
        return PASS
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        raise Malformed(block.path("cidr"), "addresses such as 10.0.0.0/16", "another text") from None
    return fail(f"{block.path('cidr')} is {cidr} on every port") if network.prefixlen < LEAST_PREFIX else PASS


def _pods_are_let_in(stack: Stack, service: Resource) -> Verdict:
    """A Service whose pods are closed, and opened by no policy, would be asked in vain; and somebody would open everything."""
    spec = service.view.mapping("spec")
    selector = spec.mapping("selector") if spec else None
    if selector is None:
        return PASS
    namespace = namespace_of(stack, service)
    behind = [
        pod
        for resource in stack.of_type(*WORKLOADS)
        for pod in pods_of(resource)
        if selected_by_pairs(selector, pod.labels()) and namespace_of(stack, resource, pod.owner) == namespace
    ]
    policies = _policies_in(stack, namespace)
    return each(*(partial(_let_in, policies, pod) for pod in behind))


def _let_in(policies: Sequence[View], pod: Pod) -> Verdict:
    labels = pod.labels()
    closing = [policy for policy in policies if selects(policy.mapping("podSelector"), labels) and "Ingress" in _ways(policy)]
    if not closing or any(_rules(policy, "Ingress") for policy in closing):
        return PASS
    return fail(f"no NetworkPolicy lets anybody in to the pods of {pod.kind} {show(pod.name)}, which this Service leads to")


def _policies_in(stack: Stack, namespace: str) -> list[View]:
    """Their specifications."""
    policies = [policy for policy in stack.of_type(NETWORK_POLICY) if namespace_of(stack, policy) == namespace]
    return [spec for policy in policies if (spec := policy.view.mapping("spec"))]


def _ways(policy: View) -> list[str]:
    """Without ``policyTypes`` a policy is one on ingress, and on egress as well where it has rules for that."""
    return policy.texts("policyTypes") or ["Ingress", *(["Egress"] if _rules(policy, "Egress") else [])]


def _rules(policy: View, way: str) -> list[View]:
    name, _peers = DIRECTIONS[way]
    return policy.mappings(name) or []


_METADATA: Final = ("items", "metadata")

RULES: Final = (
    Rule(
        id="R32",
        name="namespaces-restricted",
        title="Nothing lies in the default namespace, and namespaces enforce Pod Security restricted",
        severity=Severity.MEDIUM,
        controls=("8.9", "8.22"),
        remedy=f"give it a namespace of its own, with the label {ENFORCE}={RESTRICTED}",
        link=links.POD_ADMISSION,
        checks=(Check(types=(NAMESPACE,), properties=("metadata",), judge=enforces_restricted),),
        relations=(
            Relation(
                reads={**dict.fromkeys(WORKLOADS, _METADATA), **dict.fromkeys(BESIDE_PODS, ("metadata",))},
                judge=outside_default,
            ),
        ),
    ),
    Rule(
        id="R37",
        name="network-closed-by-default",
        title="The network is closed to pods both ways by default, and opened for what their Services need",
        severity=Severity.HIGH,
        controls=("8.12", "8.20", "8.22"),
        remedy="add a NetworkPolicy with an empty podSelector and policyTypes Ingress and Egress, and one for each part",
        link=links.NETWORK_POLICIES,
        relations=(
            Relation(
                reads={
                    **dict.fromkeys(WORKLOADS, (*_METADATA, *PROPERTIES)),
                    NAMESPACE: ("metadata",),
                    NETWORK_POLICY: ("metadata", "spec"),
                    SERVICE: ("metadata", "spec"),
                },
                judge=closed_by_default,
            ),
        ),
    ),
)
