"""What the three processes of the application have in common in a cluster: their environment, their times, their rollout."""

from __future__ import annotations

import pulumi
from pulumi_kubernetes.apps.v1 import (
    Deployment,
    DeploymentSpecArgs,
    DeploymentStrategyArgs,
    RollingUpdateDeploymentArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs

from infra.durations import DRAIN_SECONDS, EXIT_SECONDS, INFERENCE_TIMEOUT_SECONDS
from infra.kubernetes.names import INFERENCE_PORT, INFERENCE_SERVICE, METRICS_PORT, Part, selector
from infra.kubernetes.pod import Pod
from infra.kubernetes.redis_connection import RedisConnection
from infra.kubernetes.workload import metadata
from infra.settings import Settings

# Until every node's proxy has heard that a pod ends; measured in other people's clusters at one to three seconds.
PRE_STOP_SECONDS = 5
REVISIONS = 3  # that `kubectl rollout undo` can go back to


def grace_seconds(*, pre_stop: int, notice: int) -> int:
    return pre_stop + notice + DRAIN_SECONDS + EXIT_SECONDS


def base_environment(settings: Settings, port: int, *, notice: int = 0) -> dict[str, str]:
    """What every process reads. ``notice``: see :mod:`app.settings`."""
    return {
        "HOST": "0.0.0.0",  # noqa: S104 - the pod's own network; policies say who reaches it
        "PORT": str(port),
        "METRICS_PORT": str(METRICS_PORT),
        "LOG_LEVEL": settings.log_level,
        "NOTICE_SECONDS": str(notice),
        "DRAIN_SECONDS": str(DRAIN_SECONDS),
    }


def neighbours(redis: RedisConnection) -> dict[str, pulumi.Input[str]]:
    """Where gateway and worker find Redis and inference."""
    return {
        **redis.environment(),
        "INFERENCE_URL": f"http://{INFERENCE_SERVICE}:{INFERENCE_PORT}",
        "INFERENCE_TIMEOUT_SECONDS": str(INFERENCE_TIMEOUT_SECONDS),
    }


def one_more() -> RollingUpdateDeploymentArgs:
    """A new pod is ready before an old one goes."""
    return RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0)


def one_less() -> RollingUpdateDeploymentArgs:
    """An old pod goes before a new one comes: for what no node has twice."""
    return RollingUpdateDeploymentArgs(max_surge=0, max_unavailable=1)


def deployment(
    part: Part,
    *,
    namespace: pulumi.Input[str],
    pod: Pod,
    update: RollingUpdateDeploymentArgs | None,
    ready_within: int,
    opts: pulumi.ResourceOptions,
) -> Deployment:
    """``ready_within``: seconds after which a rollout that goes no further has failed. ``update``: None where there is one
    pod, which ends before the next begins.

    Else the number of replicas is the autoscaler's: a server-side apply that leaves it out never touches it again.
    """
    patience = pulumi.CustomTimeouts(create=f"{ready_within}s", update=f"{ready_within}s")
    return Deployment(
        f"{part}-deployment",
        metadata=metadata(part, namespace),
        spec=DeploymentSpecArgs(
            selector=LabelSelectorArgs(match_labels=selector(part)),
            replicas=1 if update is None else None,
            strategy=DeploymentStrategyArgs(type="RollingUpdate" if update else "Recreate", rolling_update=update),
            min_ready_seconds=3,
            revision_history_limit=REVISIONS,
            progress_deadline_seconds=ready_within,
            template=pod.template(),
        ),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(custom_timeouts=patience)),
    )
