"""AWS Load Balancer Controller: it enters pods into our target groups, and can do nothing else."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from aws_rendering import Rendered, aws_settings, render_component

from infra.aws.context import AwsContext
from infra.kubernetes import load_balancer_controller
from infra.kubernetes.load_balancer_controller import LoadBalancerController, LoadBalancerControllerArgs
from infra.kubernetes.target_group import binding
from infra.settings import Settings

GROUPS = {"api": "arn:aws:tg/api", "generating": "arn:aws:tg/generating"}


class IssuedCertificate:
    """In place of the dynamic resource, which mocks would leave without outputs."""

    def __init__(self, _name: str, *, hosts: list[str], opts: Any, **_days: int) -> None:
        import pulumi

        self.hosts = hosts
        self.certificate, self.key = pulumi.Output.from_input("CERT"), pulumi.Output.from_input("KEY")
        self.fingerprint, self.ca_certificate = pulumi.Output.from_input("f1"), pulumi.Output.from_input("CA")


@pytest.fixture(autouse=True)
def certificate(monkeypatch):
    monkeypatch.setattr(load_balancer_controller, "Certificate", IssuedCertificate)


async def rendered(settings: Settings | None = None) -> Rendered:
    def make(context: AwsContext) -> LoadBalancerController:
        args = LoadBalancerControllerArgs(
            context=context, cluster="c", cluster_name="c", vpc_id="vpc-1", target_group_arns=GROUPS
        )
        return LoadBalancerController("controller", args)

    return await render_component(make, settings)


async def test_it_may_enter_pods_into_these_target_groups_and_change_nothing_else():
    statements = json.loads((await rendered()).one("RolePolicy").inputs["policy"])["Statement"]
    changing = [it for it in statements if not all(":Describe" in action for action in it["Action"])]
    (only,) = changing
    assert set(only["Action"]) == {"elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"}
    assert only["Resource"] == list(GROUPS.values())


async def test_its_other_controllers_find_nothing_to_do():
    found = await rendered()
    (container,) = found.one("Deployment").inputs["spec"]["template"]["spec"]["containers"]
    flags = dict(flag.split("=", 1) for flag in container["args"])
    features = flags["--feature-gates"].split(",")
    assert {"EnableServiceController=false", "ALBGatewayAPI=false", "NLBGatewayAPI=false"} <= set(features)
    assert flags["--ingress-class"] == "assistant-none"
    assert flags["--enable-manage-backend-security-group-rules"] == "false"
    assert (flags["--aws-vpc-id"], flags["--aws-region"]) == ("vpc-1", "eu-central-1")
    rules = found.one("ClusterRole").inputs["rules"]
    changed = {
        resource for rule in rules if {"patch", "update", "create"} & set(rule["verbs"]) for resource in rule["resources"]
    }
    assert changed == {"events", "pods/status", "targetgroupbindings", "targetgroupbindings/status"}


async def test_pods_get_their_gate_from_a_webhook_that_the_api_server_trusts_and_can_miss():
    found = await rendered()
    (webhook,) = found.one("MutatingWebhookConfiguration").inputs["webhooks"]
    assert webhook["failurePolicy"] == "Ignore"
    assert base64.b64decode(webhook["clientConfig"]["caBundle"]) == b"CA"
    (expression,) = webhook["namespaceSelector"]["matchExpressions"]
    assert (expression["key"], expression["values"]) == ("elbv2.k8s.aws/pod-readiness-gate-inject", ["enabled"])
    service = found.one("kubernetes:core/v1:Service").inputs
    name = service["metadata"]["name"]
    assert webhook["clientConfig"]["service"]["name"] == name
    pod = found.one("Deployment").inputs["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (volume,) = pod["spec"]["volumes"]
    assert volume["secret"]["secretName"] == found.one("kubernetes:core/v1:Secret").inputs["metadata"]["name"]


async def test_a_binding_waits_for_the_controller_and_the_controller_for_its_kinds_and_its_role():
    found = await rendered()
    order = [it.type.rsplit(":", 1)[-1] for it in found.resources]
    for earlier in ("CustomResourceDefinition", "PodIdentityAssociation", "RolePolicy", "ClusterRoleBinding", "Secret"):
        assert order.index(earlier) < order.index("Deployment")
    assert len(found.made.ready) == 2


async def test_the_api_server_is_told_what_a_binding_looks_like():
    kinds = {it.inputs["metadata"]["name"]: it.inputs["spec"] for it in (await rendered()).of("CustomResourceDefinition")}
    assert set(kinds) == {"targetgroupbindings.elbv2.k8s.aws", "ingressclassparams.elbv2.k8s.aws"}
    bindings = kinds["targetgroupbindings.elbv2.k8s.aws"]
    assert (bindings["names"]["kind"], bindings["scope"]) == ("TargetGroupBinding", "Namespaced")
    (version,) = bindings["versions"]
    assert version["name"] == "v1beta1"
    assert version["subresources"] == {"status": {}}
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert spec["required"] == ["serviceRef"]
    assert spec["properties"]["serviceRef"]["properties"]["port"]["x-kubernetes-int-or-string"] is True
    # All that our own bindings say is in it, or the API server would drop it.
    ours = binding("arn", "sg-1")
    assert ours.keys() <= spec["properties"].keys()
    ingress = spec["properties"]["networking"]["properties"]["ingress"]["items"]["properties"]
    assert ours["networking"]["ingress"][0].keys() == ingress.keys()
    (params,) = kinds["ingressclassparams.elbv2.k8s.aws"]["versions"]
    assert params["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-preserve-unknown-fields"] is True


async def test_in_china_nothing_names_another_partition():
    found = await rendered(aws_settings("prod", aws={"region": "cn-north-1"}))
    texts = json.dumps([it.inputs for it in found.resources if "tg/" not in json.dumps(it.inputs, default=str)], default=str)
    assert "arn:aws:" not in texts


async def test_its_role_is_associated_without_waiting_for_nodes():
    """The webhook hears of it seconds later, and a pod that is made until then never gets credentials."""
    made = (await rendered()).made
    assert "LoadBalancerController" in (await made.urn.future())
    assert "LoadBalancerController$" not in (await made.association.urn.future())
