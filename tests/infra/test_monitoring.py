"""The Prometheus operator's objects: there where it is, and made for our metrics Services."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from infra.alarms import ALARMS
from infra.generated.authority import issue_authority, issue_server, not_after
from infra.kubernetes.monitoring import Monitoring, MonitoringArgs
from infra.kubernetes.names import labels
from infra.settings import Settings

OPERATOR = {"prometheusOperator": True}


def arguments(settings: Settings) -> MonitoringArgs:
    return MonitoringArgs(namespace="team-a", settings=settings)


async def test_without_the_operator_nothing_of_its_kinds_is_declared(
    kubernetes_objects: Any, cluster_settings: Callable[..., Settings]
) -> None:
    made: list[Monitoring] = []
    args = arguments(cluster_settings())
    assert await kubernetes_objects.rendered(lambda: made.append(Monitoring("monitoring", args))) == {}
    assert made[0].alarms == []


async def test_every_measured_part_is_scraped_by_its_metrics_service_alone(
    kubernetes_objects: Any, cluster_settings: Callable[..., Settings]
) -> None:
    args = arguments(cluster_settings(monitoring=OPERATOR))
    monitors = (await kubernetes_objects.rendered(lambda: Monitoring("monitoring", args)))["ServiceMonitor"]
    assert monitors.keys() == {"gateway", "worker", "inference"}
    for part, monitor in monitors.items():
        assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
        assert monitor["metadata"]["namespace"] == "team-a"
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels(part).items()
        (endpoint,) = monitor["spec"]["endpoints"]
        assert (endpoint["port"], endpoint["path"]) == ("metrics", "/metrics")
        # What a dashboard shows as the job.
        assert labels(part)[monitor["spec"]["jobLabel"]] == part


async def test_the_alarms_are_those_of_the_catalogue(
    kubernetes_objects: Any, cluster_settings: Callable[..., Settings]
) -> None:
    made: list[Monitoring] = []
    args = arguments(cluster_settings(monitoring=OPERATOR))
    objects = await kubernetes_objects.rendered(lambda: made.append(Monitoring("monitoring", args)))
    (rule,) = objects["PrometheusRule"].values()
    (group,) = rule["spec"]["groups"]
    names = [alarm.name for alarm in ALARMS]
    assert [one["alert"] for one in group["rules"]] == names == made[0].alarms
    assert all('namespace="team-a"' in one["expr"] for one in group["rules"])


async def test_the_stacks_own_certificate_is_watched_by_its_own_end(
    kubernetes_objects: Any, cluster_settings: Callable[..., Settings]
) -> None:
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    authority = issue_authority(["localhost"], now, "test")
    certificate = issue_server(authority, ["localhost"], datetime.timedelta(days=90), now).certificate
    settings = cluster_settings(monitoring=OPERATOR)
    args = MonitoringArgs(namespace="team-a", settings=settings, certificate=certificate.decode())
    objects = await kubernetes_objects.rendered(lambda: Monitoring("monitoring", args))
    rules = objects["PrometheusRule"]["assistant"]["spec"]["groups"][0]["rules"]
    (expression,) = (rule["expr"] for rule in rules if rule["alert"] == "CertificateExpiring")
    assert f"vector({not_after(certificate).timestamp():.0f})" in expression
