"""Who may do what in the cluster: roles, who they are bound to, and the accounts that pods run as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from policies.evidence.reading import NOT_KNOWN, list_of, mapping_of, metadata_of, value_of, words
from policies.evidence.table import Table
from policies.record import Seen
from policies.values import UNKNOWN, Value

RBAC: Final = "kubernetes:rbac.authorization.k8s.io/v1:"
ACCOUNT: Final = "kubernetes:core/v1:ServiceAccount"
NAMESPACE: Final = "kubernetes:core/v1:Namespace"
EVERYWHERE: Final = "(every namespace)"


def tables(seen: Sequence[Seen]) -> tuple[Table, ...]:
    view = _Cluster(seen)
    bindings = _bindings(view)
    return (_rules(view), bindings, _accounts(view, bindings))


class _Cluster:
    """The objects of the cluster, by namespace and name."""

    def __init__(self, seen: Sequence[Seen]) -> None:
        self._seen = seen
        self._namespaces = {each.resource.urn: _named(each) for each in seen if each.resource.type == NAMESPACE}

    def of(self, *resource_types: str) -> list[tuple[str, str, Seen]]:
        """Namespace, name and object of each; a name that the engine learns later only is that of the resource."""
        found = [(self._namespace(each), _named(each), each) for each in self._seen if each.resource.type in resource_types]
        return sorted(found, key=lambda each: (*each[:2], each[2].resource.urn))

    def _namespace(self, seen: Seen) -> str:
        """By the engine's edges where the value is not known yet: the namespace is an object of the stack's as well."""
        namespace = metadata_of(seen, "namespace")
        if namespace is UNKNOWN:
            edges = seen.resource.property_dependencies.get("metadata", ())
            return next((self._namespaces[urn] for urn in edges if urn in self._namespaces), NOT_KNOWN)
        return words(namespace)


def _named(seen: Seen) -> str:
    name = metadata_of(seen, "name")
    return name if isinstance(name, str) else seen.resource.name


def _rules(cluster: _Cluster) -> Table:
    rows = [
        (
            role.resource.type.removeprefix(RBAC),
            namespace or EVERYWHERE,
            name,
            words(rule.get("verbs")),
            words(rule.get("resources")) or words(rule.get("nonResourceURLs")),
            _groups(rule.get("apiGroups")),
            words(rule.get("resourceNames")) or "all",
        )
        for namespace, name, role in cluster.of(f"{RBAC}Role", f"{RBAC}ClusterRole")
        for rule in map(mapping_of, list_of(value_of(role, "rules")))
    ]
    return Table(
        name="access-kubernetes-roles",
        title="Kubernetes: what the roles may do",
        columns=("kind", "namespace", "role", "verbs", "resources", "api groups", "names"),
        rows=rows,
        empty="The record has no role of Kubernetes.",
    )


def _groups(value: Value) -> str:
    return ", ".join(words(group) or "core" for group in list_of(value))


def _bindings(cluster: _Cluster) -> Table:
    rows = [
        (namespace or EVERYWHERE, name, _role(binding), _subject(subject))
        for namespace, name, binding in cluster.of(f"{RBAC}RoleBinding", f"{RBAC}ClusterRoleBinding")
        for subject in map(mapping_of, list_of(value_of(binding, "subjects")))
    ]
    return Table(
        name="access-kubernetes-bindings",
        title="Kubernetes: whom the roles are bound to",
        columns=("namespace", "binding", "role", "subject"),
        rows=rows,
        empty="The record has no binding of Kubernetes.",
    )


def _role(binding: Seen) -> str:
    role = mapping_of(value_of(binding, "roleRef"))
    return f"{words(role.get('kind'))} {words(role.get('name'))}"


def _subject(subject: Mapping[str, Value]) -> str:
    namespace, name = words(subject.get("namespace")), words(subject.get("name"))
    return f"{words(subject.get('kind'))} {f'{namespace}/' if namespace else ''}{name}"


def _accounts(cluster: _Cluster, bindings: Table) -> Table:
    def roles(account: str) -> str:
        return ", ".join(row[2] for row in bindings.rows if row[3] == f"ServiceAccount {account}") or "none"

    rows = [
        (namespace, name, _token(value_of(account, "automountServiceAccountToken")), roles(f"{namespace}/{name}"))
        for namespace, name, account in cluster.of(ACCOUNT)
    ]
    return Table(
        name="access-kubernetes-accounts",
        title="Kubernetes: the accounts that pods run as",
        columns=("namespace", "account", "token mounted", "roles"),
        rows=rows,
        note="Token mounted: what the account says; a pod may say otherwise for itself.",
        empty="The record has no service account.",
    )


def _token(value: Any) -> str:
    return "yes, by default" if value is None else words(value)
