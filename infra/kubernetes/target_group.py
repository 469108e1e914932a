"""The way in through a load balancer that somebody else owns: its target groups get the gateway's pods.

The AWS Load Balancer Controller enters the pods of a Service into a target group, and keeps them there; it makes no load
balancer. A binding has a finalizer: it goes before the controller does, so what makes it depends on the controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.kubernetes.exposure import HTTPS_PORT, NAME
from infra.kubernetes.names import GATEWAY_PORT, labels

# Read by the controller's webhook: pods of the namespace are then ready when the load balancer has them too, so that a rolling
# update never takes the last pod that it knows.
READINESS_GATES = {"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"}


@dataclass(frozen=True, kw_only=True)
class TargetGroups:
    """``arns``: by a name of ours, for example ``api`` and ``generating``. ``security_group``: the load balancer's, which the
    controller lets in to the pods; None: somebody else does. ``readiness_gates``: needs the controller's webhook."""

    arns: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    security_group: pulumi.Input[str] | None = None
    readiness_gates: bool = True

    @property
    def namespace_labels(self) -> dict[str, str]:
        return dict(READINESS_GATES) if self.readiness_gates else {}


@dataclass(frozen=True, kw_only=True)
class BoundTargetGroupsArgs:
    namespace: pulumi.Input[str]
    target_groups: TargetGroups


class BoundTargetGroups(pulumi.ComponentResource):
    """A TargetGroupBinding for each target group, all of them to the Service in front of the gateway."""

    def __init__(self, name: str, args: BoundTargetGroupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:BoundTargetGroups", name, {}, opts)
        groups = args.target_groups
        self.bindings = {
            group: CustomResource(
                f"{name}-{group}",
                api_version="elbv2.k8s.aws/v1beta1",
                kind="TargetGroupBinding",
                metadata=ObjectMetaArgs(name=f"{NAME}-{group}", namespace=args.namespace, labels=labels("gateway")),
                spec=binding(arn, groups.security_group),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for group, arn in groups.arns.items()
        }
        self.register_outputs({})


def binding(arn: pulumi.Input[str], security_group: pulumi.Input[str] | None) -> dict[str, Any]:
    """The ``spec`` of a TargetGroupBinding (kubernetes-sigs.github.io/aws-load-balancer-controller, its specification)."""
    spec: dict[str, Any] = {
        "serviceRef": {"name": NAME, "port": HTTPS_PORT},
        "targetGroupARN": arn,
        "targetType": "ip",
    }
    if security_group is not None:
        from_ = [{"securityGroup": {"groupID": security_group}}]
        spec["networking"] = {"ingress": [{"from": from_, "ports": [{"protocol": "TCP", "port": GATEWAY_PORT}]}]}
    return spec
