"""RBAC of Kubernetes: no wildcard, nobody bound to everything, and no way to more rights or to every secret."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from policies.resource import Resource, View
from policies.rule import PASS, Check, Rule, Severity, Verdict, each, fail
from policies.rules import links
from policies.show import show

_VERSIONS: Final = tuple(f"kubernetes:rbac.authorization.k8s.io/{version}" for version in ("v1", "v1beta1", "v1alpha1"))
ALL: Final = "*"


def _types(kind: str) -> tuple[str, ...]:
    return tuple(f"{version}:{kind}{form}" for version in _VERSIONS for form in ("", "Patch", "List"))


CLUSTER_ROLES, ROLES = _types("ClusterRole"), _types("Role")
CLUSTER_BINDINGS, BINDINGS = _types("ClusterRoleBinding"), _types("RoleBinding")
LISTS: Final = ("verbs", "apiGroups", "resources", "nonResourceURLs")  # of a rule, what it lets do with what
ADMINISTRATOR: Final = "cluster-admin"
# Of the roles that every cluster has, those whose holder reads secrets (kubernetes.io: user-facing roles).
READ_SECRETS: Final = frozenset({ADMINISTRATOR, "admin", "edit"})
# Whoever has an account, or none.
EVERYBODY: Final = frozenset({"system:anonymous", "system:authenticated", "system:serviceaccounts", "system:unauthenticated"})
# With these one comes to rights that one was not given (kubernetes.io: RBAC good practices).
ESCALATING: Final = ("bind", "escalate", "impersonate")
IMPERSONATED: Final = frozenset({"users", "groups", "serviceaccounts", "uids"})
BOUND: Final = frozenset({"roles", "clusterroles"})
READ: Final = frozenset({"get", "list", "watch", ALL})
CORE: Final = ""
SECRETS: Final = "secrets"
TOKENS: Final = "serviceaccounts/token"


def each_object(resource: Resource, judge: Callable[[View], Verdict]) -> Verdict:
    """Of the resource, or of every item of a list."""
    if not resource.type.endswith("List"):
        return judge(resource.view)
    return each(*(partial(judge, item) for item in resource.view.mappings("items") or []))


def each_rule(judge: Callable[[View], Verdict], resource: Resource) -> Verdict:
    return each_object(resource, lambda role: each(*(partial(judge, rule) for rule in role.mappings("rules") or [])))


def no_wildcard(role: View) -> Verdict:
    return each(
        *(partial(_names, rule, name) for rule in role.mappings("rules") or [] for name in LISTS), partial(_aggregates, role)
    )


def _names(rule: View, name: str) -> Verdict:
    wild = [text for text in rule.texts(name) or [] if _is_wild(name, text)]
    return fail(*(f"{rule.path(name)} has {show(text)}: name what is needed" for text in wild)) if wild else PASS


def _is_wild(name: str, text: str) -> bool:
    """Below a path that is named, ``/metrics/*``, the asterisk is the only way to say it."""
    return text in (ALL, "/*") if name == "nonResourceURLs" else ALL in text


def _aggregates(role: View) -> Verdict:
    """A role that takes in all others has what any of them has, now and later."""
    aggregation = role.mapping("aggregationRule")
    selectors = (aggregation.mappings("clusterRoleSelectors") or []) if aggregation else []
    if any(not selector.raw("matchLabels") and not selector.raw("matchExpressions") for selector in selectors):
        return fail(f"{role.path('aggregationRule')} takes in every ClusterRole: select by labels of your own")
    return PASS


def nobody_is_bound_to_everything(binding: View) -> Verdict:
    return each(partial(_no_administrator, binding), partial(_somebody, binding))


def _no_administrator(binding: View) -> Verdict:
    reference = binding.mapping("roleRef")
    if reference is not None and reference.text("name") == ADMINISTRATOR:
        return fail(f"{reference.path('name')} is {ADMINISTRATOR}, which may do everything: make a role of what is needed")
    return PASS


def _somebody(binding: View) -> Verdict:
    names = [(subject, subject.text("name") or "") for subject in binding.mappings("subjects") or []]
    reasons = [f"{subject.path('name')} is {show(name)}, which is everybody" for subject, name in names if name in EVERYBODY]
    return fail(*reasons) if reasons else PASS


def no_way_to_more(rule: View) -> Verdict:
    verbs, resources = set(rule.texts("verbs") or []), {text.partition("/")[0] for text in rule.texts("resources") or []}
    ways = [verb for verb in ESCALATING if verb in verbs]
    if ALL in verbs and (resources & (BOUND | IMPERSONATED) or ALL in resources):
        ways = list(ESCALATING)
    return fail(f"{rule.path('verbs')} has {', '.join(ways)}, by which its holder comes to more rights") if ways else PASS


def no_secret_anywhere(rule: View) -> Verdict:
    """Of a ClusterRole, which a binding can let count in every namespace."""
    verbs, resources, groups = (set(rule.texts(name) or []) for name in ("verbs", "resources", "apiGroups"))
    if not groups & {CORE, ALL}:
        return PASS
    reasons = []
    # A list of names bounds a `get` only: who may list sees them all.
    named = bool(rule.texts("resourceNames")) and not verbs & (READ - {"get"})
    if resources & {SECRETS, ALL} and verbs & READ and not named:
        reasons.append(f"{rule.path('resources')} lets {', '.join(sorted(verbs & READ))} secrets of every namespace")
    if (
        resources & {TOKENS, "serviceaccounts/*", "*/token", ALL}
        and verbs & {"create", ALL}
        and not rule.texts("resourceNames")
    ):
        reasons.append(f"{rule.path('resources')} lets make tokens for the service accounts of every namespace")
    return fail(*reasons) if reasons else PASS


def no_reader_of_all_secrets(binding: View) -> Verdict:
    reference = binding.mapping("roleRef")
    name = reference.text("name") if reference else None
    if reference is not None and name in READ_SECRETS:
        return fail(f"{reference.path('name')} is {name}, whose holder reads the secrets of every namespace")
    return PASS


RULES: Final = (
    Rule(
        id="R13",
        name="no-rbac-wildcard",
        title="No role of Kubernetes has a wildcard, and nobody is bound to everything",
        severity=Severity.CRITICAL,
        controls=("8.2", "5.15"),
        remedy="list API groups, resources and verbs; bind one service account, to a role of its own",
        link=links.RBAC,
        checks=(
            Check(
                types=(*ROLES, *CLUSTER_ROLES),
                properties=("items", "rules", "aggregationRule"),
                judge=partial(each_object, judge=no_wildcard),
            ),
            Check(
                types=(*BINDINGS, *CLUSTER_BINDINGS),
                properties=("items", "roleRef", "subjects"),
                judge=partial(each_object, judge=nobody_is_bound_to_everything),
            ),
        ),
    ),
    Rule(
        id="R14",
        name="no-rbac-escalation",
        title="No role of Kubernetes leads to more rights or to the secrets of every namespace",
        severity=Severity.HIGH,
        controls=("8.2", "5.18"),
        remedy="leave out bind, escalate and impersonate; read secrets by a Role in one namespace, by name where you can",
        link=links.RBAC,
        checks=(
            Check(types=(*ROLES, *CLUSTER_ROLES), properties=("items", "rules"), judge=partial(each_rule, no_way_to_more)),
            Check(types=CLUSTER_ROLES, properties=("items", "rules"), judge=partial(each_rule, no_secret_anywhere)),
            Check(
                types=CLUSTER_BINDINGS,
                properties=("items", "roleRef"),
                judge=partial(each_object, judge=no_reader_of_all_secrets),
            ),
        ),
    ),
)
