"""What a component on AWS registers, without an engine and without an account."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from collector import collector_off
from pulumi.runtime import mocks, rpc

from infra.aws.context import AwsContext, context, partition_of, provider
from infra.generated.certificate import CertificateProvider
from infra.settings import Settings
from infra.settings_reader import settings_from

ACCOUNT = "123456789012"
SIGNATURE = rpc._special_sig_key  # what marks a wrapped value
MINIMAL: Mapping[str, Any] = {
    "edge": {"domain": "assistant.example.com", "zone": "example.com"},
    "eks": {"deployerCidrs": ["203.0.113.0/24"]},
}
INVOKES: Mapping[str, Callable[[mocks.MockCallArgs, str], dict[str, Any]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": lambda _args, region: {
        "accountId": ACCOUNT,
        "arn": f"arn:{partition_of(region).name}:iam::{ACCOUNT}:role/deployer",
        "id": ACCOUNT,
        "userId": "AIDAEXAMPLE",
    },
    "aws:eks/getAddonVersion:getAddonVersion": lambda args, _region: {
        **args.args,
        "version": f"v{args.args['kubernetesVersion']}.0-eksbuild.1",
        "id": "x",
    },
    "aws:route53/getZone:getZone": lambda args, _region: {"zoneId": "Z1", "id": "Z1", "name": args.args["name"]},
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": lambda _args, region: {
        "userName": "AWS",
        "password": "token",
        "proxyEndpoint": f"https://{ACCOUNT}.dkr.ecr.{region}.amazonaws.com",
        "authorizationToken": "x",
        "expiresAt": "later",
        "id": region,
        "region": region,
    },
    "aws:index/getAvailabilityZones:getAvailabilityZones": lambda _args, region: {
        "names": [f"{region}{letter}" for letter in "abcd"],
        "zoneIds": [f"id-{letter}" for letter in "abcd"],
        "id": region,
    },
    "aws:iam/getSessionContext:getSessionContext": lambda args, _region: {"issuerArn": args.args["arn"], "id": "session"},
    "aws:eks/getCluster:getCluster": lambda args, _region: {
        "name": args.args["name"],
        "endpoint": "https://yours.example",
        "certificateAuthorities": [{"data": "WU9VUlM="}],
        "vpcConfig": {"clusterSecurityGroupId": "sg-yours"},
    },
}
# What AWS answers besides, where a component reads it, over what the resource was given.
COMPUTED: Mapping[str, Callable[[mocks.MockResourceArgs], dict[str, Any]]] = {
    "aws:eks/cluster:Cluster": lambda args: {
        "certificateAuthority": {"data": "T1VSUw=="},
        "vpcConfig": {**args.inputs["vpcConfig"], "clusterSecurityGroupId": "sg-cluster"},
    },
    "pulumi-python:dynamic/generated:Certificate": lambda args: CertificateProvider().create(args.inputs).outs or {},
    "aws:ec2/launchTemplate:LaunchTemplate": lambda _args: {"latestVersion": 1},
    "aws:eks/nodeGroup:NodeGroup": lambda args: {"resources": [{"autoscalingGroups": [{"name": f"{args.name}-asg"}]}]},
}


@dataclass(frozen=True)
class Registration:
    """One resource as the program registers it. ``inputs`` in camel case, as a provider receives them."""

    type: str
    name: str
    inputs: dict[str, Any]


@dataclass
class Rendered:
    """All that was registered, in order; ``protected`` and the like are the engine's and not seen by mocks."""

    resources: list[Registration] = field(default_factory=list)
    made: Any = None

    def of(self, type_: str) -> list[Registration]:
        """By the type's token, or its last word: ``aws:s3/bucket:Bucket`` or ``Bucket``."""
        return [it for it in self.resources if it.type == type_ or it.type.rsplit(":", 1)[-1] == type_]

    def one(self, type_: str, name: str | None = None) -> Registration:
        found = [it for it in self.of(type_) if name is None or it.name == name]
        names = [it.name for it in self.of(type_)]
        assert len(found) == 1, f"{type_} {name or ''}: {len(found)} of {names}"
        return found[0]

    def names(self, type_: str) -> list[str]:
        return [it.name for it in self.of(type_)]


class AwsRecorder(mocks.Mocks):
    def __init__(self, region: str, answers: Mapping[str, dict[str, Any]] | None = None) -> None:
        self.rendered = Rendered()
        self._region = region
        self._answers = answers or {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if args.typ.startswith(("aws:", "kubernetes:", "docker-build:", "pulumi-python:", "pulumi-nodejs:")):
            self.rendered.resources.append(Registration(args.typ, args.name, args.inputs))
        service = args.typ.split(":")[1].split("/")[0] if args.typ.count(":") > 1 else "custom"
        arn = f"arn:{partition_of(self._region).name}:{service}:{self._region}:{ACCOUNT}:{args.name}"
        computed = {
            "arn": arn,
            "arnSuffix": f"app/{args.name}/1",
            "name": args.name,
            "endpoint": f"https://{args.name}.example",
        }
        if args.typ == "aws:ecr/repository:Repository":
            host = f"{ACCOUNT}.dkr.ecr.{self._region}.{partition_of(self._region).dns_suffix}"
            computed["repositoryUrl"] = f"{host}/{args.inputs['name']}"
        if args.typ == "aws:memorydb/cluster:Cluster":
            computed["clusterEndpoints"] = [{"address": f"{args.name}.example", "port": 6379}]
        if args.typ == "docker-build:index:Image":
            computed["ref"] = f"{args.inputs['tags'][0]}@sha256:{'d' * 64}"
        if args.typ.endswith((":Bucket",)):
            computed["bucket"] = args.inputs.get("bucket", args.name)
        if args.typ == "aws:acm/certificate:Certificate":
            asked = {"resourceRecordName": "_asked", "resourceRecordType": "CNAME", "resourceRecordValue": "_answer"}
            computed["domainValidationOptions"] = [{"domainName": args.inputs.get("domainName"), **asked}]
        answered = COMPUTED[args.typ](args) if args.typ in COMPUTED else {}
        return f"{args.name}-id", {**computed, **args.inputs, **answered}

    def call(self, args: mocks.MockCallArgs) -> dict[Any, Any]:
        if args.token in self._answers:
            return self._answers[args.token]
        if args.token in INVOKES:
            return INVOKES[args.token](args, self._region)
        raise AssertionError(f"unexpected call {args.token} {args.args}")


def aws_settings(profile: str = "prod", **groups: Any) -> Settings:
    """Settings of an environment, over the least that a stack file must say; ``groups`` in the words of a stack file."""
    given = {**MINIMAL, **groups}
    if profile == "serverless":
        given.pop("eks", None)
    config = {f"assistant:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    return settings_from(config, profile)


async def render_component(
    make: Callable[[AwsContext], object],
    settings: Settings | None = None,
    *,
    stack: str = "prod",
    answers: Mapping[str, dict[str, Any]] | None = None,
) -> Rendered:
    """What ``make`` registers; ``answers``: of further invokes, by token. What it returns is ``made``."""
    chosen = settings or aws_settings(stack)
    recorder = AwsRecorder(chosen.aws.region, answers)
    mocks.set_mocks(recorder, project="assistant", stack=stack)
    with collector_off():
        recorder.rendered.made = make(context(stack, chosen, pulumi.InvokeOptions(provider=provider(stack, chosen))))
        await pulumi.runtime.stack.wait_for_rpcs()
    return recorder.rendered


KUBERNETES = "kubernetes:"


def eks_objects(namespace: str, **groups: Any) -> list[dict[str, Any]]:
    """Every Kubernetes object of an EKS stack whose assistant goes into ``namespace``. Not from within an event loop."""
    from hooks_taken import hooks_taken

    from infra.targets.eks import EksAssistant

    settings = aws_settings("prod", **{**groups, "cluster": {"namespace": namespace}})
    with hooks_taken():
        rendered = asyncio.run(render_component(lambda context: EksAssistant("assistant", context), settings))
    return [_plain(it.inputs) for it in rendered.resources if it.type.startswith(KUBERNETES) and "kind" in it.inputs]


def _plain(value: Any) -> Any:
    """On the way every number is a float, and a secret is wrapped; the API server is sent neither."""
    if isinstance(value, dict):
        if SIGNATURE in value:
            return _plain(value["value"])
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
