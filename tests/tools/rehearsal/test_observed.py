"""What a rehearsal says is open, left and loud is what the played AWS has."""

from __future__ import annotations

from typing import Any

import pytest

from tools.rehearsal import observed

EDGE, QUEUE = "sg-edge", "sg-queue"


def record(token: str, number: str, *, name: str = "", arn: str = "", outputs: Any = None, **inputs: Any) -> dict[str, Any]:
    return {
        "token": token,
        "id": number,
        "name": name,
        "arn": arn,
        "urn": f"urn:pulumi:prod::assistant::{token}::{name or number}",
        "inputs": inputs,
        "outputs": outputs or {},
    }


def rule(group: str, port: int | None, cidr: str = "0.0.0.0/0", last: int | None = None) -> dict[str, Any]:
    ports = {"fromPort": port, "toPort": last or port} if port is not None else {}
    return record(
        observed.INGRESS,
        f"sgr-{group}-{port}",
        securityGroupId=group,
        cidrIpv4=cidr,
        ipProtocol="tcp" if ports else "-1",
        **ports,
    )


def edge(*ports: int) -> list[dict[str, Any]]:
    return [
        record(observed.GROUP, EDGE, name="edge"),
        record(observed.GROUP, QUEUE, name="queue"),
        record(observed.BALANCER, "lb", arn="arn:lb", outputs={"internal": False, "securityGroups": [EDGE]}),
        *(rule(EDGE, port) for port in ports),
        *(record(observed.LISTENER, f"l{port}", loadBalancerArn="arn:lb", port=port, protocol="HTTP") for port in ports),
        rule(QUEUE, 6379, "10.0.0.0/16"),
    ]


def test_an_edge_on_80_and_443_and_nothing_else_is_as_it_should_be() -> None:
    assert observed.exactly_the_edge(edge(80, 443)) == []
    assert [(door.ports, door.expected) for door in observed.doors(edge(80, 443))] == [("443", True), ("80", True)]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (rule(QUEUE, 6379), "security group queue is open to the world on 6379"),
        (rule(EDGE, 22), "security group edge is open to the world on 22"),
        (rule(EDGE, 80, last=443), "security group edge is open to the world on 80–443"),
        (rule(QUEUE, None), "security group queue is open to the world on all"),
        (
            record(observed.INGRESS, "v6", securityGroupId=QUEUE, cidrIpv6="::/0", ipProtocol="tcp", fromPort=1, toPort=1),
            "security group queue is open to the world on 1",
        ),
        (
            record(observed.GROUP, "sg-x", name="x", ingress=[{"cidrBlocks": ["0.0.0.0/0"], "fromPort": 1, "toPort": 2}]),
            "security group x is open to the world on 1–2",
        ),
        (
            record(observed.CLUSTER, "c", name="c", vpcConfig={"endpointPublicAccess": True}),
            "API server of c is open to the world on 443",
        ),
    ],
)
def test_whatever_else_is_open_is_told(more: dict[str, Any], told: str) -> None:
    assert observed.exactly_the_edge([*edge(80, 443), more]) == [told]


def test_a_closed_edge_and_an_api_server_for_deployers_alone_are_told_apart() -> None:
    closed = observed.exactly_the_edge(edge(443))
    assert closed == [
        "the edge's security group lets the world in on [443], and not on [80, 443]",
        "the load balancer listens on [443], and not on [80, 443]",
    ]
    limited = record(observed.CLUSTER, "c", vpcConfig={"endpointPublicAccess": True, "publicAccessCidrs": ["198.18.7.0/24"]})
    assert observed.exactly_the_edge([*edge(80, 443), limited]) == []


def test_an_alarm_is_told_with_its_threshold_and_its_time() -> None:
    found = observed.alarms(
        [
            record(
                observed.ALARM,
                "a",
                name="assistant-prod-api-slow",
                alarmDescription="page: The API is slow. What to do: look",
                comparisonOperator="GreaterThanThreshold",
                threshold=2,
                evaluationPeriods=5,
                period=60,
                namespace="Assistant/prod",
                metricName="ApiSeconds",
                extendedStatistic="p99",
            )
        ]
    )
    assert [(it.condition, it.duration, it.severity, it.summary, it.measured) for it in found] == [
        ("> 2", "5 × 1 min", "page", "The API is slow", "Assistant/prod ApiSeconds (p99)")
    ]


def test_the_audit_log_and_its_key_are_kept_and_all_else_is_an_orphan() -> None:
    found = observed.left(
        [
            record("aws:s3/bucket:Bucket", "assistant-prod-audit-1", arn="arn:aws:s3:::assistant-prod-audit-1"),
            record("aws:s3/bucketVersioning:BucketVersioning", "assistant-prod-audit-1", arn=""),
            record("aws:kms/key:Key", "1234", name="keys-audit", arn="arn:aws:kms:eu-central-1:1:key/1234"),
            record("aws:ec2/eip:Eip", "eipalloc-1", arn="arn:aws:ec2:eu-central-1:1:elastic-ip/eipalloc-1"),
        ]
    )
    assert found.orphans == ("aws:ec2/eip:Eip eipalloc-1",)
    assert len(found.kept) == 3


def test_objects_of_kubernetes_are_known_by_group_and_version() -> None:
    exported = {
        "deployment": {
            "resources": [
                {"type": "kubernetes:core/v1:Namespace", "custom": True, "outputs": _object("v1", "Namespace", "assistant")},
                {
                    "type": "kubernetes:apps/v1:Deployment",
                    "custom": True,
                    "outputs": _object("apps/v1", "Deployment", "g", "n"),
                },
                {"type": "assistant:kubernetes:Gateway"},
                {"type": "aws:s3/bucket:Bucket", "custom": True, "outputs": {}},
            ]
        }
    }
    assert [str(item) for item in observed.kubernetes_objects(exported)] == ["Namespace assistant", "Deployment.v1.apps n/g"]


def _object(version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **({"namespace": namespace} if namespace else {})}}
