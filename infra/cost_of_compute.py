"""What the machines are billed for: EKS with its nodes, or the tasks of Fargate. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from infra import prices, processes
from infra.aws_settings import TRANSPORT_TASK, GpuPool, Task
from infra.cost_line import Line
from infra.prices import HOURS, RegionPrices
from infra.settings import Settings

SCALING_ALARMS_PER_POLICY = 2  # that a target-tracking policy makes for itself
# Container Insights with enhanced observability, counted in AWS' documentation of its metrics and rounded.
ECS_METRICS_CLUSTER, ECS_METRICS_SERVICE, ECS_METRICS_TASK = 13, 15, 26
EKS_OBSERVATIONS_NODE, EKS_OBSERVATIONS_POD = 40, 25  # a minute
SYSTEM_PODS_PER_NODE = 8
MINUTES = HOURS * 60


def eks_lines(settings: Settings, listed: RegionPrices) -> Iterable[Line]:
    eks, pool = settings.eks, settings.eks.system_pool
    own = 1 if eks.cluster_name is None else 0
    yield Line(
        what="EKS",
        resources=("aws:eks/cluster:Cluster",),
        unit="hour",
        price=prices.CLUSTER_HOUR,
        idle=own * HOURS,
        maximum=own * HOURS,
        why="the control plane, in standard support",
    )
    if own:
        kind = pool.instance_types[0]
        yield _nodes("Nodes", kind, pool.minimum, pool.maximum, listed, "system pool, priced as its first instance type")
        yield _volumes("Volumes of nodes", pool.volume, pool.minimum, pool.maximum, listed)
    for gpus in settings.gpu_pools:
        yield _gpu_nodes(gpus, listed)
        yield _volumes(f"Volumes of GPU nodes ({gpus.name})", gpus.volume, gpus.minimum, gpus.maximum, listed)
    scaling = settings.autoscaling
    parts = (scaling.gateway, scaling.worker, scaling.inference)
    least, most = (sum(getattr(part, bound) for part in parts) for bound in ("minimum", "maximum"))
    few = (pool.minimum if own else 1) + sum(gpus.minimum for gpus in settings.gpu_pools)
    many = (pool.maximum if own else 1) + sum(gpus.maximum for gpus in settings.gpu_pools)
    yield Line(
        what="Container Insights",
        resources=("aws:eks/addon:Addon",),
        unit="million observations",
        price=prices.INSIGHTS_MILLION,
        idle=_observations(few, least),
        maximum=_observations(many, most),
        why="metrics of nodes and pods, which alarms read; billed by how many there are",
    )


def _observations(nodes: int, pods: int) -> float:
    a_minute = nodes * EKS_OBSERVATIONS_NODE + (pods + nodes * SYSTEM_PODS_PER_NODE) * EKS_OBSERVATIONS_POD
    return a_minute * MINUTES / 1e6


def _nodes(what: str, kind: str, few: int, many: int, listed: RegionPrices, why: str, share: float = 1.0) -> Line:
    hourly = listed.instances.get(kind)
    return Line(
        what=f"{what} ({kind})",
        resources=("aws:eks/nodeGroup:NodeGroup",),
        unit="node and hour",
        price=hourly and hourly * share,
        idle=few * HOURS,
        maximum=many * HOURS,
        why=why if hourly else f"{why}; the price of {kind} is not known here",
    )


def _gpu_nodes(pool: GpuPool, listed: RegionPrices) -> Line:
    spot = pool.capacity == "spot"
    why = f"gpuPools {pool.name}, {pool.minimum} to {pool.maximum} nodes"
    if spot:
        why += f", spot: about {prices.SPOT_SHARE_EC2:.0%} of the price on demand"
    if pool.capacity == "capacityBlock":
        block = _nodes(
            "GPU nodes", pool.instance_types[0], 0, pool.maximum, listed, f"{why}, a capacity block: paid in advance"
        )
        return Line(**{**vars(block), "price": None})
    share = prices.SPOT_SHARE_EC2 if spot else 1.0
    return _nodes("GPU nodes", pool.instance_types[0], pool.minimum, pool.maximum, listed, why, share)


def _volumes(what: str, size: int, few: int, many: int, listed: RegionPrices) -> Line:
    return Line(
        what=what,
        resources=("aws:eks/nodeGroup:NodeGroup",),
        unit="GB and month",
        price=listed.volume_gb_month,
        idle=size * few,
        maximum=size * many,
        why=f"gp3, {size} GiB a node",
    )


def fargate_lines(settings: Settings, listed: RegionPrices) -> Iterable[Line]:
    fargate = settings.fargate
    scaled: dict[str, Task] = {"gateway": fargate.gateway, "worker": fargate.worker, "inference": fargate.inference}
    parts: dict[str, Task] = {**scaled, **dict.fromkeys(processes.transports(settings), TRANSPORT_TASK)}
    price = listed.fargate[fargate.architecture]
    for part, task in parts.items():
        hourly = task.cpu / 1024 * price.cpu + task.memory / 1024 * price.memory
        spot = part == "worker" and fargate.spot_workers
        source = f"fargate.{part}" if part in scaled else "by the settings of platforms"
        why = f"{source}: {task.cpu / 1024:g} vCPU and {task.memory / 1024:g} GB, {task.minimum} to {task.maximum} tasks"
        yield Line(
            what=f"Tasks of {part}",
            resources=("aws:ecs/service:Service",),
            unit="task and hour",
            price=hourly * (prices.SPOT_SHARE_FARGATE if spot else 1),
            idle=task.minimum * HOURS,
            maximum=task.maximum * HOURS,
            why=f"{why}, spot" if spot else why,
        )
    least, most = (sum(getattr(task, bound) for task in parts.values()) for bound in ("minimum", "maximum"))
    fixed = ECS_METRICS_CLUSTER + len(parts) * ECS_METRICS_SERVICE
    yield Line(
        what="Container Insights",
        resources=("aws:ecs/cluster:Cluster",),
        unit="metric and month",
        price=prices.INSIGHTS_METRIC_MONTH,
        idle=fixed + least * ECS_METRICS_TASK,
        maximum=fixed + most * ECS_METRICS_TASK,
        why="metrics of services and tasks, which alarms read",
    )
    alarms = len(scaled) * SCALING_ALARMS_PER_POLICY
    yield Line(
        what="Alarms of the autoscaling",
        resources=("aws:appautoscaling/policy:Policy",),
        unit="metric and month",
        price=prices.ALARM_METRIC_MONTH,
        idle=alarms,
        maximum=alarms,
        why="that scaling policies make and read",
    )
    yield Line(
        what="Name of inference",
        resources=("aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace",),
        unit="zone and month",
        price=prices.DNS_ZONE_MONTH,
        idle=1,
        maximum=1,
        why="a private zone by which gateway and worker find inference",
    )
    yield Line(
        what="Names of its tasks",
        resources=("aws:servicediscovery/service:Service",),
        unit="task and month",
        price=prices.REGISTERED_INSTANCE_MONTH,
        idle=fargate.inference.minimum,
        maximum=fargate.inference.maximum,
        why="each task that is registered",
    )
