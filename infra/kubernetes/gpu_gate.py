"""The GPU gate: before inference rolls out, a Job on each pool proves one inference on a GPU, or the stack stops there and says
what is in the way."""

from __future__ import annotations

from infra.aws_settings import GpuPool
from infra.settings import Settings


def which_pools(settings: Settings) -> tuple[GpuPool, ...]:
    """Those that cost something from the start; where inference computes on GPUs, all: any of them may get a pod. Pure."""
    if settings.inference.device == "cuda":
        return settings.gpu_pools
    return tuple(pool for pool in settings.gpu_pools if pool.minimum > 0)
