"""What measures the stack finds it here: a metrics Service a part, and the Prometheus operator's objects where it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Service, ServicePortArgs, ServiceSpecArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.alarms import ALARMS
from infra.kubernetes.alarm_rules import groups
from infra.kubernetes.names import APPLICATION, METRICS_PORT, Part, labels, selector
from infra.settings import Settings

MEASURED: tuple[Part, ...] = ("gateway", "worker", "inference")
METRICS_PATH = "/metrics"
PORT_NAME = "metrics"
SCRAPE_INTERVAL = "30s"
_API_VERSION = "monitoring.coreos.com/v1"
# Tells the metrics Service from the part's other one.
_COMPONENT = {"app.kubernetes.io/component": PORT_NAME}
# A part scaled to nothing has no endpoint, and nobody shall wait for one.
_SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}


def metrics_service(part: Part) -> str:
    return f"{part}-metrics"


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    namespace: pulumi.Input[str]
    settings: Settings


class Monitoring(pulumi.ComponentResource):
    """``alarms``: the names of the alarms in force; none without the Prometheus operator."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Monitoring", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        operator = args.settings.monitoring.prometheus_operator
        self.services = {
            part: Service(
                f"{name}-{metrics_service(part)}",
                metadata=ObjectMetaArgs(
                    name=metrics_service(part),
                    namespace=args.namespace,
                    labels={**labels(part), **_COMPONENT},
                    annotations=_SKIP_AWAIT,
                ),
                # Headless: who measures wants every pod, not one of them.
                spec=ServiceSpecArgs(
                    cluster_ip="None",
                    selector=selector(part),
                    ports=[ServicePortArgs(name=PORT_NAME, port=METRICS_PORT, target_port=METRICS_PORT)],
                ),
                opts=child,
            )
            for part in MEASURED
        }
        self.alarms: list[str] = []
        if operator:
            self.alarms = [alarm.name for alarm in ALARMS]
            for part in MEASURED:
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
                spec={"groups": pulumi.Output.from_input(args.namespace).apply(groups)},
                opts=child,
            )
        self.register_outputs({"alarms": self.alarms})


def service_monitor(part: Part) -> dict[str, Any]:
    """Every pod of the part, ready or not. The rules know them by ``job``, which is the part's name."""
    return {
        "jobLabel": "app.kubernetes.io/name",
        "selector": {"matchLabels": {**selector(part), **_COMPONENT}},
        "endpoints": [{"port": PORT_NAME, "path": METRICS_PATH, "interval": SCRAPE_INTERVAL}],
    }
