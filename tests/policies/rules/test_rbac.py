"""RBAC and service accounts: what must pass, and what edges decide before a namespace has its name."""

from __future__ import annotations

from typing import Any

import pytest

from policies.resource import Resource, Stack
from policies.rule import Outcome, Verdict, judge, judge_stack
from policies.rules import rbac, service_accounts
from policies.values import UNKNOWN

RULES = {rule.id: rule for rule in (*rbac.RULES, *service_accounts.RULES)}
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
ANYTHING: dict[str, Any] = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}
NAMESPACE = "urn:pulumi:prod::assistant::kubernetes:core/v1:Namespace::space"


def resource(kind: str, name: str = "it", edges: dict[str, tuple[str, ...]] | None = None, **properties: Any) -> Resource:
    urn = f"urn:pulumi:prod::assistant::{kind}::{name}"
    return Resource(urn=urn, type=kind, name=name, properties=properties, property_dependencies=edges or {})


def said(rule_id: str, made: Resource) -> list[Verdict]:
    return [judge(check, made) for check in RULES[rule_id].checks if made.type in check.types]


def outcomes(rule_id: str, *resources: Resource) -> dict[str, Outcome]:
    stack = Stack(resources)
    return {
        finding.urn.rpartition("::")[2]: finding.verdict.outcome
        for relation in RULES[rule_id].relations
        for finding in judge_stack(relation, stack)
    }


@pytest.mark.parametrize(
    "rule",
    [
        ANYTHING,
        {**ANYTHING, "resources": ["deployments/scale"]},
        {"nonResourceURLs": ["/metrics", "/healthz/*"], "verbs": ["get"]},
        {**ANYTHING, "resources": ["secrets"], "verbs": ["get", "list"]},  # of another API group
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "delete"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["webhook"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"], "resourceNames": ["own"]},
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["get"]},
    ],
)
def test_what_is_named_passes_in_a_cluster_role(rule: dict[str, Any]) -> None:
    role = resource(f"{RBAC}:ClusterRole", rules=[rule])
    for rule_id in ("R13", "R14"):
        assert {verdict.outcome for verdict in said(rule_id, role)} == {Outcome.PASS}


def test_a_role_in_one_namespace_may_read_its_secrets() -> None:
    role = resource(f"{RBAC}:Role", rules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}])
    assert [verdict.outcome for verdict in said("R14", role)] == [Outcome.PASS]


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
@pytest.mark.parametrize("form", ["", "Patch"])
def test_every_version_and_form_is_read(version: str, form: str) -> None:
    group = f"kubernetes:rbac.authorization.k8s.io/{version}"
    for kind in ("Role", "ClusterRole"):
        (verdict,) = said("R13", resource(f"{group}:{kind}{form}", rules=[{**ANYTHING, "verbs": ["*"]}]))
        assert verdict.outcome is Outcome.FAIL
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        (verdict,) = said("R13", resource(f"{group}:{kind}{form}", roleRef={"name": "cluster-admin"}))
        assert verdict.outcome is Outcome.FAIL


@pytest.mark.parametrize("subject", ["system:serviceaccounts:assistant", "system:nodes", "platform-team"])
def test_a_group_of_somebody_in_particular_may_be_bound(subject: str) -> None:
    binding = resource(f"{RBAC}:ClusterRoleBinding", roleRef={"name": "view"}, subjects=[{"kind": "Group", "name": subject}])
    for rule_id in ("R13", "R14"):
        assert {verdict.outcome for verdict in said(rule_id, binding)} == {Outcome.PASS}


def test_a_binding_in_one_namespace_may_be_to_its_administrator() -> None:
    assert said("R14", resource(f"{RBAC}:RoleBinding", roleRef={"name": "admin"})) == []


def test_a_cluster_role_that_aggregates_by_expressions_passes() -> None:
    selector = {"matchExpressions": [{"key": "of", "operator": "Exists"}]}
    role = resource(f"{RBAC}:ClusterRole", aggregationRule={"clusterRoleSelectors": [selector]})
    assert {verdict.outcome for verdict in said("R13", role)} == {Outcome.PASS}


def pods(**spec: Any) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": "c"}], **spec}}}


class TestServiceAccounts:
    BOUND = resource(
        f"{RBAC}:RoleBinding",
        "binding",
        subjects=[{"kind": "ServiceAccount", "name": "app", "namespace": UNKNOWN}],
        roleRef={"name": "r"},
    )

    def deployment(self, namespace: Any = "default", **spec: Any) -> Resource:
        edges = {"metadata": (NAMESPACE,)} if namespace is UNKNOWN else {}
        metadata = {"name": "app", "namespace": namespace}
        return resource("kubernetes:apps/v1:Deployment", "app", edges, metadata=metadata, spec=pods(**spec))

    def account(self, namespace: Any = "default", **properties: Any) -> Resource:
        edges = {"metadata": (NAMESPACE,)} if namespace is UNKNOWN else {}
        metadata = {"name": "app", "namespace": namespace}
        return resource("kubernetes:core/v1:ServiceAccount", "account", edges, metadata=metadata, **properties)

    def test_the_older_name_of_the_field_counts(self) -> None:
        assert [verdict.outcome for verdict in said("R05", self.deployment(serviceAccount="app"))] == [Outcome.PASS]
        assert [verdict.outcome for verdict in said("R05", self.deployment(serviceAccount="default"))] == [Outcome.FAIL]

    def test_a_pod_that_says_false_holds_no_token_whatever_its_account_says(self) -> None:
        quiet = self.deployment(serviceAccountName="app", automountServiceAccountToken=False)
        assert outcomes("R19", quiet, self.account(automountServiceAccountToken=True)) == {"app": Outcome.PASS}

    def test_a_pod_that_says_true_holds_one_whatever_its_account_says(self) -> None:
        loud = self.deployment(serviceAccountName="app", automountServiceAccountToken=True)
        assert outcomes("R19", loud, self.account(automountServiceAccountToken=False)) == {"app": Outcome.FAIL}

    def test_an_account_that_a_role_is_bound_to_is_used(self) -> None:
        assert outcomes("R19", self.deployment(serviceAccountName="app"), self.BOUND) == {"app": Outcome.PASS}
        assert outcomes("R19", self.deployment(serviceAccountName="other"), self.BOUND) == {"app": Outcome.FAIL}

    def test_a_binding_in_a_list_counts(self) -> None:
        listed = resource(f"{RBAC}:RoleBindingList", "listed", items=[dict(self.BOUND.properties)])
        assert outcomes("R19", self.deployment(serviceAccountName="app"), listed) == {"app": Outcome.PASS}

    def test_before_a_namespace_has_its_name_the_edges_tell_which_account_is_meant(self) -> None:
        space = Resource(urn=NAMESPACE, type="kubernetes:core/v1:Namespace", name="space", properties={"metadata": UNKNOWN})
        made = self.deployment(UNKNOWN, serviceAccountName="app")
        account = self.account(UNKNOWN, automountServiceAccountToken=False)
        assert outcomes("R19", space, made, account) == {"app": Outcome.PASS}
        elsewhere = self.account("elsewhere", automountServiceAccountToken=False)
        assert outcomes("R19", space, made, elsewhere) == {"app": Outcome.FAIL}

    def test_a_stack_without_pods_has_no_findings(self) -> None:
        assert outcomes("R19", self.account(), self.BOUND) == {}
