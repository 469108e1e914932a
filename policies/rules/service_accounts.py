"""Pods run under a service account of their own, and hold its token only where they use the Kubernetes API."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from policies.pods import PATCHES, PROPERTIES, WORKLOADS, Pod, each_pod, namespace_of, pods_of
from policies.resource import NotKnown, Resource, Stack, View
from policies.rule import PASS, Check, Finding, Relation, Rule, Severity, Verdict, each, fail, found
from policies.rules import links
from policies.rules.rbac import BINDINGS, CLUSTER_BINDINGS
from policies.show import show

ACCOUNT: Final = "kubernetes:core/v1:ServiceAccount"
DEFAULT: Final = "default"
AUTOMOUNT: Final = "automountServiceAccountToken"


def account_of(spec: View) -> str | None:
    """``serviceAccount`` is the older name of the same field."""
    return spec.text("serviceAccountName") or spec.text("serviceAccount")


def own_account(resource: Resource) -> Verdict:
    return each_pod(resource, _own_account)


def _own_account(pod: Pod) -> Verdict:
    name = account_of(pod.spec)
    if name is None:
        return fail(f"{pod.spec.path('serviceAccountName')} is not set: the pods share the account {DEFAULT} with all others")
    return fail(f"{pod.spec.path('serviceAccountName')} is {DEFAULT}: make an account of its own") if name == DEFAULT else PASS


def not_made_default(resource: Resource) -> Verdict:
    """A patch says nothing of what it leaves alone."""
    return each_pod(resource, lambda pod: _own_account(pod) if account_of(pod.spec) else PASS)


def tokens_where_used(stack: Stack) -> Sequence[Finding]:
    return [found(resource, partial(_tokens, stack, resource)) for resource in stack.of_type(*WORKLOADS)]


def _tokens(stack: Stack, resource: Resource) -> Verdict:
    return each(*(partial(_token, stack, resource, pod) for pod in pods_of(resource)))


def _token(stack: Stack, resource: Resource, pod: Pod) -> Verdict:
    name = account_of(pod.spec) or DEFAULT
    namespace = namespace_of(stack, resource, pod.owner)
    if not _mounts(stack, pod, name, namespace) or _is_bound(stack, name, namespace):
        return PASS
    return fail(
        f"{pod.spec.path(AUTOMOUNT)} is not false, and no role is bound to the service account {show(name)}: "
        "the pods hold a token that they have no use for"
    )


def _mounts(stack: Stack, pod: Pod, name: str, namespace: str) -> bool:
    """The pod decides, else its account, else Kubernetes, which mounts the token."""
    said = pod.spec.boolean(AUTOMOUNT)
    if said is not None:
        return said
    for account in stack.of_type(ACCOUNT):
        metadata = account.view.mapping("metadata")
        if metadata and metadata.text("name") == name and namespace_of(stack, account) == namespace:
            return account.view.boolean(AUTOMOUNT) is not False
    return True


def _is_bound(stack: Stack, name: str, namespace: str) -> bool:
    return any(
        subject.text("kind") == "ServiceAccount" and subject.text("name") == name and _lies_in(subject, namespace)
        for binding in stack.of_type(*BINDINGS, *CLUSTER_BINDINGS)
        for item in (binding.view.mappings("items") or [binding.view])
        for subject in item.mappings("subjects") or []
    )


def _lies_in(subject: View, namespace: str) -> bool:
    """A namespace that is still to be made has no name yet; the account's own name tells then."""
    try:
        return subject.text("namespace") in (None, namespace)
    except NotKnown:
        return True


RULES: Final = (
    Rule(
        id="R05",
        name="own-service-account",
        title="Pods run under a service account of their own",
        severity=Severity.MEDIUM,
        controls=("5.16",),
        remedy="make a ServiceAccount for the workload and set serviceAccountName to it",
        link=links.SERVICE_ACCOUNTS,
        checks=(
            Check(types=WORKLOADS, properties=PROPERTIES, judge=own_account),
            Check(types=PATCHES, properties=PROPERTIES, judge=not_made_default),
        ),
    ),
    Rule(
        id="R19",
        name="no-idle-token",
        title="Pods hold a token of the Kubernetes API only where a role is bound to their service account",
        severity=Severity.MEDIUM,
        controls=("8.3", "5.16"),
        remedy="set automountServiceAccountToken: false in the pod's spec, or bind a role of what the pod asks the API for",
        link=links.SERVICE_ACCOUNTS,
        relations=(
            Relation(
                reads={
                    **dict.fromkeys(WORKLOADS, PROPERTIES),
                    ACCOUNT: (AUTOMOUNT, "metadata"),
                    **dict.fromkeys((*BINDINGS, *CLUSTER_BINDINGS), ("items", "subjects")),
                },
                judge=tokens_where_used,
            ),
        ),
    ),
)
