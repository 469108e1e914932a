"""The Kubernetes control plane and its nodes on EKS."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from policies.networks import is_world
from policies.relations import means
from policies.resource import Malformed, Resource, Stack, View
from policies.rule import PASS, Check, Finding, Relation, Remediation, Rule, Severity, Verdict, each, fail, found, undetermined
from policies.rules import links
from policies.show import show
from policies.values import Value

CLUSTER: Final = "aws:eks/cluster:Cluster"
NODE_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
LAUNCH_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCE: Final = "aws:ec2/instance:Instance"
SCALING_GROUP: Final = "aws:autoscaling/group:Group"
# What says itself how its instances answer for their credentials; an instance may also leave it to a template.
WITH_METADATA: Final = (
    LAUNCH_TEMPLATE,
    "aws:ec2/launchConfiguration:LaunchConfiguration",
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
)
LOG_TYPES: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
EVERYWHERE: Final = "0.0.0.0/0"


def no_open_remote_access(resource: Resource) -> Verdict:
    """A key without groups opens port 22 of every node to the internet (RemoteAccessConfig of the EKS API)."""
    access = resource.view.mapping("remoteAccess")
    if access is None or access.text("ec2SshKey") is None:
        return PASS
    if access.texts("sourceSecurityGroupIds"):
        return PASS
    return fail("remoteAccess has a key and no sourceSecurityGroupIds: port 22 of the nodes is open to the internet")


def access_is_by_entries(resource: Resource) -> Verdict:
    """Who administers stands in access entries, which the API shows; not in a ConfigMap, nor in who once made the cluster."""
    access = resource.view.mapping("accessConfig")
    if access is None:
        return fail("accessConfig is missing: AWS would read the ConfigMap aws-auth and make the creator an administrator")
    return each(lambda: _mode(access), lambda: _no_bootstrap_admin(access))


def _mode(access: View) -> Verdict:
    mode = access.text("authenticationMode")
    return PASS if mode == "API" else fail(f"accessConfig.authenticationMode is {show(mode or 'not set')}; it is API")


def _no_bootstrap_admin(access: View) -> Verdict:
    if access.boolean("bootstrapClusterCreatorAdminPermissions") is False:
        return PASS
    return fail(
        "accessConfig.bootstrapClusterCreatorAdminPermissions is not false: the creator stays an unlisted administrator"
    )


def metadata_is_guarded(resource: Resource) -> Verdict:
    return _guarded(resource.view)


def _guarded(view: View) -> Verdict:
    options = view.mapping("metadataOptions")
    if options is None:
        return fail("metadataOptions is missing: a pod, or a request forged through one, could take the node's credentials")
    if options.text("httpEndpoint") == "disabled":
        return PASS
    return each(lambda: _tokens(options), lambda: _hops(options))


def _tokens(options: View) -> Verdict:
    tokens = options.text("httpTokens")
    return PASS if tokens == "required" else fail(f"metadataOptions.httpTokens is {show(tokens or 'not set')}; it is required")


def _hops(options: View) -> Verdict:
    # Not said, the machine image decides, and Amazon Linux 2023 says 2.
    hops = options.integer("httpPutResponseHopLimit")
    if hops == 1:
        return PASS
    return fail(f"metadataOptions.httpPutResponseHopLimit is {show(hops or 'not set')}; it is 1: a pod is two hops away")


def instance_metadata_is_guarded(resource: Resource) -> Verdict:
    """What an instance leaves out its template may say, which the relation below looks for."""
    view = resource.view
    return PASS if view.raw("metadataOptions") is None and view.raw("launchTemplate") is not None else _guarded(view)


def templates_are_known(stack: Stack) -> Sequence[Finding]:
    """What starts instances does so from a template of the stack's own, which the check reads."""
    users = stack.of_type(NODE_GROUP, SCALING_GROUP, INSTANCE)
    return [found(user, partial(_template, stack, user)) for user in users if not _says_itself(user)]


def _says_itself(user: Resource) -> bool:
    """A group may start from the older launch configuration, which is read by itself; an instance needs no template."""
    if user.type == SCALING_GROUP and user.view.raw("launchConfiguration"):
        return True
    options = user.view.raw("metadataOptions")
    return user.type == INSTANCE and (isinstance(options, dict) or user.view.raw("launchTemplate") is None)


def _template(stack: Stack, user: Resource) -> Verdict:
    name = "mixedInstancesPolicy" if "launchTemplate" not in user.view and user.type == SCALING_GROUP else "launchTemplate"
    if name not in user.view:
        return fail(f"{name} is missing: AWS starts such nodes with a hop limit of 2, and a pod reaches their credentials")
    user.view.mapping(name)
    meanings = [means(user, name, template) for template in stack.of_type(LAUNCH_TEMPLATE)]
    if True in meanings:
        return PASS
    return undetermined(f"{name} is none of this stack's, so nobody can say here whether it guards the instances' credentials")


def version_is_supported(resource: Resource) -> Verdict:
    return supported_on(resource, today())


def today() -> datetime.date:
    from infra.aws.kubernetes_versions import today as now  # late: only this rule needs it

    return now()


def supported_on(resource: Resource, day: datetime.date) -> Verdict:
    """By the calendar that the deployment itself goes by."""
    from infra.aws.kubernetes_versions import END_OF_STANDARD_SUPPORT

    version = resource.view.text("version")
    if version is None:
        # A node group has its cluster's then; a cluster gets the newest, and would be upgraded by nobody.
        return PASS if resource.type == NODE_GROUP else fail("version is not set: which one runs is AWS' choice of the day")
    return _supported(version, END_OF_STANDARD_SUPPORT, day)


def _supported(version: str, ends: Mapping[str, datetime.date], day: datetime.date) -> Verdict:
    supported = [each for each, end in ends.items() if day < end]
    if version in supported:
        return PASS
    if version in ends:
        return fail(f"version is {show(version)}, whose standard support on EKS ended on {ends[version]}")
    if _order(version) > max(_order(each) for each in ends):
        return undetermined(f"version is {show(version)}, newer than infra/aws/kubernetes_versions.py knows")
    return fail(f"version is {show(version)}; supported on EKS are {', '.join(supported) or 'none that are known here'}")


def _order(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise Malformed("version", "a version such as 1.35", "another text")
    return tuple(int(part) for part in parts)


def control_plane_is_logged(resource: Resource) -> Verdict:
    logged = resource.view.texts("enabledClusterLogTypes") or []
    missing = [kind for kind in LOG_TYPES if kind not in logged]
    return fail(f"enabledClusterLogTypes lacks {', '.join(missing)}") if missing else PASS


def endpoint_is_not_the_worlds(resource: Resource) -> Verdict:
    config = resource.view.mapping("vpcConfig")
    if config is None:
        return fail("vpcConfig is missing: AWS opens the endpoint to the world where nothing is said")
    if config.boolean("endpointPublicAccess") is False:
        return PASS
    # Both are AWS' defaults.
    cidrs = config.texts("publicAccessCidrs") or [EVERYWHERE]
    try:
        networks = [ipaddress.ip_network(cidr, strict=False) for cidr in cidrs]
    except ValueError:
        raise Malformed(config.path("publicAccessCidrs"), "networks such as 203.0.113.0/24", "another text") from None
    if not is_world(networks):
        return PASS
    return fail(f"vpcConfig.publicAccessCidrs is {', '.join(show(cidr) for cidr in cidrs)}: the world reaches the API server")


def secrets_are_enveloped(resource: Resource) -> Verdict:
    """With a key of one's own round what etcd holds, which otherwise only AWS' own encrypts."""
    config = resource.view.mapping("encryptionConfig")
    if config is None:
        return fail("encryptionConfig is missing: Secrets are encrypted with AWS' own key alone")
    provider = config.mapping("provider")
    if "secrets" not in (config.texts("resources") or []):
        return fail("encryptionConfig.resources lacks secrets")
    # Which key it is may be unknown yet; that there is one is not.
    return PASS if provider is not None and "keyArn" in provider else fail("encryptionConfig.provider.keyArn is not set")


def guarded(_resource: Resource) -> Mapping[tuple[str, ...], Value]:
    return {("metadataOptions", "httpTokens"): "required", ("metadataOptions", "httpPutResponseHopLimit"): 1}


def every_log(_resource: Resource) -> Mapping[tuple[str, ...], Value]:
    return {("enabledClusterLogTypes",): list(LOG_TYPES)}


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R15",
        name="no-open-remote-access",
        title="Node groups have no remote access that is open to the internet",
        severity=Severity.HIGH,
        controls=("8.2", "8.20"),
        remedy="leave remoteAccess out (Session Manager needs no port), or name sourceSecurityGroupIds",
        link=links.REMOTE_ACCESS,
        checks=(Check(types=(NODE_GROUP,), properties=("remoteAccess",), judge=no_open_remote_access),),
    ),
    Rule(
        id="R16",
        name="eks-access-by-entries",
        title="EKS authenticates by access entries alone, without a bootstrap administrator",
        severity=Severity.HIGH,
        controls=("8.2", "5.15"),
        remedy="set authenticationMode to API and bootstrapClusterCreatorAdminPermissions to false; add access entries",
        link=links.ACCESS_ENTRIES,
        checks=(Check(types=(CLUSTER,), properties=("accessConfig",), judge=access_is_by_entries),),
    ),
    Rule(
        id="R20",
        name="instance-metadata-guarded",
        title="Instance metadata needs a token and answers one hop away",
        severity=Severity.HIGH,
        controls=("8.5", "8.2"),
        remedy="set metadataOptions to httpTokens required and httpPutResponseHopLimit 1 in a template of the stack's own",
        link=links.INSTANCE_METADATA,
        checks=(
            Check(types=WITH_METADATA, properties=("metadataOptions",), judge=metadata_is_guarded),
            Check(types=(INSTANCE,), properties=("metadataOptions",), judge=instance_metadata_is_guarded),
        ),
        relations=(
            Relation(
                reads={
                    NODE_GROUP: ("launchTemplate",),
                    INSTANCE: ("launchTemplate",),
                    SCALING_GROUP: ("launchTemplate", "mixedInstancesPolicy", "launchConfiguration"),
                },
                judge=templates_are_known,
            ),
        ),
        remediation=Remediation(types=WITH_METADATA, propose=guarded),
    ),
    Rule(
        id="R25",
        name="kubernetes-version-supported",
        title="The version of Kubernetes is still supported",
        severity=Severity.HIGH,
        controls=("8.8", "8.19"),
        remedy="upgrade one minor version at a time (docs/aws.md), before the date that AWS names",
        link=links.KUBERNETES_VERSIONS,
        checks=(Check(types=(CLUSTER, NODE_GROUP), properties=("version",), judge=version_is_supported),),
    ),
    Rule(
        id="R45",
        name="control-plane-logs",
        title="The control plane writes all five of its logs",
        severity=Severity.HIGH,
        controls=("8.15", "8.16"),
        remedy=f"set enabledClusterLogTypes to {', '.join(LOG_TYPES)}",
        link=links.CONTROL_PLANE_LOGS,
        checks=(Check(types=(CLUSTER,), properties=("enabledClusterLogTypes",), judge=control_plane_is_logged),),
        remediation=Remediation(types=(CLUSTER,), propose=every_log),
    ),
    Rule(
        id="R54",
        name="cluster-endpoint-not-public",
        title="The endpoint of the cluster is not open to the world",
        severity=Severity.CRITICAL,
        controls=("8.20", "8.2"),
        remedy="set vpcConfig.endpointPublicAccess to false, or publicAccessCidrs to the networks that people deploy from",
        link=links.CLUSTER_ENDPOINT,
        checks=(Check(types=(CLUSTER,), properties=("vpcConfig",), judge=endpoint_is_not_the_worlds),),
    ),
    Rule(
        id="R66",
        name="kubernetes-secrets-enveloped",
        title="Secrets in the cluster are encrypted with a key of the stack's own",
        severity=Severity.HIGH,
        controls=("8.24",),
        remedy="set encryptionConfig with a key of KMS as provider.keyArn and resources secrets",
        link=links.ENVELOPE_ENCRYPTION,
        checks=(Check(types=(CLUSTER,), properties=("encryptionConfig",), judge=secrets_are_enveloped),),
    ),
)
