"""The Kubernetes control plane on EKS: who reaches it, who administers it, what it logs and how its secrets are encrypted."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes

from infra.aws.context import AwsContext
from infra.aws.identity import Statement, WorkloadRole, WorkloadRoleArgs
from infra.aws.kubernetes_versions import check, check_known, today
from infra.aws.logs import LogGroup, LogGroupArgs
from infra.errors import DeploymentError

if TYPE_CHECKING:
    from infra.aws.keys import Keys
    from infra.aws.network import Network

LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
# What the control plane does with the key of its secrets (docs.aws.amazon.com/eks: enable-kms).
ENVELOPE = ("kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey")
ADMINISTRATOR_POLICY = "AmazonEKSClusterAdminPolicy"
CONTEXT = "eks"  # of the kubeconfig: it has one


@dataclass(frozen=True, kw_only=True)
class EksClusterArgs:
    """``refused_on``: the day on which a version whose support has ended is refused; None: that is said, and goes on."""

    context: AwsContext
    network: Network
    keys: Keys
    refused_on: datetime.date | None = None


class EksCluster(pulumi.ComponentResource):
    """A cluster of the stack's own, or with ``eks.clusterName`` one of yours, which is looked up and left as it is.

    ``identifier``: the name as plain text, for what must be known before the cluster is. ``version``: of a cluster that the
    stack made, which ``ours`` tells.
    ``administration``: what must be there before anybody may speak to the API server, for ``depends_on``.
    """

    identifier: str
    version: str
    ours: bool
    arn: pulumi.Output[str]
    cluster_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    administration: list[pulumi.Resource]

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:EksCluster", name, {}, opts)
        self._args, context = args, args.context
        eks, aws_settings = context.settings.eks, context.settings.aws
        self.ours = eks.cluster_name is None
        self.version = eks.version
        self.identifier = eks.cluster_name or context.name(longest=100)
        self.arn = context.arn("eks", f"cluster/{self.identifier}")
        self.administration = []
        if self.ours:
            self._make(name)
        else:
            self._look_up()
        self.kubeconfig = pulumi.Output.all(self.cluster_name, self.endpoint, self.certificate_authority).apply(
            lambda known: kubeconfig_text(
                cluster_name=known[0],
                endpoint=known[1],
                certificate_authority=known[2],
                region=aws_settings.region,
                profile=aws_settings.profile,
            )
        )
        self.register_outputs({"clusterName": self.cluster_name, "endpoint": self.endpoint})

    def kubernetes_provider(
        self, name: str, opts: pulumi.ResourceOptions | None = None, *, delete_unreachable: bool = False
    ) -> pulumi_kubernetes.Provider:
        """The provider of everything in the cluster. Its identity is the cluster's ARN: a rotated certificate, another profile
        or a moved endpoint changes how the cluster is reached and replaces nothing in it.

        ``delete_unreachable``: forget what stood in a cluster that is gone, instead of failing on every object of it.
        """
        merged = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(parent=None if opts and opts.parent else self, depends_on=self.administration)
        )
        return pulumi_kubernetes.Provider(
            name,
            kubeconfig=self.kubeconfig,
            context=CONTEXT,
            cluster_identifier=self.arn,
            enable_server_side_apply=True,
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            delete_unreachable=delete_unreachable,
            opts=merged,
        )

    def _look_up(self) -> None:
        found = aws.eks.get_cluster_output(name=self.identifier, opts=pulumi.InvokeOptions(parent=self))
        self.cluster_name = found.name
        self.endpoint = found.endpoint
        self.certificate_authority = found.certificate_authorities.apply(lambda authorities: authorities[0].data)
        self.security_group_id = found.vpc_config.apply(lambda config: config.cluster_security_group_id)

    def _make(self, name: str) -> None:
        args, context = self._args, self._args.context
        settings, eks = context.settings, context.settings.eks
        _say_support(eks.version, args.refused_on, self)
        own = pulumi.ResourceOptions(parent=self)
        key = args.keys.arn("cluster")
        role = WorkloadRole(
            f"{name}-control-plane",
            WorkloadRoleArgs(
                context=context,
                service=context.partition.service("eks"),
                statements=[Statement(ENVELOPE, [key])],
                words=("control", "plane"),
                managed=("AmazonEKSClusterPolicy",),
            ),
            own,
        )
        # EKS makes this group itself, unencrypted and kept for ever, if it is not there when logging begins.
        logs = LogGroup(
            f"{name}-logs",
            LogGroupArgs(context=context, key_arn=args.keys.arn("logs"), words=(), named=f"/aws/eks/{self.identifier}/cluster"),
            own,
        )
        cluster = aws.eks.Cluster(
            f"{name}-cluster",
            name=self.identifier,
            version=eks.version,
            role_arn=role.arn,
            access_config=aws.eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
            ),
            # Add-ons of EKS' own are made by infra/aws/addons.py, each with its version and its settings.
            bootstrap_self_managed_addons=False,
            deletion_protection=settings.protection,
            enabled_cluster_log_types=list(LOG_TYPES),
            encryption_config=aws.eks.ClusterEncryptionConfigArgs(
                provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=key), resources=["secrets"]
            ),
            kubernetes_network_config=aws.eks.ClusterKubernetesNetworkConfigArgs(
                ip_family="ipv4", service_ipv4_cidr=eks.service_cidr
            ),
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                subnet_ids=args.network.private_subnet_ids,
                endpoint_private_access=True,
                endpoint_public_access=eks.endpoint == "public",
                public_access_cidrs=list(eks.deployer_cidrs) if eks.endpoint == "public" else None,
            ),
            # Application Recovery Controller moves traffic out of a zone that ails; China has none.
            zonal_shift_config=aws.eks.ClusterZonalShiftConfigArgs(enabled=True) if context.partition.name == "aws" else None,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[logs, *role.ready],
                custom_timeouts=pulumi.CustomTimeouts(create="60m", update="60m", delete="30m"),
            ),
        )
        self.cluster_name = cluster.name
        self.endpoint = cluster.endpoint
        self.certificate_authority = cluster.certificate_authority.apply(lambda authority: _data(authority))
        self.security_group_id = cluster.vpc_config.apply(_security_group)
        self._administrators(name)

    def _administrators(self, name: str) -> None:
        """Nobody is an administrator for having made the cluster: who is one stands in the settings, or is whoever deploys."""
        administrators = self._args.context.settings.eks.administrators
        invoke = pulumi.InvokeOptions(parent=self)
        caller = aws.get_caller_identity_output(opts=invoke)
        # Of an assumed role's session, the role; of a user, the user.
        deployer = aws.iam.get_session_context_output(arn=caller.arn, opts=invoke).issuer_arn
        principals: dict[str, pulumi.Input[str]] = {"deployer": deployer}
        if administrators:
            checked = deployer.apply(lambda arn: _among(arn, administrators))
            principals = {
                f"administrator-{index}": checked.apply(lambda _arn, arn=arn: arn)  # type: ignore[misc]
                for index, arn in enumerate(administrators)
            }
        partition = self._args.context.partition.name
        for words, principal in principals.items():
            entry = aws.eks.AccessEntry(
                f"{name}-{words}",
                cluster_name=self.cluster_name,
                principal_arn=principal,
                type="STANDARD",
                opts=pulumi.ResourceOptions(parent=self),
            )
            policy = aws.eks.AccessPolicyAssociation(
                f"{name}-{words}-policy",
                cluster_name=self.cluster_name,
                principal_arn=entry.principal_arn,
                policy_arn=f"arn:{partition}:eks::aws:cluster-access-policy/{ADMINISTRATOR_POLICY}",
                access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.administration += [entry, policy]


def kubeconfig_text(*, cluster_name: str, endpoint: str, certificate_authority: str, region: str, profile: str | None) -> str:
    """JSON, which is YAML, with no credentials in it: `aws eks get-token` signs a request each time it is asked. Pure."""
    arguments = ["eks", "get-token", "--cluster-name", cluster_name, "--region", region, "--output", "json"]
    if profile:
        arguments += ["--profile", profile]
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        "clusters": [{"name": CONTEXT, "cluster": {"server": endpoint, "certificate-authority-data": certificate_authority}}],
        "users": [
            {
                "name": CONTEXT,
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1beta1",
                        "command": "aws",
                        "args": arguments,
                        "interactiveMode": "Never",
                        "installHint": "The AWS CLI signs in to the cluster: docs/aws.md says how to install it.",
                    }
                },
            }
        ],
    }
    return json.dumps(document, sort_keys=True)


def _say_support(version: str, refused_on: datetime.date | None, resource: pulumi.Resource) -> None:
    """A destroy runs the program too, and a cluster whose version has aged must still go: so the end of support is said here,
    and refused by the preflight of an `up`, which asks EKS itself."""
    check_known(version)
    try:
        said = check(version, refused_on or today())
    except DeploymentError as error:
        if refused_on is not None:
            raise
        said = str(error)
    if said:
        pulumi.log.warn(said, resource)


def _among(deployer: str, administrators: tuple[str, ...]) -> str:
    """Whoever previews need not be who deploys: a pipeline has a role for it that can only read. It is told."""
    if deployer not in administrators:
        words = (
            f"You deploy as {deployer}, which is not among assistant:eks.administrators ({', '.join(administrators)}): the "
            "cluster would refuse what this stack puts into it. Add it there, or leave the setting out: then whoever deploys "
            "administers."
        )
        if not pulumi.runtime.is_dry_run():
            raise DeploymentError(words)
        pulumi.log.warn(words)
    return deployer


def _data(authority: Any) -> str:
    return str(authority["data"] if isinstance(authority, dict) else authority.data)


def _security_group(config: Any) -> str:
    return str(config["cluster_security_group_id"] if isinstance(config, dict) else config.cluster_security_group_id)
