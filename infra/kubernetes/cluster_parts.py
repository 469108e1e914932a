"""What programs of the whole cluster have in common: their namespace, their labels, their rights and their pods' shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core.v1 import (
    CapabilitiesArgs,
    PodSecurityContextArgs,
    SeccompProfileArgs,
    SecurityContextArgs,
    ServiceAccount,
    TopologySpreadConstraintArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.rbac.v1 import (
    ClusterRole,
    ClusterRoleBinding,
    PolicyRuleArgs,
    Role,
    RoleBinding,
    RoleRefArgs,
    SubjectArgs,
)

from infra.kubernetes.names import APPLICATION

NAMESPACE = "kube-system"
NOBODY = 65534  # the user of distroless images
RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Rule:
    """``group``: of the API, empty for the core's. ``names``: of the objects, or all of them."""

    group: str
    resources: Sequence[str]
    verbs: Sequence[str]
    names: Sequence[str] = field(default=())

    def args(self) -> PolicyRuleArgs:
        return PolicyRuleArgs(
            api_groups=[self.group],
            resources=list(self.resources),
            verbs=list(self.verbs),
            resource_names=list(self.names) or None,
        )


def selector_of(program: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": program, "app.kubernetes.io/instance": APPLICATION}


def labels_of(program: str) -> dict[str, str]:
    return {**selector_of(program), "app.kubernetes.io/part-of": APPLICATION, "app.kubernetes.io/managed-by": "pulumi"}


def metadata_of(program: str, name: str | None = None, annotations: Mapping[str, str] | None = None) -> ObjectMetaArgs:
    """Of an object in the namespace."""
    return ObjectMetaArgs(
        name=name or program,
        namespace=NAMESPACE,
        labels=labels_of(program),
        annotations=dict(annotations) if annotations else None,
    )


def cluster_metadata_of(program: str) -> ObjectMetaArgs:
    """Of an object that belongs to no namespace."""
    return ObjectMetaArgs(name=program, labels=labels_of(program))


def account_with_rights(
    name: str, program: str, everywhere: Sequence[Rule], at_home: Sequence[Rule], opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """A service account, what it may do in the cluster, and what in its own namespace alone."""
    account = ServiceAccount(f"{name}-account", metadata=metadata_of(program), opts=opts)
    subjects = [SubjectArgs(kind="ServiceAccount", name=program, namespace=NAMESPACE)]
    cluster_role = ClusterRole(
        f"{name}-cluster-role", metadata=cluster_metadata_of(program), rules=[rule.args() for rule in everywhere], opts=opts
    )
    cluster_binding = ClusterRoleBinding(
        f"{name}-cluster-binding",
        metadata=cluster_metadata_of(program),
        role_ref=RoleRefArgs(api_group=RBAC, kind="ClusterRole", name=program),
        subjects=subjects,
        opts=opts,
    )
    role = Role(f"{name}-role", metadata=metadata_of(program), rules=[rule.args() for rule in at_home], opts=opts)
    binding = RoleBinding(
        f"{name}-binding",
        metadata=metadata_of(program),
        role_ref=RoleRefArgs(api_group=RBAC, kind="Role", name=program),
        subjects=subjects,
        opts=opts,
    )
    return [account, cluster_role, cluster_binding, role, binding]


def before_nodes(opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """For the role of a program that waits for nodes: beside its component and not in it, so that it does not wait as well.

    EKS tells its webhook of an association seconds after it has answered (docs.aws.amazon.com/eks: pod-identities), and a pod
    that is made within them has no credentials, however often its containers start again.
    """
    return pulumi.ResourceOptions(parent=opts.parent if opts else None)


def unprivileged_pod() -> PodSecurityContextArgs:
    return PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=NOBODY,
        run_as_group=NOBODY,
        fs_group=NOBODY,
        seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
    )


def unprivileged() -> SecurityContextArgs:
    return SecurityContextArgs(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        run_as_non_root=True,
        capabilities=CapabilitiesArgs(drop=["ALL"]),
        seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
    )


def over_nodes(program: str) -> list[TopologySpreadConstraintArgs]:
    return [
        TopologySpreadConstraintArgs(
            topology_key="kubernetes.io/hostname",
            max_skew=1,
            when_unsatisfiable="ScheduleAnyway",
            label_selector=LabelSelectorArgs(match_labels=selector_of(program)),
        )
    ]
