"""The settings that only the AWS targets read: where it stands, how it is reached, what it may cost and how long it is kept.

What needs no account to be found wrong is found here. :mod:`infra.profiles` has what each environment sets of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from infra.instance_types import GPU_INSTANCES, nearest_gpu_instances
from infra.section import Allowed, Defaults, Host, Section

SMALLEST_PREFIX, LARGEST_PREFIX = 16, 20  # of a VPC here: AWS takes /16 to /28, and three zones of pods need room
WIDEST_DEPLOYERS = 16  # bits; wider is not a place that people deploy from
# Where EKS puts Services unless told; the VPC must not overlap with it.
SERVICE_CIDR = "172.20.0.0/16"
# docs.aws.amazonaws.com/vpc: the two ranges that a VPC's network may be in without surprises, and the shared one of RFC 6598.
_PRIVATE = tuple(ipaddress.IPv4Network(cidr) for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
# CloudWatch Logs takes these and no others (PutRetentionPolicy).
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)


def _cidr(value: str) -> str:
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError as error:
        raise ValueError(f"no IPv4 network: {error}") from None


def _vpc_cidr(value: str) -> str:
    network = ipaddress.IPv4Network(_cidr(value))
    if not SMALLEST_PREFIX <= network.prefixlen <= LARGEST_PREFIX:
        raise ValueError(f"a VPC's network here is a /{SMALLEST_PREFIX} to /{LARGEST_PREFIX}")
    if not any(network.subnet_of(private) for private in _PRIVATE):
        raise ValueError("not a private network (RFC 1918, RFC 6598)")
    return str(network)


def _deployers(value: str) -> str:
    network = ipaddress.IPv4Network(_cidr(value))
    if network.prefixlen < WIDEST_DEPLOYERS:
        raise ValueError(
            "the API server must not be open to the world: name the addresses that people and pipelines deploy from"
        )
    return str(network)


def _log_days(value: int) -> int:
    if value not in LOG_DAYS:
        raise ValueError("not a period that CloudWatch Logs knows")
    return value


def _gpu_type(value: str) -> str:
    if value not in GPU_INSTANCES:
        raise ValueError(f"no instance type with NVIDIA GPUs that is known here; near it: {nearest_gpu_instances(value)}")
    return value


Cidr = Annotated[str, AfterValidator(_cidr), Allowed("an IPv4 network: 10.0.0.0/16")]
Name = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9-]{0,19}$"), Allowed("a letter, then letters, digits and dashes, at most 20")
]
Days = Annotated[int, Field(ge=1, le=3653), Allowed("days, from 1 to 3653")]
Count = Annotated[int, Field(ge=0, le=100), Allowed("a whole number from 0 to 100")]
Instance = Annotated[str, Field(pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$"), Allowed("an instance type: m7g.large")]
Gibibytes = Annotated[int, Field(ge=20, le=16384), Allowed("GiB, from 20 to 16384")]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$"), Allowed("an e-mail address")]
RoleArn = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$"), Allowed("the ARN of an IAM role or user")
]


def _arn(service: str, what: str) -> object:
    pattern = rf"^arn:aws[a-z-]*:{service}:[a-z0-9-]*:[0-9]{{12}}:.+$"
    return Annotated[str | None, Field(pattern=pattern), Allowed(what)]


class Aws(Section):
    """Whose account, which region, and how what stands there is labelled."""

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$"), Allowed("a region: eu-central-1")] = "eu-central-1"
    # An `up` into another account than this one is refused by the provider itself.
    account: Annotated[str | None, Field(pattern=r"^[0-9]{12}$"), Allowed("twelve digits, in quotes")] = None
    profile: Annotated[str | None, Allowed("a profile of ~/.aws/config; left out: the usual chain")] = None
    owner: Annotated[str, Field(min_length=1, max_length=128), Allowed("a team or a person, for the tag Owner")] = "assistant"
    data_classification: Annotated[
        Literal["public", "internal", "confidential"], Allowed("public, internal or confidential")
    ] = "confidential"
    # For emulators: pods and tasks then call this address, with credentials that open nothing. A real `up` refuses it.
    endpoint_url: Annotated[
        str | None, Field(pattern=r"^https?://[^\s/]+$"), Allowed("the address of an emulator of AWS: http://localhost:5000")
    ] = None
    tags: Annotated[dict[str, str], Field(max_length=40), Allowed("further tags by name, at most 40")] = Field(
        default_factory=dict
    )


class Network(Section):
    """A VPC of the stack's own, or one of yours by the ids of its subnets."""

    cidr: Annotated[
        str, AfterValidator(_vpc_cidr), Allowed(f"a private network, /{SMALLEST_PREFIX} to /{LARGEST_PREFIX}: 10.40.0.0/16")
    ] = "10.40.0.0/16"
    zones: Annotated[Literal[2, 3], Allowed("2 or 3")] = 2
    # One NAT gateway is a zone's failure away from no way out; one a zone costs as many times more.
    nat: Annotated[Literal["one", "perZone"], Allowed("one or perZone")] = "one"
    # Interface endpoints (ECR, STS, Secrets Manager, logs …); the gateway endpoint of S3 costs nothing and is always there.
    interface_endpoints: Annotated[bool, Allowed("true or false")] = True
    # Networks that this one is to be connected with, so must not overlap.
    peers: Annotated[tuple[Cidr, ...], Field(max_length=20), Allowed("a list of IPv4 networks")] = ()
    vpc_id: Annotated[str | None, Field(pattern=r"^vpc-[0-9a-f]+$"), Allowed("the id of a VPC of yours")] = None
    private_subnet_ids: Annotated[tuple[str, ...], Allowed("subnets of that VPC, in two zones or more")] = ()
    public_subnet_ids: Annotated[tuple[str, ...], Allowed("subnets of that VPC, in two zones or more")] = ()

    @model_validator(mode="after")
    def _whole(self) -> Network:
        given = [self.vpc_id is not None, bool(self.private_subnet_ids), bool(self.public_subnet_ids)]
        if any(given) and not all(given):
            raise ValueError(
                "a VPC of yours takes network.vpcId, network.privateSubnetIds and network.publicSubnetIds, all three"
            )
        for ids in (self.private_subnet_ids, self.public_subnet_ids):
            if ids and (len(set(ids)) < 2 or any(not subnet.startswith("subnet-") for subnet in ids)):
                raise ValueError(f"subnets {', '.join(ids)}: two or more ids that begin with subnet- are needed")
        return self


class Edge(Section):
    """The one way in: a load balancer with a certificate for ``domain``."""

    domain: Annotated[Host | None, Allowed("a host name, no wildcard: assistant.example.com")] = None
    zone: Annotated[Host | None, Allowed("the Route 53 zone that domain lies in: example.com")] = None
    certificate_arn: _arn("acm", "the ARN of an ACM certificate of yours, in the stack's region") = None  # type: ignore[valid-type]
    # TLS 1.3 and 1.2 with forward secrecy; the first with hybrid post-quantum key exchange
    # (docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html).
    ssl_policy: Annotated[
        Literal["ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"],
        Allowed("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09 or ELBSecurityPolicy-TLS13-1-2-Res-2021-06"),
    ] = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
    # Requests of one platform within five minutes, before the firewall refuses more.
    platform_rate: Annotated[int, Field(ge=100, le=2_000_000), Allowed("requests in five minutes, from 100")] = 20_000
    # Of one address, everywhere but on the platforms' paths: those call from few addresses.
    address_rate: Annotated[int, Field(ge=100, le=2_000_000), Allowed("requests in five minutes, from 100")] = 2_000


class SystemPool(Section):
    """The nodes for everything that needs no GPU."""

    instance_types: Annotated[tuple[Instance, ...], Field(min_length=1, max_length=10)] = ("m7i.xlarge",)
    minimum: Count = 2
    maximum: Count = 4
    volume: Gibibytes = 100

    @model_validator(mode="after")
    def _ordered(self) -> SystemPool:
        if not 1 <= self.minimum <= self.maximum:
            raise ValueError(f"minimum ({self.minimum}) must be at least 1 and not above maximum ({self.maximum})")
        return self


class Eks(Section):
    version: Annotated[str, Field(pattern=r"^1\.[0-9]{2}$"), Allowed("a version of Kubernetes, in quotes: '1.35'")] = "1.35"
    endpoint: Annotated[
        Literal["public", "private"], Allowed("public (to deployerCidrs alone) or private (to the VPC, with a runner in it)")
    ] = "public"
    deployer_cidrs: Annotated[
        tuple[Annotated[str, AfterValidator(_deployers)], ...],
        Field(max_length=40),
        Allowed("networks that people deploy from"),
    ] = ()
    administrators: Annotated[tuple[RoleArn, ...], Field(max_length=20), Allowed("ARNs of IAM roles or users")] = ()
    system_pool: SystemPool = SystemPool()
    service_cidr: Cidr = SERVICE_CIDR
    # An EKS cluster of yours, with its nodes: the stack then makes none and goes into it.
    cluster_name: Annotated[
        str | None, Field(pattern=r"^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$"), Allowed("the name of an EKS cluster of yours")
    ] = None


class GpuPool(Section):
    """A managed node group whose instances have NVIDIA GPUs. Zero nodes cost nothing; the autoscaler adds them for pods."""

    name: Name
    instance_types: Annotated[
        tuple[Annotated[str, AfterValidator(_gpu_type), Allowed("an instance type with NVIDIA GPUs: g6.xlarge")], ...],
        Field(min_length=1, max_length=10),
        Allowed("a list of instance types with NVIDIA GPUs: [g6.xlarge]"),
    ]
    image: Annotated[Literal["al2023", "bottlerocket"], Allowed("al2023 or bottlerocket")] = "al2023"
    capacity: Annotated[Literal["onDemand", "spot", "capacityBlock"], Allowed("onDemand, spot or capacityBlock")] = "onDemand"
    capacity_reservation_id: Annotated[
        str | None, Field(pattern=r"^cr-[0-9a-f]+$"), Allowed("the id of a capacity block: cr-…")
    ] = None
    minimum: Count = 0
    maximum: Count = 2
    tainted: Annotated[bool, Allowed("true: only pods that ask for GPUs go there")] = True
    volume: Gibibytes = 200
    # Pods that share one GPU in turns, without a border between their memories.
    time_slices: Annotated[int, Field(ge=1, le=16), Allowed("pods a GPU, from 1 to 16")] = 1

    @model_validator(mode="after")
    def _consistent(self) -> GpuPool:
        if not self.minimum <= self.maximum or self.maximum < 1:
            raise ValueError(
                f"pool {self.name}: maximum ({self.maximum}) must be at least 1 and not below minimum ({self.minimum})"
            )
        if (self.capacity == "capacityBlock") != (self.capacity_reservation_id is not None):
            raise ValueError(f"pool {self.name}: capacity capacityBlock and capacityReservationId belong together")
        if len(architectures := {GPU_INSTANCES[kind].architecture for kind in self.instance_types}) > 1:
            raise ValueError(
                f"pool {self.name}: its instance types are of {' and '.join(sorted(architectures))}: one is allowed"
            )
        return self


class Memorydb(Section):
    """The queue's store. Every write is in several zones before it is acknowledged."""

    node_type: Annotated[str, Field(pattern=r"^db\.[a-z0-9]+\.[a-z0-9]+$"), Allowed("db.t4g.small, db.r7g.large …")] = (
        "db.t4g.small"
    )
    # All keys of one atomic step share a hash tag, so more shards hold more conversations.
    shards: Annotated[int, Field(ge=1, le=50), Allowed("from 1 to 50")] = 1
    replicas: Annotated[int, Field(ge=0, le=5), Allowed("replicas a shard, from 0 to 5; 1 or more fails over")] = 1
    snapshot_days: Annotated[int, Field(ge=1, le=35), Allowed("days, from 1 to 35")] = 7


class Retention(Section):
    logs_days: Annotated[
        int, AfterValidator(_log_days), Allowed(f"days that CloudWatch knows: {', '.join(map(str, LOG_DAYS))}")
    ] = 365
    audit_days: Days = 365
    # COMPLIANCE: nobody shortens it, the account's root included, and a bucket with such objects cannot be emptied.
    audit_lock: Annotated[Literal["governance", "compliance"], Allowed("governance or compliance")] = "governance"
    # The audit bucket and its key outlive the stack.
    audit_kept: Annotated[bool, Allowed("true or false")] = True
    old_models_days: Days = 30
    backup_days: Days = 35


class Notifications(Section):
    """Who hears of alarms, and of money."""

    emails: Annotated[tuple[Email, ...], Field(max_length=20), Allowed("a list of e-mail addresses, at most 20")] = ()
    monthly_budget: Annotated[int, Field(ge=1, le=10_000_000), Allowed("US dollars a month")] = 1000


class Audit(Section):
    # One trail of the organisation is better than one a stack, where there is one: say so, and who keeps it.
    trail: Annotated[Literal["stack", "external"], Allowed("stack, or external where your organisation has a trail")] = "stack"
    external_trail_arn: _arn("cloudtrail", "the ARN of the organisation's trail") = None  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _declared(self) -> Audit:
        if (self.trail == "external") != (self.external_trail_arn is not None):
            raise ValueError("audit.trail external and audit.externalTrailArn belong together")
        return self


class Keys(Section):
    # One key of yours for everything, whose policy must let the services named in docs/aws.md use it.
    arn: _arn("kms", "the ARN of a symmetric KMS key in the stack's region") = None  # type: ignore[valid-type]


class Size(Section):
    """Of one Fargate task. ``cpu``: units, 1024 a virtual CPU; ``memory``: MiB."""

    cpu: Annotated[Literal[256, 512, 1024, 2048, 4096, 8192, 16384], Allowed("256, 512, 1024, 2048, 4096, 8192 or 16384")]
    memory: Annotated[int, Field(ge=512, le=122880, multiple_of=256), Allowed("MiB: 512, 1024, 2048 …")]

    @model_validator(mode="after")
    def _possible(self) -> Size:
        if self.memory not in (sizes := fargate_memory(self.cpu)):
            raise ValueError(
                f"{self.cpu} CPU units go with {sizes[0]} to {sizes[-1]} MiB on Fargate, in its steps, not {self.memory}"
            )
        return self


class Task(Size):
    """A part: the size of its tasks, and between how many there are."""

    minimum: Count
    maximum: Count

    @model_validator(mode="after")
    def _ordered(self) -> Task:
        if not self.minimum <= self.maximum or self.maximum < 1:
            raise ValueError(f"maximum ({self.maximum}) must be at least 1 and not below minimum ({self.minimum})")
        return self


def fargate_memory(cpu: int) -> tuple[int, ...]:
    """MiB that go with ``cpu`` units (docs.aws.amazon.com/AmazonECS: Task CPU and memory)."""
    gibi = 1024
    if cpu == 256:
        return (512, gibi, 2 * gibi)
    lowest, highest, step = {
        512: (1, 4, 1),
        1024: (2, 8, 1),
        2048: (4, 16, 1),
        4096: (8, 30, 1),
        8192: (16, 60, 4),
        16384: (32, 120, 8),
    }[cpu]
    return tuple(size * gibi for size in range(lowest, highest + 1, step))


# Of a platform's outbound transport there is one, which waits most of the time.
TRANSPORT_TASK = Task.model_validate({"cpu": 256, "memory": 512, "minimum": 1, "maximum": 1})


def _task(cpu: int, memory: int, minimum: int, maximum: int) -> Task:
    return Task.model_validate({"cpu": cpu, "memory": memory, "minimum": minimum, "maximum": maximum})


class Fargate(Defaults):
    """``model`` is the one task that converts a model and ends."""

    architecture: Annotated[Literal["arm64", "x86_64"], Allowed("arm64 or x86_64")] = "x86_64"
    gateway: Task = _task(256, 512, 2, 4)
    worker: Task = _task(256, 512, 0, 4)
    inference: Task = _task(2048, 4096, 1, 3)
    model: Size = Size(cpu=4096, memory=16384)
    spot_workers: Annotated[bool, Allowed("true or false")] = True
    # Events of the backlog that one worker should have.
    worker_backlog: Annotated[int, Field(ge=1, le=10_000), Allowed("events, from 1")] = 20
    # Requests a minute that one gateway task should have.
    gateway_requests: Annotated[int, Field(ge=10, le=1_000_000), Allowed("requests a minute, from 10")] = 600


def overlapping(networks: Iterable[tuple[str, str]]) -> list[str]:
    """Of ``(key, network)`` pairs, a sentence for each two that overlap. Pure."""
    parsed = [(key, ipaddress.IPv4Network(cidr)) for key, cidr in networks]
    return [
        f"assistant:{first} ({one}) and assistant:{second} ({other}) overlap. Allowed: networks that share no address."
        for index, (first, one) in enumerate(parsed)
        for second, other in parsed[index + 1 :]
        if one.overlaps(other)
    ]
