"""The alarm catalogue in Prometheus' language.

What the application measures comes through the stack's ServiceMonitors. CPU, memory, readiness, restarts and nodes come from
what a cluster with the Prometheus operator usually runs: the kubelet's cAdvisor and kube-state-metrics; GPUs from NVIDIA's DCGM
exporter, where there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.telemetry.emf_catalogue import PROBES
from infra.alarms import ALARMS, GENERATING_ROUTES, Alarm, Measure
from infra.kubernetes.names import APPLICATION
from infra.kubernetes.redis import DATA_SHARE

_PARTS = "gateway|worker|inference"
_WINDOW = "5m"
# Few messages an hour make a share of five minutes jump between all and nothing.
_SUCCESS_WINDOW = "15m"
_COMPARISON = {"above": ">", "below": "<"}


def groups(namespace: str, certificate_expires: float | None = None) -> list[dict[str, Any]]:
    """The ``groups`` of a PrometheusRule, which are those of a rule file as well. ``certificate_expires``: Unix time, of the
    stack's own certificate; None where it has one of the user's, which cert-manager is asked about."""
    expressions = measures(namespace, certificate_expires)
    return [{"name": APPLICATION, "rules": [_rule(alarm, expressions[alarm.measure], namespace) for alarm in ALARMS]}]


def _rule(alarm: Alarm, measure: str, namespace: str) -> dict[str, Any]:
    return {
        "alert": alarm.name,
        "expr": f"{measure} {_COMPARISON[alarm.beyond]} {alarm.threshold:.12g}",
        "for": f"{alarm.for_seconds}s",
        # Not every measure keeps its namespace, and what routes alarms wants it.
        "labels": {"severity": alarm.severity, "namespace": namespace},
        "annotations": {"summary": alarm.summary, "runbook": alarm.runbook},
    }


def measures(namespace: str, certificate_expires: float | None = None) -> Mapping[Measure, str]:
    """PromQL for every measure, in parentheses, so that a comparison may follow."""
    of = f'namespace="{namespace}"'
    routes = "|".join(GENERATING_ROUTES)
    limits = f'kube_pod_container_resource_limits{{{of},resource="cpu"}}'
    cpu_time = f'rate(container_cpu_usage_seconds_total{{{of},container!=""}}[{_WINDOW}])'
    wanted = f'kube_deployment_spec_replicas{{{of},deployment=~"{_PARTS}"}}'
    ready = f'kube_deployment_status_replicas_ready{{{of},deployment=~"{_PARTS}"}}'
    redis_memory = f'sum by (pod) (container_memory_rss{{{of},container="redis"}})'
    redis_limit = f'kube_pod_container_resource_limits{{{of},container="redis",resource="memory"}}'
    used, free = (_gpu(f"DCGM_FI_DEV_FB_{kind}", namespace) for kind in ("USED", "FREE"))
    expires = (
        f"min(certmanager_certificate_expiration_timestamp_seconds{{{of}}})"
        if certificate_expires is None
        else f"vector({certificate_expires:.0f})"
    )
    return {
        Measure.CPU_UTILISATION: (
            f"(sum by (pod, container) ({cpu_time}) / on (pod, container) max by (pod, container) ({limits}))"
        ),
        Measure.API_LATENCY_P99: _p99("assistant_http_request_duration_seconds", f'{of},route!~"{routes}"', "le, route"),
        Measure.TIME_TO_FIRST_TOKEN_P99: _p99("gen_ai_server_time_to_first_token_seconds", of, "le"),
        Measure.MESSAGE_SUCCESS: f"({_finished(of, 'done')} / {_finished(of, 'done|dead|unknown')})",
        # Every gateway and worker reads the same queue.
        Measure.BACKLOG_AGE: f"(max(assistant_queue_oldest_seconds{{{of}}}))",
        Measure.DEAD_LETTERS: f"(max(assistant_queue_dead{{{of}}}))",
        Measure.UNKNOWN_OUTCOMES: f"(max(assistant_queue_unknown{{{of}}}))",
        Measure.QUEUE_STORE_UNREACHABLE: f"(count(assistant_queue_up{{{of}}} == 0))",
        Measure.PARTS_NOT_READY: f"(count by (deployment) ({wanted} > 0 unless on (deployment) {ready} > 0))",
        Measure.RESTARTS: f"(sum by (pod, container) (increase(kube_pod_container_status_restarts_total{{{of}}}[15m])))",
        Measure.CERTIFICATE_LIFETIME: f"({expires} - time())",
        Measure.SERVER_ERRORS: f"({_requests(of, '5..')} / {_requests(of, '.*')})",
        # The rest of the container's memory is not for data.
        Measure.REDIS_MEMORY: f"({redis_memory} / on (pod) max by (pod) ({redis_limit}) / {DATA_SHARE})",
        Measure.GPU_MEMORY: f"(max by (gpu, Hostname) ({used} / ({used} + {free})))",
        Measure.GPU_ERRORS: f"(max by (gpu, Hostname) ({_gpu('DCGM_FI_DEV_XID_ERRORS', namespace)}))",
        # Of the cluster's nodes those on which parts of the assistant stand.
        Measure.NODES_NOT_READY: (
            '(count by (node) (kube_node_status_condition{condition="Ready",status="true"} == 0 '
            f"and on (node) kube_pod_info{{{of}}}))"
        ),
    }


def _p99(histogram: str, matchers: str, by: str) -> str:
    return f"(histogram_quantile(0.99, sum by ({by}) (rate({histogram}_bucket{{{matchers}}}[{_WINDOW}]))))"


def _finished(matchers: str, outcomes: str) -> str:
    return f'sum(rate(assistant_messages_total{{{matchers},outcome=~"{outcomes}"}}[{_SUCCESS_WINDOW}]))'


def _requests(matchers: str, status: str) -> str:
    """Probes say 503 while a process starts or drains: that is an answer, not an error."""
    labels = f'{matchers},route!~"{"|".join(PROBES)}",status=~"{status}"'
    return f"sum(rate(assistant_http_request_duration_seconds_count{{{labels}}}[{_WINDOW}]))"


def _gpu(metric: str, namespace: str) -> str:
    """The exporter names the namespace of the pod that has the GPU; scraped without ``honorLabels`` that label is renamed."""
    renamed, own = f'{metric}{{exported_namespace="{namespace}"}}', f'{metric}{{exported_namespace="",namespace="{namespace}"}}'
    return f"({renamed} or {own})"
