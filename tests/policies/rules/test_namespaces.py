"""What the cases cannot say: namespaces that are somebody else's, edges instead of names, what must pass."""

from __future__ import annotations

from typing import Any

import pytest
from cases.namespaces import THEME
from kubernetes_resources import default_deny, deployment, labels, metadata, policy, service

from policies.resource import Resource, Stack
from policies.rule import PASS, Finding, Outcome, all_of, fail, judge_stack
from policies.rules import RULES
from policies.rules.namespaces import NETWORK_POLICY, SERVICE
from policies.values import UNKNOWN

BY_ID = {rule.id: rule for rule in RULES}
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def resource(type_: str, name: str, properties: dict[str, Any], **options: Any) -> Resource:
    return Resource(f"urn:pulumi:prod::assistant::{type_}::{name}", type_, name, properties, **options)


def relate(rule_id: str, *resources: Resource) -> list[Finding]:
    (relation,) = BY_ID[rule_id].relations
    return judge_stack(relation, Stack(resources))


def outcome(rule_id: str, *resources: Resource) -> Outcome:
    return all_of(finding.verdict for finding in relate(rule_id, *resources)).outcome


def controller(**spec: Any) -> Resource:
    made = deployment("controller", namespace="kube-system")
    made["spec"]["template"]["spec"] |= spec
    return resource(DEPLOYMENT, "controller", made)


def closing(ways: list[str] | None, name: str = "controller", **spec: Any) -> Resource:
    described = {"podSelector": {"matchLabels": labels("controller")}, **({"policyTypes": ways} if ways else {}), **spec}
    return resource(NETWORK_POLICY, name, {"metadata": metadata(name, "kube-system"), "spec": described})


RULE = [{"ports": [{"port": 443}]}]


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ((), ["ingress", "egress"]),
        ((closing(["Ingress", "Egress"]),), []),
        ((closing(["Ingress"], "a"), closing(["Egress"], "b")), []),
        ((closing(["Ingress"]),), ["egress"]),
        ((closing(["Egress"]),), ["ingress"]),
        ((closing(None),), ["egress"]),
        ((closing(None, egress=RULE),), []),
        ((closing(["Ingress", "Egress"], podSelector={"matchLabels": labels("other")}),), ["ingress", "egress"]),
    ],
)
def test_in_a_namespace_of_somebody_elses_each_pod_is_closed_by_policies_of_its_own(policies: Any, words: list[str]) -> None:
    (finding,) = relate("R37", controller(), *policies)
    assert [reason.partition(" these pods for ")[2].partition(",")[0] for reason in finding.verdict.reasons] == words


def test_a_policy_of_another_namespace_closes_nothing() -> None:
    elsewhere = resource(NETWORK_POLICY, "x", {"metadata": metadata("x", "other"), "spec": default_deny()["spec"]})
    assert outcome("R37", controller(), elsewhere) is Outcome.FAIL


def test_a_pod_in_the_network_of_its_node_is_out_of_a_policys_reach() -> None:
    assert relate("R37", controller(hostNetwork=True)) == [Finding(controller().urn, PASS)]
    assert outcome("R37", controller(hostNetwork=False)) is Outcome.FAIL


def test_a_stack_without_pods_gets_no_finding_on_its_network() -> None:
    assert relate("R37", resource(SERVICE, "x", service("x")), resource(NETWORK_POLICY, "x", policy("x"))) == []


def test_in_the_stacks_own_namespace_policies_of_each_pod_are_no_default() -> None:
    both = THEME.resource("policy")
    stack = THEME.stack(both, without=("deny",))
    (relation,) = BY_ID["R37"].relations
    by_name = {finding.urn.rpartition("::")[2]: finding.verdict.outcome for finding in judge_stack(relation, stack)}
    assert by_name == {"gateway": Outcome.FAIL, "service": Outcome.PASS}


def test_two_policies_may_share_the_default() -> None:
    one = {**default_deny(), "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}
    ingress = THEME.resource("deny", {"spec/policyTypes": ["Ingress"]})
    other = resource(NETWORK_POLICY, "deny-egress", one)
    stack = Stack((*THEME.stack(ingress).resources, other))
    (relation,) = BY_ID["R37"].relations
    assert all(finding.verdict == PASS for finding in judge_stack(relation, stack))


def test_before_the_namespace_has_a_name_the_edges_say_which_it_is() -> None:
    names = ("gateway", "service", "deny", "policy")
    linked = [THEME.resource(name, {"metadata/namespace": UNKNOWN}) for name in names]
    for rule_id in ("R32", "R37"):
        (relation,) = BY_ID[rule_id].relations
        assert {finding.verdict.outcome for finding in judge_stack(relation, THEME.stack(*linked))} == {Outcome.PASS}
        orphans = [THEME.resource(name, {"metadata/namespace": UNKNOWN}, linked=False) for name in names]
        found = {finding.verdict.outcome for finding in judge_stack(relation, THEME.stack(*orphans))}
        assert Outcome.UNDETERMINED in found
        assert Outcome.FAIL not in found


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, True),
        ({"to": [{"ipBlock": {"cidr": "fc00::/7"}}]}, True),
        ({"to": [{"ipBlock": {"cidr": "8.0.0.0/5"}}]}, True),
        ({"to": [{"ipBlock": {"cidr": "0.0.0.0/4"}}]}, False),
        ({"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "ports": [{"port": 443}]}, True),
        ({"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}, False),
        ({"to": [{"podSelector": {}}, {"ipBlock": {"cidr": "::/0"}}]}, False),
        ({"to": [{"namespaceSelector": {}}]}, True),
        ({"ports": [{"port": 443}]}, True),
        ({"to": [{"ipBlock": {"cidr": "everywhere"}}]}, False),
    ],
)
def test_a_rule_without_a_port_names_peers_that_are_not_the_world(rule: dict[str, Any], passes: bool) -> None:
    (relation,) = BY_ID["R37"].relations
    stack = THEME.stack(THEME.resource("policy", {"spec/egress/0": rule}))
    outcomes = {finding.verdict.outcome for finding in judge_stack(relation, stack)}
    assert (Outcome.FAIL not in outcomes) is passes


def test_a_service_counts_the_pods_of_its_own_namespace_that_all_its_labels_select() -> None:
    web = deployment("web", namespace="kube-system")
    closed = {"metadata": metadata("web", "kube-system"), "spec": {"podSelector": {"matchLabels": labels("web")}}}
    closed["spec"]["policyTypes"] = ["Ingress", "Egress"]
    pods, shut = resource(DEPLOYMENT, "web", web), resource(NETWORK_POLICY, "web", closed)

    def of_service(described: dict[str, Any]) -> Any:
        findings = relate("R37", pods, shut, resource(SERVICE, "front", described))
        return next(finding.verdict for finding in findings if finding.urn.endswith("front"))

    assert of_service(service("web", namespace="kube-system")) == fail(
        "no NetworkPolicy lets anybody in to the pods of Deployment web, which this Service leads to"
    )
    assert of_service(service("web")) == PASS  # another namespace
    assert of_service(service("other", namespace="kube-system")) == PASS
    without = service("web", namespace="kube-system")
    del without["spec"]["selector"]
    assert of_service(without) == PASS
    opened = resource(NETWORK_POLICY, "web", {**closed, "spec": {**closed["spec"], "ingress": RULE}})
    assert {
        f.verdict for f in relate("R37", pods, opened, resource(SERVICE, "f", service("web", namespace="kube-system")))
    } == {PASS}
    bare = relate("R37", pods, resource(SERVICE, "f", service("web", namespace="kube-system")))
    assert [finding.verdict.outcome for finding in bare] == [Outcome.FAIL, Outcome.PASS]


def test_items_of_a_list_have_namespaces_of_their_own() -> None:
    items = {"items": [deployment("a"), deployment("b", namespace="default")]}
    (finding,) = relate("R32", resource(f"{DEPLOYMENT}List", "list", items))
    assert finding.verdict == fail("items[1].metadata.namespace is default or missing, which is the same")
