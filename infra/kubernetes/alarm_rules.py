"""The alarm catalogue in Prometheus' language.

What the application measures comes through the stack's ServiceMonitors. CPU, readiness and restarts come from what a
cluster with the Prometheus operator usually runs: the kubelet's cAdvisor and kube-state-metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.alarms import ALARMS, GENERATING_ROUTES, Alarm, Measure
from infra.kubernetes.names import APPLICATION

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
    }


def _p99(histogram: str, matchers: str, by: str) -> str:
    return f"(histogram_quantile(0.99, sum by ({by}) (rate({histogram}_bucket{{{matchers}}}[{_WINDOW}]))))"


def _finished(matchers: str, outcomes: str) -> str:
    return f'sum(rate(assistant_messages_total{{{matchers},outcome=~"{outcomes}"}}[{_SUCCESS_WINDOW}]))'
