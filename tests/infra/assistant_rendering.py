"""The assistant in Kubernetes as a cloud's target composes it: secrets delivered, the model in a bucket, Redis and the load
balancer somebody else's. Any of it can be given otherwise."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi
from collector import collector_off
from pulumi.runtime import mocks
from rendering import IMAGES, Recorder, Rendered, settings_of

from infra.credentials import NAMES as CREDENTIALS
from infra.generated.values import NAMES as GENERATED
from infra.kubernetes.assistant import Assistant, AssistantArgs
from infra.kubernetes.aws_edges import aws_edges
from infra.kubernetes.delivered_secrets import DeliveredSecrets
from infra.kubernetes.edges import Surroundings
from infra.kubernetes.model_store import BucketStore
from infra.kubernetes.peers import Addresses
from infra.kubernetes.redis_connection import RedisConnection
from infra.kubernetes.target_group import TargetGroups
from infra.outputs import Outputs
from infra.settings import Settings

REGION = "eu-central-1"
VPC = Addresses("10.40.0.0/16")
BUCKET = "s3://models-of-prod/models"
IDS = {
    name: f"arn:aws:secretsmanager:{REGION}:123456789012:secret:assistant/prod/{name}-AbCdEf"
    for name in (*GENERATED, *CREDENTIALS)
}
TARGET_GROUPS = {
    name: f"arn:aws:elasticloadbalancing:{REGION}:123456789012:targetgroup/{name}/1" for name in ("api", "generating")
}


def later(value: str) -> pulumi.Output[str]:
    """What another resource says once it is there."""
    return pulumi.Output.from_input(value)


def arguments(settings: Settings, **changes: Any) -> AssistantArgs:
    """As a stack on AWS gives them, but for ``changes``."""
    given: dict[str, Any] = {
        "settings": settings,
        "gateway_image": later(IMAGES["gateway"]),
        "inference_image": later(IMAGES["inference"]),
        "secrets": DeliveredSecrets(
            ids={name: later(arn) for name, arn in IDS.items()},
            region=REGION,
            versions=settings.secret_versions.model_dump(),
        ),
        "redis": RedisConnection(
            url=later("rediss://clustercfg.prod.memorydb.eu-central-1.amazonaws.com:6379/0"),
            cluster=True,
            username="assistant",
            peers=(VPC,),
        ),
        "models": BucketStore(url=later(BUCKET), region=REGION, size=settings.storage.model_size),
        "certificate": None,
        "environment": {"EMF_NAMESPACE": "Assistant/prod"},
        "surroundings": Surroundings(way_in=(VPC,), edges=aws_edges()),
        "target_groups": TargetGroups(arns={name: later(arn) for name, arn in TARGET_GROUPS.items()}, security_group="sg-1"),
    }
    return AssistantArgs(**{**given, **changes})


async def on_aws(config: dict[str, Any] | None = None, **changes: Any) -> Rendered:
    """Run the program within a test's event loop."""
    settings = settings_of({"exposure": {"tlsSecret": "mine"}, **(config or {})})
    recorder = Recorder()
    mocks.set_mocks(recorder, project="assistant", stack="prod")
    with collector_off():
        Assistant("assistant", arguments(settings, **changes))
        await pulumi.runtime.stack.wait_for_rpcs()
    return Rendered(settings, Outputs(target="eks"), recorder.registered)


def render(config: dict[str, Any] | None = None, **changes: Any) -> list[dict[str, Any]]:
    """Every Kubernetes manifest of such a stack. Not from within an event loop: see :func:`on_aws`."""
    return asyncio.run(on_aws(config, **changes)).objects
