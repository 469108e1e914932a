"""Instance types with NVIDIA GPUs, as EC2 describes them (``aws ec2 describe-instance-types``): what a pool may be made of."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class GpuInstance:
    """``gpu_memory``: GiB of each GPU. ``quota``: the code of the Service Quota that counts its vCPUs on demand;
    ``spot_quota``: the one for spot."""

    gpu: str
    gpus: int
    gpu_memory: int
    vcpus: int
    memory: int
    quota: str
    spot_quota: str
    architecture: Literal["x86_64", "arm64"] = "x86_64"


# Service Quotas, "Running On-Demand G and VT instances" and "… P instances"; "All G and VT Spot Instance Requests",
# "All P4, P3 and P2 Spot Instance Requests" and "All P5 Spot Instance Requests". Each counts vCPUs.
G_ON_DEMAND, G_SPOT = "L-DB2E81BA", "L-3819A6DF"
P_ON_DEMAND, P_SPOT, P5_SPOT = "L-417A185B", "L-7212CCBC", "L-C4BD4855"


def _g(
    gpu: str, gpus: int, gpu_memory: int, vcpus: int, memory: int, architecture: Literal["x86_64", "arm64"] = "x86_64"
) -> GpuInstance:
    return GpuInstance(
        gpu=gpu,
        gpus=gpus,
        gpu_memory=gpu_memory,
        vcpus=vcpus,
        memory=memory,
        quota=G_ON_DEMAND,
        spot_quota=G_SPOT,
        architecture=architecture,
    )


def _p(gpu: str, gpus: int, gpu_memory: int, vcpus: int, memory: int, spot_quota: str = P_SPOT) -> GpuInstance:
    return GpuInstance(
        gpu=gpu, gpus=gpus, gpu_memory=gpu_memory, vcpus=vcpus, memory=memory, quota=P_ON_DEMAND, spot_quota=spot_quota
    )


GPU_INSTANCES: dict[str, GpuInstance] = {
    "g4dn.xlarge": _g("T4", 1, 16, 4, 16),
    "g4dn.2xlarge": _g("T4", 1, 16, 8, 32),
    "g4dn.12xlarge": _g("T4", 4, 16, 48, 192),
    "g5.xlarge": _g("A10G", 1, 24, 4, 16),
    "g5.2xlarge": _g("A10G", 1, 24, 8, 32),
    "g5.4xlarge": _g("A10G", 1, 24, 16, 64),
    "g5.12xlarge": _g("A10G", 4, 24, 48, 192),
    "g5.48xlarge": _g("A10G", 8, 24, 192, 768),
    "g5g.xlarge": _g("T4G", 1, 16, 4, 8, "arm64"),
    "g6.xlarge": _g("L4", 1, 24, 4, 16),
    "g6.2xlarge": _g("L4", 1, 24, 8, 32),
    "g6.4xlarge": _g("L4", 1, 24, 16, 64),
    "g6.12xlarge": _g("L4", 4, 24, 48, 192),
    "g6.48xlarge": _g("L4", 8, 24, 192, 768),
    "g6e.xlarge": _g("L40S", 1, 48, 4, 32),
    "g6e.2xlarge": _g("L40S", 1, 48, 8, 64),
    "g6e.4xlarge": _g("L40S", 1, 48, 16, 128),
    "g6e.12xlarge": _g("L40S", 4, 48, 48, 384),
    "g6e.48xlarge": _g("L40S", 8, 48, 192, 1536),
    "p4d.24xlarge": _p("A100", 8, 40, 96, 1152),
    "p4de.24xlarge": _p("A100", 8, 80, 96, 1152),
    "p5.4xlarge": _p("H100", 1, 80, 16, 256, P5_SPOT),
    "p5.48xlarge": _p("H100", 8, 80, 192, 2048, P5_SPOT),
    "p5e.48xlarge": _p("H200", 8, 141, 192, 2048, P5_SPOT),
    "p5en.48xlarge": _p("H200", 8, 141, 192, 2048, P5_SPOT),
}


def nearest_gpu_instances(name: str, count: int = 3) -> str:
    """Known names near ``name``, in words; all families where none is near."""
    near = difflib.get_close_matches(name, GPU_INSTANCES, n=count, cutoff=0.5)
    return ", ".join(near) if near else ", ".join(sorted({kind.split(".")[0] for kind in GPU_INSTANCES}))
