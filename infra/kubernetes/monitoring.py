"""The Prometheus operator's objects, where it runs: what to scrape, and when to raise an alarm.

Without the operator there is nothing to declare: the pods carry the annotations that a Prometheus of one's own looks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import processes
from infra.alarms import ALARMS
from infra.generated.authority import not_after
from infra.kubernetes.alarm_rules import groups
from infra.kubernetes.names import APPLICATION, Part, labels, selector
from infra.settings import Settings

MEASURED: tuple[Part, ...] = ("gateway", "worker", "inference")
METRICS_PATH = "/metrics"
# Of the metrics Services, and of no other.
PORT_NAME = "metrics"
SCRAPE_INTERVAL = "30s"
_API_VERSION = "monitoring.coreos.com/v1"


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """``certificate``: PEM of the stack's own, so that an alarm can tell when it expires; None where it has none."""

    namespace: pulumi.Input[str]
    settings: Settings
    certificate: pulumi.Input[str] | None = None


class Monitoring(pulumi.ComponentResource):
    """``alarms``: the names of the alarms in force; none without the Prometheus operator."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Monitoring", name, {}, opts)
        self.alarms: list[str] = []
        if args.settings.monitoring.prometheus_operator:
            child = pulumi.ResourceOptions(parent=self)
            self.alarms = [alarm.name for alarm in ALARMS]
            for part in (*MEASURED, *processes.transports(args.settings)):
                CustomResource(
                    f"{name}-{part}",
                    api_version=_API_VERSION,
                    kind="ServiceMonitor",
                    metadata=ObjectMetaArgs(name=part, namespace=args.namespace, labels=labels(part)),
                    spec=service_monitor(part),
                    opts=child,
                )
            CustomResource(
                f"{name}-alarms",
                api_version=_API_VERSION,
                kind="PrometheusRule",
                metadata=ObjectMetaArgs(
                    name=APPLICATION, namespace=args.namespace, labels={"app.kubernetes.io/part-of": APPLICATION}
                ),
                spec={"groups": pulumi.Output.all(args.namespace, args.certificate).apply(lambda known: alarm_groups(*known))},
                opts=child,
            )
        self.register_outputs({"alarms": self.alarms})


def alarm_groups(namespace: str, certificate: str | None) -> list[dict[str, Any]]:
    return groups(namespace, not_after(certificate.encode()).timestamp() if certificate else None)


def service_monitor(part: Part) -> dict[str, Any]:
    """Every pod of the part, ready or not; in dashboards ``job`` is then the part's name and not its Service's."""
    return {
        "jobLabel": "app.kubernetes.io/name",
        "selector": {"matchLabels": selector(part)},
        "endpoints": [{"port": PORT_NAME, "path": METRICS_PATH, "interval": SCRAPE_INTERVAL}],
    }
