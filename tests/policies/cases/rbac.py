"""Roles of Kubernetes, who is bound to them, and the service accounts that pods run under."""

from __future__ import annotations

from typing import Any

from cases.theme import Bad, Cases, Good, Theme

RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
EVENTS = {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}


def metadata(name: str, namespace: str | None = "kube-system") -> dict[str, Any]:
    return {"name": name} if namespace is None else {"name": name, "namespace": namespace}


def account(name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}


def deployment(name: str, **spec: Any) -> dict[str, Any]:
    pods = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": name, "image": "i"}], **spec}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(name), "spec": {"template": pods}}


_GOOD = {
    "role": Good(type=f"{RBAC}:Role", properties={"metadata": metadata("autoscaler"), "rules": [EVENTS]}),
    "cluster-role": Good(
        type=f"{RBAC}:ClusterRole",
        properties={
            "metadata": metadata("autoscaler", None),
            "rules": [EVENTS, {"nonResourceURLs": ["/metrics/*"], "verbs": ["get"]}],
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"of": "autoscaler"}}]},
        },
    ),
    "roles": Good(type=f"{RBAC}:RoleList", properties={"items": [{"metadata": metadata("other"), "rules": [EVENTS]}]}),
    "cluster-roles": Good(type=f"{RBAC}:ClusterRoleList", properties={"items": [{"rules": [EVENTS]}]}),
    "binding": Good(
        type=f"{RBAC}:RoleBinding",
        properties={
            "metadata": metadata("autoscaler"),
            "roleRef": {"kind": "Role", "name": "autoscaler"},
            "subjects": [account("autoscaler")],
        },
    ),
    "cluster-binding": Good(
        type=f"{RBAC}:ClusterRoleBinding",
        properties={"roleRef": {"kind": "ClusterRole", "name": "controller"}, "subjects": [account("controller")]},
    ),
    "cluster-bindings": Good(
        type=f"{RBAC}:ClusterRoleBindingList",
        properties={"items": [{"roleRef": {"kind": "ClusterRole", "name": "agent"}, "subjects": [account("agent")]}]},
    ),
    "account": Good(
        type="kubernetes:core/v1:ServiceAccount",
        properties={"metadata": metadata("gateway"), "automountServiceAccountToken": False},
    ),
    "autoscaler": Good(
        type="kubernetes:apps/v1:Deployment", properties=deployment("autoscaler", serviceAccountName="autoscaler")
    ),
    "controller": Good(
        type="kubernetes:apps/v1:Deployment", properties=deployment("controller", serviceAccountName="controller")
    ),
    "agent": Good(type="kubernetes:apps/v1:Deployment", properties=deployment("agent", serviceAccountName="agent")),
    "gateway": Good(type="kubernetes:apps/v1:Deployment", properties=deployment("gateway", serviceAccountName="gateway")),
    "patch": Good(
        type="kubernetes:apps/v1:DaemonSetPatch", properties={"spec": {"template": {"spec": {"priorityClassName": "high"}}}}
    ),
}
POD = "spec/template/spec"


def rule(**changes: Any) -> dict[str, Any]:
    return {"rules": [EVENTS, {**EVENTS, **changes}]}


_CASES = {
    "R13": Cases(
        failing=(
            Bad("role", rule(verbs=["*"]), "rules[1].verbs has *: name what is needed"),
            Bad("role", rule(resources=["*"]), "rules[1].resources has *"),
            Bad("role", rule(resources=["pods", "deployments/*"]), "deployments/*"),
            Bad("role", rule(resources=["*/scale"]), "*/scale"),
            Bad("role", rule(apiGroups=["*"]), "rules[1].apiGroups has *"),
            Bad("cluster-role", rule(nonResourceURLs=["*"]), "nonResourceURLs has *"),
            Bad("cluster-role", rule(nonResourceURLs=["/*"]), "nonResourceURLs has /*"),
            Bad("cluster-role", {"aggregationRule/clusterRoleSelectors/0": {}}, "aggregationRule takes in every ClusterRole"),
            Bad("roles", {"items/0/rules/0/verbs": ["get", "*"]}, "items[0].rules[0].verbs has *"),
            Bad("cluster-roles", {"items/0/rules/0/resources": ["*"]}, "items[0].rules[0].resources"),
            Bad("binding", {"roleRef/name": "cluster-admin"}, "roleRef.name is cluster-admin"),
            Bad("cluster-binding", {"roleRef/name": "cluster-admin"}, "roleRef.name is cluster-admin"),
            Bad("cluster-bindings", {"items/0/roleRef/name": "cluster-admin"}, "items[0].roleRef.name"),
            *(
                Bad("cluster-binding", {"subjects/0": {"kind": "Group", "name": name}}, f"subjects[0].name is {name}")
                for name in ("system:authenticated", "system:unauthenticated", "system:anonymous", "system:serviceaccounts")
            ),
        ),
        unknown=("role", "rules"),
        malformed=("binding", "subjects"),
    ),
    "R14": Cases(
        failing=(
            *(
                Bad("role", rule(verbs=["get", verb]), f"rules[1].verbs has {verb}, by which")
                for verb in ("bind", "escalate", "impersonate")
            ),
            *(
                Bad("role", rule(verbs=["*"], resources=[resource]), "bind, escalate, impersonate")
                for resource in ("roles", "clusterroles", "users", "groups", "serviceaccounts", "uids", "*")
            ),
            *(
                Bad("cluster-role", rule(resources=["secrets"], verbs=[verb]), f"lets {verb} secrets of every namespace")
                for verb in ("get", "list", "watch", "*")
            ),
            Bad("cluster-role", rule(resources=["*"], verbs=["get"]), "secrets of every namespace"),
            Bad("cluster-role", rule(resources=["secrets"], verbs=["get"], apiGroups=["*"]), "secrets of every namespace"),
            Bad("cluster-role", rule(resources=["secrets"], verbs=["get", "list"], resourceNames=["a"]), "get, list secrets"),
            Bad("cluster-role", rule(resources=["serviceaccounts/token"], verbs=["create"]), "tokens for the service accounts"),
            Bad("cluster-role", rule(resources=["serviceaccounts/*"], verbs=["*"]), "tokens for the service accounts"),
            Bad("cluster-roles", {"items/0/rules/0": {**EVENTS, "resources": ["secrets"], "verbs": ["list"]}}, "items[0]"),
            *(
                Bad("cluster-binding", {"roleRef/name": name}, f"roleRef.name is {name}, whose holder reads the secrets")
                for name in ("cluster-admin", "admin", "edit")
            ),
            Bad("cluster-bindings", {"items/0/roleRef/name": "edit"}, "items[0].roleRef.name is edit"),
        ),
        unknown=("cluster-role", "rules"),
        malformed=("role", "rules"),
    ),
    "R05": Cases(
        failing=(
            Bad("gateway", {f"{POD}/serviceAccountName": None}, "spec.template.spec.serviceAccountName is not set"),
            Bad("gateway", {f"{POD}/serviceAccountName": ""}, "serviceAccountName is not set"),
            Bad("gateway", {f"{POD}/serviceAccountName": "default"}, "serviceAccountName is default"),
            Bad("patch", {f"{POD}/serviceAccountName": "default"}, "serviceAccountName is default"),
        ),
        unknown=("gateway", f"{POD}/serviceAccountName"),
        malformed=("gateway", f"{POD}/serviceAccountName"),
    ),
    "R19": Cases(
        failing=(
            Bad("gateway", {f"{POD}/automountServiceAccountToken": True}, "no role is bound to the service account gateway"),
            Bad("account", {"automountServiceAccountToken": True}, "automountServiceAccountToken is not false"),
            Bad("account", {"automountServiceAccountToken": None}, "no role is bound to the service account gateway"),
            Bad("account", {"metadata/namespace": "elsewhere"}, "no role is bound to the service account gateway"),
            Bad("gateway", {f"{POD}/serviceAccountName": None}, "no role is bound to the service account default"),
            Bad("account", {}, "no role is bound", without=("account",)),
            Bad("binding", {"subjects/0/namespace": "elsewhere"}, "no role is bound to the service account autoscaler"),
            Bad("binding", {"subjects/0/kind": "User"}, "no role is bound to the service account autoscaler"),
            Bad("cluster-binding", {"subjects/0/name": "other"}, "no role is bound to the service account controller"),
            Bad("cluster-bindings", {"items/0/subjects": []}, "no role is bound to the service account agent"),
        ),
        unknown=("gateway", f"{POD}/serviceAccountName"),
        malformed=("account", "automountServiceAccountToken"),
    ),
}

THEME = Theme(good=_GOOD, cases=_CASES)
