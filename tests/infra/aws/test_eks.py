"""The control plane: who reaches it, who administers it, what it keeps, and a kubeconfig that changes nothing by itself."""

from __future__ import annotations

import asyncio
import datetime
import json
from types import SimpleNamespace
from typing import Any

import pulumi
import pulumi_kubernetes
import pytest
from aws_rendering import ACCOUNT, Rendered, aws_settings, render_component
from pulumi.runtime.settings import SETTINGS

from infra.aws import eks
from infra.aws.context import AwsContext
from infra.aws.eks import LOG_TYPES, EksCluster, EksClusterArgs, kubeconfig_text
from infra.errors import DeploymentError
from infra.settings import Settings

DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/deployer"
OTHER = f"arn:aws:iam::{ACCOUNT}:role/platform-team"


class Keys:
    def arn(self, purpose: str) -> pulumi.Output[str]:
        return pulumi.Output.from_input(f"key-{purpose}")


def network() -> Any:
    return SimpleNamespace(private_subnet_ids=["subnet-1", "subnet-2"], public_subnet_ids=["subnet-9"], vpc_id="vpc-1")


def make(context: AwsContext, refused_on: datetime.date | None = None) -> EksCluster:
    keys: Any = Keys()
    return EksCluster("eks", EksClusterArgs(context=context, network=network(), keys=keys, refused_on=refused_on))


async def rendered(settings: Settings | None = None, **known: Any) -> Rendered:
    """``known``: outputs of the component, resolved into ``made``."""

    def with_outputs(context: AwsContext) -> dict[str, Any]:
        cluster = make(context, **known)
        seen: dict[str, Any] = {"cluster": cluster}
        for name in ("kubeconfig", "security_group_id", "endpoint", "cluster_name", "arn"):
            getattr(cluster, name).apply(lambda value, name=name: seen.update({name: value}))
        return seen

    return await render_component(with_outputs, settings)


async def refused(settings: Settings, words: str, **known: Any) -> None:
    """What was registered before the refusal is awaited as well: the next test has another event loop.

    The SDK leaves futures behind that nobody asks for their exception, which is the refusal. Collected in another test, each
    would be told by the loop, at length, in the middle of whatever runs there; CPython 3.11 then fails in what parses Python.
    """
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    with pytest.raises(DeploymentError, match=words):
        await rendered(settings, **known)
    manager = SETTINGS.rpc_manager
    await asyncio.gather(*manager.rpcs, *SETTINGS.outputs, return_exceptions=True)
    manager.rpcs.clear()
    SETTINGS.outputs.clear()
    manager.unhandled_exception = None


async def test_the_api_server_is_open_to_the_vpc_and_to_deployers_alone():
    config = (await rendered()).one("Cluster").inputs["vpcConfig"]
    assert config["endpointPrivateAccess"] is True
    assert config["endpointPublicAccess"] is True
    assert config["publicAccessCidrs"] == ["203.0.113.0/24"]
    assert config["subnetIds"] == ["subnet-1", "subnet-2"]

    private = (await rendered(aws_settings("prod", eks={"endpoint": "private"}))).one("Cluster").inputs["vpcConfig"]
    assert (private["endpointPrivateAccess"], private["endpointPublicAccess"]) == (True, False)
    assert "publicAccessCidrs" not in private


async def test_every_log_type_goes_into_a_group_that_was_there_before_encrypted_and_retained():
    found = await rendered()
    assert found.one("Cluster").inputs["enabledClusterLogTypes"] == list(LOG_TYPES)
    assert len(LOG_TYPES) == 5
    group = found.one("LogGroup").inputs
    assert group["name"] == "/aws/eks/assistant-prod/cluster"
    assert (group["kmsKeyId"], group["retentionInDays"]) == ("key-logs", 400)
    order = [it.type for it in found.resources]
    assert order.index("aws:cloudwatch/logGroup:LogGroup") < order.index("aws:eks/cluster:Cluster")


async def test_secrets_are_encrypted_with_the_clusters_own_key_which_its_role_may_use():
    found = await rendered()
    assert found.one("Cluster").inputs["encryptionConfig"] == {"provider": {"keyArn": "key-cluster"}, "resources": ["secrets"]}
    (statement,) = json.loads(found.one("RolePolicy").inputs["policy"])["Statement"]
    assert statement["Resource"] == ["key-cluster"]
    assert "kms:Decrypt" in statement["Action"]
    attached = [it.inputs["policyArn"] for it in found.of("RolePolicyAttachment")]
    assert attached == ["arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"]


@pytest.mark.parametrize("protection", [True, False])
async def test_a_protected_cluster_refuses_to_be_deleted(protection):
    found = (await rendered(aws_settings("prod", protection=json.dumps(protection)))).one("Cluster").inputs
    assert found["deletionProtection"] is protection
    assert found["upgradePolicy"] == {"supportType": "STANDARD"}
    assert found["bootstrapSelfManagedAddons"] is False


async def test_whoever_deploys_administers_where_nobody_is_named():
    found = await rendered()
    access = found.one("Cluster").inputs["accessConfig"]
    assert access == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    assert [it.inputs["principalArn"] for it in found.of("AccessEntry")] == [DEPLOYER]
    policy = found.one("AccessPolicyAssociation").inputs
    assert policy["policyArn"] == "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    assert policy["accessScope"] == {"type": "cluster"}


async def test_named_administrators_take_the_place_of_whoever_deploys_who_must_be_one():
    settings = aws_settings("prod", eks={"deployerCidrs": ["203.0.113.0/24"], "administrators": [OTHER, DEPLOYER]})
    found = await rendered(settings)
    # In whatever order the engine hears of them.
    assert {it.inputs["principalArn"] for it in found.of("AccessEntry")} == {OTHER, DEPLOYER}
    assert len(found.of("AccessPolicyAssociation")) == 2

    locked_out = aws_settings("prod", eks={"deployerCidrs": ["203.0.113.0/24"], "administrators": [OTHER]})
    await refused(locked_out, f"You deploy as {DEPLOYER}, which is not among")


def test_whoever_previews_need_not_be_who_deploys_and_is_told(monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    monkeypatch.setattr(eks.pulumi.runtime, "is_dry_run", lambda: True)
    monkeypatch.setattr(eks.pulumi.log, "warn", told.append)
    assert eks._among(DEPLOYER, (OTHER,)) == DEPLOYER
    assert f"You deploy as {DEPLOYER}, which is not among" in told[0]


async def test_the_kubeconfig_holds_no_credentials_and_is_the_same_text_each_time():
    first, second = (await rendered()).made, (await rendered()).made
    assert first["kubeconfig"] == second["kubeconfig"]
    document = json.loads(first["kubeconfig"])
    (user,) = document["users"]
    assert user["user"].keys() == {"exec"}
    assert user["user"]["exec"]["command"] == "aws"
    assert user["user"]["exec"]["args"] == [
        *("eks", "get-token", "--cluster-name", "assistant-prod", "--region", "eu-central-1", "--output", "json")
    ]
    (cluster,) = document["clusters"]
    assert cluster["cluster"] == {"server": "https://eks-cluster.example", "certificate-authority-data": "T1VSUw=="}


def test_a_profile_signs_in_where_one_is_set():
    text = kubeconfig_text(cluster_name="c", endpoint="https://e", certificate_authority="Q0E=", region="r", profile="work")
    (user,) = json.loads(text)["users"]
    assert user["user"]["exec"]["args"][-2:] == ["--profile", "work"]


async def test_a_cluster_of_yours_is_looked_up_and_nothing_is_made():
    found = await rendered(aws_settings("prod", eks={"clusterName": "yours"}))
    assert not found.of("Cluster")
    assert not found.of("AccessEntry")
    assert not found.of("LogGroup")
    assert found.made["cluster"].ours is False
    assert found.made["security_group_id"] == "sg-yours"
    assert "WU9VUlM=" in found.made["kubeconfig"]
    assert found.made["arn"] == f"arn:aws:eks:eu-central-1:{ACCOUNT}:cluster/yours"


async def test_the_providers_identity_is_the_clusters_arn_whatever_its_endpoint(monkeypatch):
    asked: list[dict[str, Any]] = []
    identity: list[str] = []
    monkeypatch.setattr(pulumi_kubernetes, "Provider", lambda name, **arguments: asked.append({"name": name, **arguments}))

    def with_providers(context: AwsContext) -> None:
        cluster = make(context)
        cluster.kubernetes_provider("kubernetes")
        cluster.kubernetes_provider("leaving", delete_unreachable=True)
        asked[0]["cluster_identifier"].apply(identity.append)

    await render_component(with_providers)
    assert identity == [f"arn:aws:eks:eu-central-1:{ACCOUNT}:cluster/assistant-prod"]
    first, second = asked
    assert (first["delete_unreachable"], second["delete_unreachable"]) == (False, True)
    assert first["enable_server_side_apply"] and first["enable_config_map_mutable"] and first["enable_secret_mutable"]
    # Nothing is put into the cluster before there is somebody who may.
    assert len(first["opts"].depends_on) == 2


async def test_what_is_known_before_the_cluster_is_there_names_it_in_every_partition():
    found = await rendered(aws_settings("prod", aws={"region": "cn-north-1"}))
    assert found.made["arn"] == f"arn:aws-cn:eks:cn-north-1:{ACCOUNT}:cluster/assistant-prod"
    inputs = found.one("Cluster").inputs
    assert "zonalShiftConfig" not in inputs
    texts = json.dumps([it.inputs for it in found.resources], default=str)
    assert "arn:aws:" not in texts
    assert (await rendered()).one("Cluster").inputs["zonalShiftConfig"] == {"enabled": True}


async def test_a_version_past_its_support_is_refused_before_anything_is_made():
    settings = aws_settings("prod", eks={"deployerCidrs": ["203.0.113.0/24"], "version": "1.34"})
    await refused(settings, "ended on 2026-12-02", refused_on=datetime.date(2026, 12, 2))
    await refused(aws_settings("prod", eks={"deployerCidrs": ["203.0.113.0/24"], "version": "1.20"}), "does not know")


async def test_a_version_near_or_past_its_end_is_said_aloud_and_a_destroy_still_runs(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, _resource=None: said.append(text))

    monkeypatch.setattr(eks, "today", lambda: datetime.date(2027, 3, 1))
    await rendered()
    monkeypatch.setattr(eks, "today", lambda: datetime.date(2030, 1, 1))
    assert (await rendered()).of("Cluster")
    near, past = said
    assert "ends on 2027-03-27, in 26 days" in near
    assert "ended on 2027-03-27" in past
