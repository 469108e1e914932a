"""The way in: what is open, with which certificate, and where requests go."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from aws_rendering import aws_settings, render_component

from app.http.health import READY_PATHS
from app.http.protocol import Limits
from infra.aws.edge import IDLE_SECONDS, READY_PATH, Edge, EdgeArgs
from infra.durations import DRAIN_SECONDS, INFERENCE_TIMEOUT_SECONDS
from infra.kubernetes.names import GATEWAY_PORT

DOMAIN, ZONE = "assistant.example.com", "example.com"
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/own"
ANSWERS = {"aws:route53/getZone:getZone": {"zoneId": "Z1", "id": "Z1", "name": ZONE}}


class Bucket(pulumi.ComponentResource):
    bucket_name = "the-log-bucket"

    def __init__(self) -> None:
        super().__init__("assistant:test:Bucket", "access-logs")


class Network(pulumi.ComponentResource):
    """``late``: its way to the internet, which is made after its subnets are."""

    vpc_id, vpc_cidr, public_subnet_ids = "the-vpc", "10.40.0.0/16", ("public-a", "public-b")

    def __init__(self) -> None:
        super().__init__("assistant:test:Network", "network")
        child = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc("late-vpc", cidr_block=self.vpc_cidr, opts=child)
        aws.ec2.InternetGateway("late-internet", vpc_id=vpc.id, opts=child)


async def render(profile: str = "prod", **groups: Any):
    def make(context):
        bucket: Any = Bucket()
        network: Any = Network()
        return Edge("edge", EdgeArgs(context=context, network=network, access_logs=bucket, log_key_arn="the-key"))

    return await render_component(make, aws_settings(profile, **groups), answers=ANSWERS, stack=profile)


async def test_the_world_reaches_two_ports_and_the_load_balancer_reaches_the_gateway_alone():
    rendered = await render()
    incoming = [rule.inputs for rule in rendered.of("SecurityGroupIngressRule")]
    assert sorted((rule["fromPort"], rule["toPort"], rule["ipProtocol"], rule["cidrIpv4"]) for rule in incoming) == [
        (80, 80, "tcp", "0.0.0.0/0"),
        (443, 443, "tcp", "0.0.0.0/0"),
    ]
    out = rendered.one("SecurityGroupEgressRule").inputs
    assert (out["cidrIpv4"], out["fromPort"], out["toPort"]) == ("10.40.0.0/16", GATEWAY_PORT, GATEWAY_PORT)
    assert {"ingress", "egress"}.isdisjoint(rendered.one("SecurityGroup").inputs)


async def test_plain_http_is_only_sent_on():
    listener = (await render()).one("Listener", "edge-http").inputs
    assert (listener["port"], listener["protocol"]) == (80, "HTTP")
    (action,) = listener["defaultActions"]
    assert action["type"] == "redirect"
    assert (action["redirect"]["protocol"], action["redirect"]["port"]) == ("HTTPS", "443")


async def test_ends_tls_with_the_policy_of_the_settings_and_a_validated_certificate():
    rendered = await render(edge={"domain": DOMAIN, "zone": ZONE, "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"})
    listener = rendered.one("Listener", "edge-https").inputs
    assert (listener["port"], listener["protocol"]) == (443, "HTTPS")
    assert listener["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
    certificate = rendered.one("aws:acm/certificate:Certificate").inputs
    assert (certificate["domainName"], certificate["validationMethod"]) == (DOMAIN, "DNS")
    validation = rendered.one("CertificateValidation").inputs
    assert listener["certificateArn"] == validation["certificateArn"]
    assert rendered.one("Record", "edge-validation-record").inputs["zoneId"] == "Z1"


async def test_the_domain_points_to_the_load_balancer():
    record = (await render()).one("Record", "edge-record").inputs
    assert (record["name"], record["type"], record["zoneId"]) == (DOMAIN, "A", "Z1")
    assert len(record["aliases"]) == 1


@pytest.mark.parametrize(("zone", "records"), [(None, []), (ZONE, ["edge-record"])])
async def test_a_certificate_of_ones_own_needs_no_zone(zone, records):
    given = {"domain": DOMAIN, "certificateArn": CERTIFICATE} | ({"zone": zone} if zone else {})
    rendered = await render(edge=given)
    assert rendered.one("Listener", "edge-https").inputs["certificateArn"] == CERTIFICATE
    assert rendered.of("aws:acm/certificate:Certificate") == []
    assert rendered.names("Record") == records


async def test_what_generates_text_has_a_target_group_of_its_own():
    rendered = await render()
    api, generating = (rendered.one("TargetGroup", f"edge-{name}") for name in ("api", "generating"))
    for group in (api.inputs, generating.inputs):
        assert (group["protocol"], group["port"], group["targetType"]) == ("HTTPS", GATEWAY_PORT, "ip")
        assert group["healthCheck"]["path"] == READY_PATH
        assert group["healthCheck"]["protocol"] == "HTTPS"
        assert group["deregistrationDelay"] >= INFERENCE_TIMEOUT_SECONDS
        assert group["deregistrationDelay"] <= DRAIN_SECONDS
    assert api.inputs["name"] != generating.inputs["name"]
    (default,) = rendered.one("Listener", "edge-https").inputs["defaultActions"]
    rule = rendered.one("ListenerRule").inputs
    made = rendered.made
    assert await made.target_group_arns["api"].future() == default["targetGroupArn"]
    assert await made.target_group_arns["generating"].future() == rule["actions"][0]["targetGroupArn"]
    assert rule["conditions"] == [{"pathPattern": {"values": ["/api/v1/answer"]}}]


async def test_waits_longer_than_the_longest_answer_and_shorter_than_the_gateway_keeps_connections():
    idle = (await render()).one("LoadBalancer").inputs["idleTimeout"]
    assert INFERENCE_TIMEOUT_SECONDS < idle == IDLE_SECONDS < Limits().keep_alive_seconds
    assert READY_PATH in READY_PATHS


async def test_takes_no_dubious_requests_and_writes_down_all_others():
    balancer = (await render()).one("LoadBalancer").inputs
    assert balancer["dropInvalidHeaderFields"] is True
    assert balancer["desyncMitigationMode"] == "strictest"
    assert balancer["enableWafFailOpen"] is False
    assert balancer["accessLogs"] == {"bucket": "the-log-bucket", "enabled": True, "prefix": "edge"}
    assert balancer["subnets"] == ["public-a", "public-b"]
    assert len(balancer["name"]) <= 32


@pytest.mark.parametrize("protection", [True, False])
async def test_is_protected_as_the_settings_say(protection):
    balancer = (await render("staging", protection=protection)).one("LoadBalancer").inputs
    assert balancer["enableDeletionProtection"] is protection


async def test_says_where_it_is():
    made = (await render()).made
    assert made.url == f"https://{DOMAIN}"
    assert await made.load_balancer_suffix.future()
    assert set(made.target_group_suffixes) == {"api", "generating"}


async def test_the_load_balancer_waits_for_the_networks_way_to_the_internet():
    order = [it.name for it in (await render()).resources]
    assert order.index("late-internet") < order.index("edge-load-balancer")
