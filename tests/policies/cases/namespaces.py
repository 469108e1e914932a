"""A namespace with what lies in it: a Deployment behind a Service, and the policies on its network."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme
from kubernetes_resources import default_deny, deployment, namespace, policy, service

from policies.rules.namespaces import ENFORCE

LINKED = {"metadata": ("namespace",)}

_CASES = {
    "R32": Cases(
        failing=(
            Bad("namespace", {"metadata/labels": {ENFORCE: "baseline"}}, "enforce is baseline; it is restricted"),
            Bad("namespace", {"metadata/labels": None}, "so any pod is let in"),
            Bad("namespace", {"metadata/labels": {"pod-security.kubernetes.io/warn": "restricted"}}, f"has no {ENFORCE}"),
            Bad("gateway", {"metadata/namespace": "default"}, "metadata.namespace is default or missing"),
            Bad("gateway", {"metadata/namespace": None}, "default or missing"),
            Bad("service", {"metadata": None}, "default or missing"),
            Bad("settings", {"metadata/namespace": "default"}, "default or missing"),
        ),
        unknown=("gateway", "metadata/namespace"),
        malformed=("gateway", "metadata/namespace"),
    ),
    "R37": Cases(
        failing=(
            Bad("deny", {}, "namespace assistant has no NetworkPolicy that selects every pod and denies", ("deny",)),
            Bad("deny", {"spec/policyTypes": ["Ingress"]}, "denies all egress"),
            Bad("deny", {"spec/policyTypes": ["Egress"]}, "denies all ingress"),
            Bad("deny", {"spec/policyTypes": None}, "denies all egress"),
            Bad("deny", {"spec/podSelector": {"matchLabels": {"app.kubernetes.io/name": "other"}}}, "denies all ingress"),
            Bad("deny", {"spec/podSelector": None}, "denies all ingress"),
            Bad("deny", {"metadata/namespace": "other"}, "denies all ingress"),
            Bad("deny", {"spec/egress": [{"ports": [{"port": 53}]}]}, "denies all egress"),
            Bad("policy", {"spec/egress/0": {}}, "egress[0].to names nobody and no port"),
            Bad("policy", {"spec/ingress/0": {"from": [], "ports": []}}, "ingress[0].from names nobody and no port"),
            Bad("policy", {"spec/egress/0": {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}}, "cidr is 0.0.0.0/0 on every port"),
            Bad("policy", {"spec/egress/0": {"to": [{"ipBlock": {"cidr": "128.0.0.0/1"}}]}}, "128.0.0.0/1 on every port"),
            Bad("policy", {"spec/ingress/0": {"from": [{"ipBlock": {"cidr": "2000::/3"}}]}}, "2000::/3 on every port"),
            Bad("policy", {"spec/ingress": None}, "lets anybody in to the pods of Deployment gateway"),
            Bad("policy", {}, "lets anybody in to the pods of Deployment gateway", ("policy",)),
            Bad("policy", {"spec/podSelector": {"matchLabels": {"app.kubernetes.io/name": "other"}}}, "lets anybody in"),
        ),
        unknown=("deny", "spec"),
        malformed=("policy", "spec/egress"),
    ),
}

THEME = Theme(
    good={
        "namespace": Good(type="kubernetes:core/v1:Namespace", properties=namespace()),
        "gateway": Good(type="kubernetes:apps/v1:Deployment", properties=deployment("gateway"), refers=LINKED),
        "service": Good(type="kubernetes:core/v1:Service", properties=service("gateway"), refers=LINKED),
        "settings": Good(
            type="kubernetes:core/v1:ConfigMap",
            properties={"metadata": {"name": "settings", "namespace": "assistant"}, "data": {"a": "b"}},
        ),
        "deny": Good(type="kubernetes:networking.k8s.io/v1:NetworkPolicy", properties=default_deny(), refers=LINKED),
        "policy": Good(type="kubernetes:networking.k8s.io/v1:NetworkPolicy", properties=policy("gateway"), refers=LINKED),
    },
    cases=_CASES,
)
