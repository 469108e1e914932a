"""Resources broken on purpose, to see Checkov's verdict turn: proof that the conversion does not make up what it passes.

Each probe names a check and a resource that passes it, and breaks the one thing the check reads: a property, or a sibling that
stands beside the resource. All are scanned at once, so no two break the same resource in ways that would hide each other.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from policies.evaluation import RuleBook, evaluate
from policies.record import Seen
from policies.resource import Stack
from policies.rule import Outcome, Rule
from policies.waivers import Register
from tools.peers.checkov.scan import Judgement

Path = tuple[str | int, ...]  # keys and positions, from a resource's inputs down
UNSET: Final = None
GONE: Final = object()
WILDCARD: Final = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
CONTAINER: Final[Path] = ("spec", "template", "spec", "containers", 0)
POD: Final[Path] = ("spec", "template", "spec")
DEPLOYMENT: Final = "kubernetes:apps/v1:Deployment"


@dataclass(frozen=True, kw_only=True, eq=False)
class Probe:
    """``what`` for people. ``at`` is set to ``to``, or goes; without ``at``, inputs are replaced by those of ``to``.
    ``without``: the siblings that go, by type. ``name``: a pattern. ``blind``: why Checkov goes on to pass it;
    ``unseen``: why no rule of the pack fails by it."""

    check: str
    what: str
    type: str
    name: str = "*"
    at: Path = ()
    to: Any = GONE
    without: str = ""
    blind: str = ""
    unseen: str = ""


@dataclass(frozen=True)
class Target:
    probe: Probe
    urn: str


@dataclass(frozen=True)
class Turn:
    """What came of a probe. None: Checkov has not judged the resource. ``rules``: those of the pack that fail by it."""

    target: Target
    before: bool | None
    after: bool | None
    rules: tuple[str, ...]

    @property
    def as_foreseen(self) -> bool:
        return self.before is True and self.after is bool(self.target.probe.blind)


PROBES: Final = (
    Probe(check="CKV_AWS_158", what="a log group without a key", type="aws:cloudwatch/logGroup:LogGroup", at=("kmsKeyId",)),
    Probe(
        check="CKV_AWS_338",
        what="logs kept for 30 days",
        type="aws:cloudwatch/logGroup:LogGroup",
        at=("retentionInDays",),
        to=30,
    ),
    Probe(check="CKV_AWS_7", what="a key that never rotates", type="aws:kms/key:Key", at=("enableKeyRotation",), to=False),
    Probe(check="CKV_AWS_149", what="a secret without a key", type="aws:secretsmanager/secret:Secret", at=("kmsKeyId",)),
    Probe(
        check="CKV_AWS_53",
        what="a public bucket",
        type="aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        name="storage-models-*",
        at=("blockPublicAcls",),
        to=False,
    ),
    Probe(
        check="CKV2_AWS_6",
        what="a bucket without an access block beside it",
        type="aws:s3/bucket:Bucket",
        name="storage-logs-*",
        without="aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    ),
    Probe(
        check="CKV_AWS_21",
        what="a bucket whose versioning beside it is gone",
        type="aws:s3/bucket:Bucket",
        name="storage-audit-*",
        without="aws:s3/bucketVersioning:BucketVersioning",
    ),
    Probe(
        check="CKV_AWS_145",
        what="a bucket whose encryption beside it is gone",
        type="aws:s3/bucket:Bucket",
        name="storage-models-*",
        without="aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    ),
    Probe(
        check="CKV_AWS_300",
        what="uploads that are never aborted",
        type="aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        at=("rules", 0, "abortIncompleteMultipartUpload"),
    ),
    Probe(
        check="CKV_AWS_24",
        what="port 22 open to the world",
        type="aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        name="edge-in-443",
        at=("fromPort",),
        to=22,
    ),
    Probe(
        check="CKV_AWS_382",
        what="all traffic out to everywhere",
        type="aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        to={"ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0", "fromPort": UNSET, "toPort": UNSET},
        blind="the check reads `protocol` and ports; the resource has `ip_protocol`, and no ports where it is -1",
    ),
    Probe(
        check="CKV_AWS_103",
        what="a listener of TLS 1.0",
        type="aws:lb/listener:Listener",
        name="edge-https",
        at=("sslPolicy",),
        to="ELBSecurityPolicy-2016-08",
    ),
    Probe(
        check="CKV2_AWS_28",
        what="a public load balancer without its firewall's association",
        type="aws:lb/loadBalancer:LoadBalancer",
        without="aws:wafv2/webAclAssociation:WebAclAssociation",
    ),
    Probe(
        check="CKV2_AWS_31",
        what="a firewall without its logging beside it",
        type="aws:wafv2/webAcl:WebAcl",
        without="aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
    ),
    Probe(
        check="CKV2_AWS_11",
        what="a network without its flow log",
        type="aws:ec2/vpc:Vpc",
        without="aws:ec2/flowLog:FlowLog",
    ),
    Probe(
        check="CKV_AWS_36",
        what="a trail that is not validated",
        type="aws:cloudtrail/trail:Trail",
        at=("enableLogFileValidation",),
        to=False,
    ),
    Probe(
        check="CKV_AWS_163",
        what="a registry that does not scan",
        type="aws:ecr/repository:Repository",
        at=("imageScanningConfiguration", "scanOnPush"),
        to=False,
    ),
    Probe(
        check="CKV_AWS_63",
        what="a policy of all actions",
        type="aws:iam/rolePolicy:RolePolicy",
        at=("policy",),
        to=WILDCARD,
    ),
    Probe(
        check="CKV_AWS_201",
        what="Redis without a key of the stack's",
        type="aws:memorydb/cluster:Cluster",
        at=("kmsKeyArn",),
        unseen="MemoryDB then encrypts with AWS' own key, and no rule asks for another",
    ),
    Probe(
        check="CKV_AWS_58",
        what="a cluster without envelope encryption",
        type="aws:eks/cluster:Cluster",
        at=("encryptionConfig",),
    ),
    Probe(
        check="CKV_AWS_37",
        what="a cluster that logs one of five",
        type="aws:eks/cluster:Cluster",
        at=("enabledClusterLogTypes",),
        to=["api"],
    ),
    Probe(
        check="CKV_AWS_79",
        what="nodes that answer IMDSv1",
        type="aws:ec2/launchTemplate:LaunchTemplate",
        at=("metadataOptions", "httpTokens"),
        to="optional",
    ),
    Probe(
        check="CKV_AWS_333",
        what="a service with public addresses",
        type="aws:ecs/service:Service",
        at=("networkConfiguration", "assignPublicIp"),
        to=True,
    ),
    Probe(
        check="CKV_K8S_16",
        what="a privileged container",
        type=DEPLOYMENT,
        name="gateway-*",
        at=(*CONTAINER, "securityContext", "privileged"),
        to=True,
    ),
    Probe(
        check="CKV_K8S_22",
        what="a root filesystem that can be written",
        type=DEPLOYMENT,
        name="gateway-*",
        at=(*CONTAINER, "securityContext", "readOnlyRootFilesystem"),
        to=False,
    ),
    Probe(
        check="CKV_K8S_20",
        what="privileges that can grow",
        type=DEPLOYMENT,
        name="worker-*",
        at=(*CONTAINER, "securityContext", "allowPrivilegeEscalation"),
        to=True,
    ),
    Probe(
        check="CKV_K8S_13",
        what="a container without a limit of memory",
        type=DEPLOYMENT,
        name="worker-*",
        at=(*CONTAINER, "resources", "limits", "memory"),
    ),
    Probe(check="CKV_K8S_19", what="the host's network", type=DEPLOYMENT, name="worker-*", at=(*POD, "hostNetwork"), to=True),
    Probe(
        check="CKV_K8S_8",
        what="a container without a liveness probe",
        type=DEPLOYMENT,
        name="inference-*",
        at=(*CONTAINER, "livenessProbe"),
    ),
    Probe(
        check="CKV_K8S_43",
        what="an image by its tag",
        type=DEPLOYMENT,
        name="load-balancer-controller-*",
        at=(*CONTAINER, "image"),
        to="public.ecr.aws/eks/aws-load-balancer-controller:v2.13.0",
    ),
    Probe(
        check="CKV_K8S_21",
        what="the namespace default",
        type=DEPLOYMENT,
        name="inference-*",
        at=("metadata", "namespace"),
        to="default",
    ),
)


def targets_in(resources: Sequence[Seen], probes: Iterable[Probe] = PROBES) -> list[Target]:
    """The resource that each probe breaks: the first by its URN, for the engine's order changes from run to run. A probe of a
    type that the stack has not is left out."""
    fitting = [(probe, sorted(seen.resource.urn for seen in resources if _fits(seen, probe))) for probe in probes]
    return [Target(probe, urns[0]) for probe, urns in fitting if urns]


def _fits(seen: Seen, probe: Probe) -> bool:
    return seen.resource.type == probe.type and fnmatchcase(seen.resource.name, probe.name)


def broken(resources: Sequence[Seen], targets: Sequence[Target]) -> list[Seen]:
    """``resources`` with every probe applied, to what went in and to what came out."""
    gone = {
        seen.resource.urn
        for seen in resources
        for target in targets
        if seen.resource.type == target.probe.without
        and any(target.urn in urns for urns in seen.resource.property_dependencies.values())
    }
    return [
        _changed(seen, [it.probe for it in targets if it.urn == seen.resource.urn and not it.probe.without])
        for seen in resources
        if seen.resource.urn not in gone
    ]


def turns(
    targets: Iterable[Target],
    before: Iterable[Judgement],
    after: Iterable[Judgement],
    rules: Mapping[Target, tuple[str, ...]],
) -> list[Turn]:
    first = {(each.check, each.urn): each.passed for each in before}
    second = {(each.check, each.urn): each.passed for each in after}
    return [
        Turn(it, first.get((it.probe.check, it.urn)), second.get((it.probe.check, it.urn)), rules.get(it, ())) for it in targets
    ]


def rules_failing(resources: Sequence[Seen], targets: Iterable[Target], rules: Sequence[Rule]) -> dict[Target, tuple[str, ...]]:
    """The rules that each probe by itself makes fail; for the pack needs no scan of everything at once."""
    book = RuleBook(rules)
    before = _failures(book, resources)
    return {
        target: tuple(sorted({rule for rule, _urn in _failures(book, broken(resources, [target])) - before}))
        for target in targets
    }


def _failures(book: RuleBook, resources: Sequence[Seen]) -> set[tuple[str, str]]:
    inputs = (dataclasses.replace(seen.resource, properties=seen.inputs) for seen in resources)
    results = evaluate(book, inputs, Stack([seen.resource for seen in resources]), Register())
    return {(result.rule, result.urn) for result in results if result.outcome is Outcome.FAIL}


def _changed(seen: Seen, probes: Sequence[Probe]) -> Seen:
    inputs, outputs = dict(seen.inputs), dict(seen.resource.properties)
    for probe in probes:
        inputs, outputs = _with(inputs, probe.at, probe.to), _with(outputs, probe.at, probe.to)
    return Seen(dataclasses.replace(seen.resource, properties=outputs), inputs)


def _with(value: Any, at: Path, to: Any) -> Any:
    """``value`` with ``to`` at a place in it; mappings that lead there are made, and what stays is shared."""
    if not at:
        return {**value, **to}
    key, rest = at[0], at[1:]
    if isinstance(value, list):
        return [_with(item, rest, to) if rest and position == key else item for position, item in enumerate(value)]
    others = {name: item for name, item in value.items() if name != key}
    if rest:
        return {**others, key: _with(value.get(key, {}), rest, to)}
    return others if to is GONE else {**others, key: to}
