"""Behind a load balancer that somebody else owns: its target groups get the pods of the gateway, which still ends TLS."""

from __future__ import annotations

from assistant_rendering import TARGET_GROUPS, on_aws
from rendering import environment, registered, settings_of

from infra.kubernetes.names import GATEWAY_PORT
from infra.kubernetes.target_group import READINESS_GATES, TargetGroups


async def test_every_target_group_is_bound_to_the_gateways_service() -> None:
    rendered = await on_aws()
    bindings = {item["metadata"]["name"]: item for item in rendered.kinds("TargetGroupBinding")}
    assert set(bindings) == {"gateway-api", "gateway-generating"}
    service = rendered.find("Service", "gateway")
    (port,) = service["spec"]["ports"]
    assert service["spec"]["type"] == "ClusterIP"
    for group, arn in TARGET_GROUPS.items():
        item = bindings[f"gateway-{group}"]
        assert item["apiVersion"] == "elbv2.k8s.aws/v1beta1"
        assert item["metadata"]["namespace"] == service["metadata"]["namespace"]
        assert item["spec"]["serviceRef"] == {"name": "gateway", "port": port["port"]}
        assert (item["spec"]["targetGroupARN"], item["spec"]["targetType"]) == (arn, "ip")


async def test_the_load_balancers_group_and_nobody_elses_is_let_in_to_the_pods_port() -> None:
    for item in (await on_aws()).kinds("TargetGroupBinding"):
        assert item["spec"]["networking"] == {
            "ingress": [
                {"from": [{"securityGroup": {"groupID": "sg-1"}}], "ports": [{"protocol": "TCP", "port": GATEWAY_PORT}]}
            ]
        }
    by_others = await on_aws(target_groups=TargetGroups(arns=TARGET_GROUPS))
    assert len(by_others.kinds("TargetGroupBinding")) == 2
    assert not [item for item in by_others.kinds("TargetGroupBinding") if "networking" in item["spec"]]


async def test_the_gateway_speaks_tls_to_the_load_balancer_too() -> None:
    rendered = await on_aws()
    assert environment(rendered.pods()["gateway"])["TLS_CERTIFICATE"]
    assert rendered.find("Service", "gateway")["spec"]["ports"][0]["appProtocol"] == "https"


async def test_pods_are_ready_when_the_load_balancer_has_them_if_the_webhook_is_there_to_say_so() -> None:
    def labels_of(rendered: object) -> dict[str, str]:
        found: dict[str, str] = rendered.find("Namespace", "assistant")["metadata"]["labels"]  # type: ignore[attr-defined]
        return found

    gated = labels_of(await on_aws())
    assert gated.items() >= READINESS_GATES.items()
    without = labels_of(await on_aws(target_groups=TargetGroups(arns=TARGET_GROUPS, readiness_gates=False)))
    assert gated.keys() - without.keys() == READINESS_GATES.keys()
    assert without["pod-security.kubernetes.io/enforce"] == gated["pod-security.kubernetes.io/enforce"] == "restricted"


async def test_a_cluster_without_such_a_load_balancer_has_no_such_objects() -> None:
    for rendered in (await registered(settings_of()), await on_aws(target_groups=None)):
        assert not rendered.kinds("TargetGroupBinding")
        assert not READINESS_GATES.keys() & rendered.find("Namespace", "assistant")["metadata"]["labels"].keys()


async def test_each_pod_signs_a_certificate_of_its_own_where_no_key_may_pass_through_the_stack() -> None:
    rendered = await on_aws(certificate=None, self_signed=True)
    pod = rendered.pods()["gateway"]
    assert environment(pod)["TLS_SELF_SIGNED"] == "true"
    assert not {"TLS_CERTIFICATE", "TLS_PRIVATE_KEY"} & environment(pod).keys()
    assert "certificate" not in {volume["name"] for volume in pod["spec"]["volumes"]}
    assert not [item for item in rendered.kinds("Secret") if item.get("type") == "kubernetes.io/tls"]
