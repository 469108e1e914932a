"""AWS Load Balancer Controller, for TargetGroupBindings alone: it enters the gateway's pods into target groups of Pulumi's.

It makes no load balancer, listener or security group, and has no right to. Its other controllers are off, or look for an
Ingress class that nobody has. Who may reach the pods is said by Pulumi's security group rules, so bindings
carry no ``networking``.

Order of deletion: a binding has a finalizer that only the controller removes, so bindings go first, then it, then its role,
then the nodes. What makes bindings therefore depends on :attr:`LoadBalancerController.ready`, and this component on the nodes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi_kubernetes.admissionregistration.v1 import (
    MutatingWebhookArgs,
    MutatingWebhookConfiguration,
    RuleWithOperationsArgs,
    ServiceReferenceArgs,
    WebhookClientConfigArgs,
)
from pulumi_kubernetes.apps.v1 import Deployment, DeploymentSpecArgs
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    ContainerPortArgs,
    HTTPGetActionArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    ProbeArgs,
    ResourceRequirementsArgs,
    Secret,
    SecretVolumeSourceArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
    VolumeArgs,
    VolumeMountArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, LabelSelectorRequirementArgs, ObjectMetaArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget, PodDisruptionBudgetSpecArgs

from infra.aws.context import AwsContext
from infra.aws.identity import PODS, Statement, WorkloadRole, WorkloadRoleArgs, pod_trust
from infra.generated.certificate import Certificate
from infra.kubernetes.cluster_parts import (
    NAMESPACE,
    Rule,
    account_with_rights,
    before_nodes,
    cluster_metadata_of,
    labels_of,
    metadata_of,
    over_nodes,
    selector_of,
    unprivileged,
    unprivileged_pod,
)
from infra.kubernetes.configuration import configuration_hash
from infra.kubernetes.names import CONFIGURATION_ANNOTATION
from infra.kubernetes.target_group import READINESS_GATES
from infra.kubernetes.target_group_crd import ingress_class_params, target_group_bindings
from infra.kubernetes.third_party_images import LOAD_BALANCER_CONTROLLER

PROGRAM = "aws-load-balancer-controller"
WEBHOOKS = f"{PROGRAM}-webhooks"
WEBHOOK_PORT, HEALTH_PORT, HTTPS = 9443, 61779, 443
CERTIFICATES = "/tmp/k8s-webhook-server/serving-certs"  # noqa: S108 - the container's own
LEADER = f"{PROGRAM}-leader"
# Nobody's: the Ingress controller, which cannot be turned off, then finds nothing to do.
INGRESS_CLASS = "assistant-none"
FEATURES_OFF = ("EnableServiceController", "NLBGatewayAPI", "ALBGatewayAPI")
# The webhook's certificate; expired, pods would start without their gates, and nothing else.
VALIDITY_DAYS, RENEW_BEFORE_DAYS = 397, 120

LOOK = (
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)
ENTER = ("elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets")
_READ = ("get", "list", "watch")
EVERYWHERE = (
    Rule("", ("endpoints", "namespaces", "nodes", "pods", "services"), _READ),
    Rule("", ("events",), ("create", "patch")),
    Rule("", ("pods/status",), ("patch", "update")),  # its readiness gate
    Rule("discovery.k8s.io", ("endpointslices",), _READ),
    Rule("elbv2.k8s.aws", ("targetgroupbindings",), (*_READ, "patch", "update")),
    Rule("elbv2.k8s.aws", ("targetgroupbindings/status",), ("patch", "update")),
    Rule("elbv2.k8s.aws", ("ingressclassparams",), _READ),
    Rule("networking.k8s.io", ("ingresses", "ingressclasses"), _READ),  # watched, and never acted on
)
AT_HOME = (
    Rule("coordination.k8s.io", ("leases",), ("create",)),
    Rule("coordination.k8s.io", ("leases",), ("get", "update", "patch"), (LEADER,)),
)


@dataclass(frozen=True, kw_only=True)
class LoadBalancerControllerArgs:
    """``cluster``: the name as plain text. ``target_group_arns``: the only ones that it may change."""

    context: AwsContext
    cluster: str
    cluster_name: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    target_group_arns: Mapping[str, pulumi.Input[str]]
    image: str = LOAD_BALANCER_CONTROLLER


class LoadBalancerController(pulumi.ComponentResource):
    """``ready``: what a binding depends on. ``opts`` carry both providers, AWS' and the cluster's."""

    association: pulumi.Resource
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: LoadBalancerControllerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:LoadBalancerController", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        early = before_nodes(opts)
        role = WorkloadRole(
            f"{name}-identity",
            WorkloadRoleArgs(
                context=args.context,
                service=PODS,
                statements=statements(list(args.target_group_arns.values())),
                words=("load", "balancer", "controller"),
                trust=pod_trust(NAMESPACE, PROGRAM, args.cluster),
            ),
            early,
        )
        association = aws.eks.PodIdentityAssociation(
            f"{name}-association",
            cluster_name=args.cluster_name,
            namespace=NAMESPACE,
            service_account=PROGRAM,
            role_arn=role.arn,
            opts=early,
        )
        kinds = [target_group_bindings(f"{name}-bindings", own), ingress_class_params(f"{name}-ingress-class-params", own)]
        rights = account_with_rights(name, PROGRAM, EVERYWHERE, AT_HOME, own)
        certificate = Certificate(
            f"{name}-certificate",
            hosts=[f"{WEBHOOKS}.{NAMESPACE}.svc", f"{WEBHOOKS}.{NAMESPACE}.svc.cluster.local"],
            validity_days=VALIDITY_DAYS,
            renew_before_days=RENEW_BEFORE_DAYS,
            opts=own,
        )
        served = Secret(
            f"{name}-serving",
            metadata=metadata_of(PROGRAM, WEBHOOKS),
            type="kubernetes.io/tls",
            string_data={"tls.crt": certificate.certificate, "tls.key": certificate.key},
            opts=own,
        )
        deployment = self._deployment(
            name, args, certificate, pulumi.ResourceOptions(depends_on=[association, *role.ready, *kinds, *rights, served])
        )
        PodDisruptionBudget(
            f"{name}-budget",
            metadata=metadata_of(PROGRAM),
            spec=PodDisruptionBudgetSpecArgs(max_unavailable=1, selector=LabelSelectorArgs(match_labels=selector_of(PROGRAM))),
            opts=own,
        )
        self.association = association
        self.ready = [deployment, self._webhooks(name, certificate, deployment)]
        self.register_outputs({})

    def _deployment(
        self, name: str, args: LoadBalancerControllerArgs, certificate: Certificate, opts: pulumi.ResourceOptions
    ) -> Deployment:
        reads = {"certificate": certificate.fingerprint}
        return Deployment(
            f"{name}-deployment",
            metadata=metadata_of(PROGRAM),
            spec=DeploymentSpecArgs(
                replicas=2,
                revision_history_limit=3,
                selector=LabelSelectorArgs(match_labels=selector_of(PROGRAM)),
                template=PodTemplateSpecArgs(
                    metadata=ObjectMetaArgs(
                        labels=labels_of(PROGRAM), annotations={CONFIGURATION_ANNOTATION: configuration_hash(reads)}
                    ),
                    spec=_pod(args),
                ),
            ),
            opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), opts),
        )

    def _webhooks(self, name: str, certificate: Certificate, deployment: Deployment) -> MutatingWebhookConfiguration:
        """One: it gives pods of labelled namespaces the gate that the load balancer's health check opens."""
        after = pulumi.ResourceOptions(parent=self, depends_on=[deployment])
        service = Service(
            f"{name}-webhooks",
            metadata=metadata_of(PROGRAM, WEBHOOKS, {"pulumi.com/skipAwait": "true"}),
            spec=ServiceSpecArgs(
                type="ClusterIP",
                selector=selector_of(PROGRAM),
                ports=[ServicePortArgs(name="webhooks", port=HTTPS, target_port="webhooks")],
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        ((label, value),) = READINESS_GATES.items()
        return MutatingWebhookConfiguration(
            f"{name}-webhook",
            metadata=cluster_metadata_of(PROGRAM),
            webhooks=[
                MutatingWebhookArgs(
                    name="mpod.elbv2.k8s.aws",
                    admission_review_versions=["v1"],
                    side_effects="None",
                    # A pod without its gate is better than none while the controller is away.
                    failure_policy="Ignore",
                    timeout_seconds=5,
                    namespace_selector=LabelSelectorArgs(
                        match_expressions=[LabelSelectorRequirementArgs(key=label, operator="In", values=[value])]
                    ),
                    rules=[
                        RuleWithOperationsArgs(
                            api_groups=[""], api_versions=["v1"], operations=["CREATE"], resources=["pods"], scope="Namespaced"
                        )
                    ],
                    client_config=WebhookClientConfigArgs(
                        ca_bundle=certificate.ca_certificate.apply(lambda pem: base64.b64encode(pem.encode()).decode()),
                        service=ServiceReferenceArgs(name=WEBHOOKS, namespace=NAMESPACE, path="/mutate-v1-pod", port=HTTPS),
                    ),
                )
            ],
            opts=pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(depends_on=[service])),
        )


def statements(target_groups: Sequence[pulumi.Input[str]]) -> list[Statement]:
    """Looking, which has no narrower form, and entering pods into these target groups."""
    return [Statement(LOOK, ["*"]), Statement(ENTER, target_groups)]


def flags(context: AwsContext, cluster: str, vpc_id: pulumi.Input[str]) -> list[pulumi.Input[str]]:
    """Region and VPC are said: the metadata service that would tell them is a hop too far for a pod."""
    return [
        f"--cluster-name={cluster}",
        f"--aws-region={context.region}",
        pulumi.Output.concat("--aws-vpc-id=", vpc_id),
        f"--ingress-class={INGRESS_CLASS}",
        "--disable-ingress-class-annotation=true",
        "--disable-ingress-group-name-annotation=true",
        "--enable-shield=false",
        "--enable-waf=false",
        "--enable-wafv2=false",
        "--enable-backend-security-group=false",
        "--enable-manage-backend-security-group-rules=false",
        "--feature-gates=" + ",".join(f"{feature}=false" for feature in FEATURES_OFF),
        f"--webhook-bind-port={WEBHOOK_PORT}",
    ]


def _pod(args: LoadBalancerControllerArgs) -> PodSpecArgs:
    return PodSpecArgs(
        service_account_name=PROGRAM,
        priority_class_name="system-cluster-critical",
        enable_service_links=False,
        security_context=unprivileged_pod(),
        topology_spread_constraints=over_nodes(PROGRAM),
        termination_grace_period_seconds=15,
        containers=[
            ContainerArgs(
                name="controller",
                image=args.image,
                args=flags(args.context, args.cluster, args.vpc_id),
                ports=[
                    ContainerPortArgs(name="webhooks", container_port=WEBHOOK_PORT),
                    ContainerPortArgs(name="health", container_port=HEALTH_PORT),
                ],
                liveness_probe=_probe("/healthz", 30),
                readiness_probe=_probe("/readyz", 10),
                resources=ResourceRequirementsArgs(
                    requests={"cpu": "50m", "memory": "128Mi", "ephemeral-storage": "32Mi"},
                    limits={"cpu": "500m", "memory": "256Mi", "ephemeral-storage": "256Mi"},  # its log
                ),
                security_context=unprivileged(),
                volume_mounts=[VolumeMountArgs(name="certificates", mount_path=CERTIFICATES, read_only=True)],
            )
        ],
        volumes=[VolumeArgs(name="certificates", secret=SecretVolumeSourceArgs(secret_name=WEBHOOKS, default_mode=0o440))],
    )


def _probe(path: str, delay: int) -> ProbeArgs:
    return ProbeArgs(
        http_get=HTTPGetActionArgs(path=path, port="health"),
        initial_delay_seconds=delay,
        period_seconds=10,
        timeout_seconds=10,
        failure_threshold=2,
    )
