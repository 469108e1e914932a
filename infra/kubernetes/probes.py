"""The probes of the application's processes: one address says whether it lives, another whether it may be given work."""

from __future__ import annotations

from typing import Literal

from pulumi_kubernetes.core.v1 import HTTPGetActionArgs, ProbeArgs

from infra.kubernetes.container import Probes

LIVE, READY = "/healthz", "/readyz"
START_PERIOD_SECONDS = 2


def http_probes(port: str, *, starts_within: int, scheme: Literal["HTTP", "HTTPS"] = "HTTP", started: str = LIVE) -> Probes:
    """``starts_within``: seconds until a process that never answered at ``started`` is restarted; READY only where nothing else
    can keep it from being so, since a restart mends no dependency. Readiness reacts in seconds, because work
    can go to another pod; a restart loses work and waits for a process that hangs for a minute."""

    def get(path: str) -> HTTPGetActionArgs:
        return HTTPGetActionArgs(path=path, port=port, scheme=scheme)

    return Probes(
        startup=ProbeArgs(
            http_get=get(started),
            period_seconds=START_PERIOD_SECONDS,
            timeout_seconds=2,
            failure_threshold=-(-starts_within // START_PERIOD_SECONDS),
        ),
        readiness=ProbeArgs(http_get=get(READY), period_seconds=3, timeout_seconds=2, failure_threshold=2),
        liveness=ProbeArgs(http_get=get(LIVE), period_seconds=15, timeout_seconds=5, failure_threshold=4),
    )
