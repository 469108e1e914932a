"""An `up` looks first: against AWS' APIs on loopback."""

from __future__ import annotations

import pytest

from tools.aws import delegation, preflight
from tools.aws.means import Identity, Means
from tools.stack.engine import EngineError

ROLE = Identity(account="123456789012", arn="arn:aws:sts::123456789012:assumed-role/deployer/me")


@pytest.fixture
def zone(aws, monkeypatch):
    """A hosted zone that the world is told of, in an account that has scaled before."""
    aws("iam").create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    made = aws("route53").create_hosted_zone(Name="acme.dev", CallerReference="1")
    monkeypatch.setattr(delegation, "name_servers", lambda name: made["DelegationSet"]["NameServers"])
    return made


def verdicts(found):
    return {check.name: check.verdict for check in found}


def test_an_account_that_has_all_passes_and_what_it_does_not_tell_is_said(zone, settings_with):
    found = verdicts(preflight.dynamic("prod", settings_with(aws={"account": "123456789012"}), ROLE))
    assert {name: found[name] for name in ("principal", "region", "zone", "VPCs", "addresses", "NAT gateways")} == {
        "principal": "ok",
        "region": "ok",
        "zone": "ok",
        "VPCs": "ok",
        "addresses": "not checked",  # the stand-in knows VPC's quotas alone
        "NAT gateways": "ok",
    }


def test_a_zone_that_is_not_there_is_refused_with_the_command_that_makes_it(account, settings_with, monkeypatch):
    monkeypatch.setattr(delegation, "name_servers", lambda name: None)
    found = {check.name: check for check in preflight.dynamic("prod", settings_with(), ROLE)}
    assert found["zone"].verdict == "refused" and "create-hosted-zone --name acme.dev" in found["zone"].advice


def test_a_private_zone_is_none(aws, settings_with, monkeypatch):
    monkeypatch.setattr(delegation, "name_servers", lambda name: None)
    vpc = aws("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    aws("route53").create_hosted_zone(
        Name="acme.dev",
        CallerReference="1",
        VPC={"VPCRegion": "eu-central-1", "VPCId": vpc},
        HostedZoneConfig={"PrivateZone": True},
    )
    assert verdicts(preflight.dynamic("prod", settings_with(), ROLE))["zone"] == "refused"


def test_too_many_vpcs_are_refused_unless_the_stacks_own_stands(zone, aws, settings_with):
    for number in range(4):
        aws("ec2").create_vpc(CidrBlock=f"10.{number}.0.0/16")
    assert verdicts(preflight.dynamic("prod", settings_with(), ROLE))["VPCs"] == "refused"
    tags = [{"Key": "Application", "Value": "assistant"}, {"Key": "Environment", "Value": "prod"}]
    aws("ec2").create_tags(Resources=[aws("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]], Tags=tags)
    assert "VPCs" not in verdicts(preflight.dynamic("prod", settings_with(), ROLE))


def test_quotas_of_gpus_are_asked_only_where_there_are_pools(zone, settings_with):
    pools = [{"name": "l4", "instanceTypes": ["g6.xlarge"]}]
    assert "quota Running On-Demand G and VT instances" in verdicts(
        preflight.dynamic("prod", settings_with(gpuPools=pools), ROLE)
    )
    assert not any("quota" in name for name in verdicts(preflight.dynamic("prod", settings_with(), ROLE)))


def test_what_a_platform_makes_has_to_be_entered_before_anything_waits_for_it(zone, aws, settings_with, monkeypatch):
    settings = settings_with(platforms={"slack": {}})
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-canary")
    found = {check.name: check for check in preflight.dynamic("prod", settings, ROLE)}["platforms' secrets"]
    assert (found.verdict, found.found) == ("refused", "no slack_signing_secret")
    assert "make connect PLATFORM=slack STACK=prod" in found.advice and "SLACK_SIGNING_SECRET" in found.advice
    # Where it is kept already, nobody needs to have it here.
    aws("secretsmanager").create_secret(Name="assistant/prod/slack_signing_secret", SecretString="kept")
    assert verdicts(preflight.dynamic("prod", settings, ROLE))["platforms' secrets"] == "ok"
    assert "platforms' secrets" not in verdicts(preflight.dynamic("prod", settings_with(), ROLE))


def test_the_nodes_cpus_are_asked_for_on_eks(zone, aws, settings_with, monkeypatch):
    monkeypatch.setattr(preflight, "_quota", lambda _quotas, _service, code: 5.0 if code == "L-1216C47A" else None)
    assert verdicts(preflight.dynamic("prod", settings_with(), ROLE))["CPUs of nodes"] == "refused"
    assert "CPUs of nodes" not in verdicts(preflight.dynamic("serverless", settings_with("serverless"), ROLE))


def test_an_up_with_example_values_is_refused_and_a_preview_is_told(make_engine, capsys):
    engine = make_engine(edge={"domain": "assistant.example.com", "zone": "example.com"})
    with pytest.raises(
        EngineError, match=r"Nothing was changed: example values is to be mended first \(make preflight STACK=prod"
    ):
        preflight.required(engine, engine.settings(), Means())
    assert "refused" in capsys.readouterr().out
    preflight.warn("prod", engine.settings())
    assert "an up is refused for its example values" in capsys.readouterr().err


def test_the_cluster_is_signed_in_to_by_a_program_that_has_to_be_there(zone, settings_with, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert verdicts(preflight.dynamic("prod", settings_with(), ROLE))["program aws"] == "refused"
    assert "program aws" not in verdicts(preflight.dynamic("serverless", settings_with("serverless"), ROLE))


def test_the_role_that_the_key_of_the_volumes_names_has_to_be_there(zone, aws, settings_with):
    assert verdicts(preflight.dynamic("prod", settings_with(), ROLE))["scaling role"] == "ok"
    aws("iam").delete_role(RoleName="AWSServiceRoleForAutoScaling")
    found = {check.name: check for check in preflight.dynamic("prod", settings_with(), ROLE)}
    assert found["scaling role"].verdict == "refused"
    assert "create-service-linked-role --aws-service-name autoscaling" in found["scaling role"].advice
    mine = {"arn": "arn:aws:kms:eu-central-1:123456789012:key/0000"}
    assert "scaling role" not in verdicts(preflight.dynamic("prod", settings_with(keys=mine), ROLE))
    assert "scaling role" not in verdicts(preflight.dynamic("serverless", settings_with("serverless"), ROLE))


def test_the_command_ends_badly_where_an_up_would_be_refused(zone, make_engine, capsys, monkeypatch):
    monkeypatch.setattr(preflight.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert preflight.run(make_engine()) == 0
    assert preflight.run(make_engine(aws={"account": "210987654321"})) == 1
    assert "make up STACK=prod is refused until principal is mended" in capsys.readouterr().err


def test_without_credentials_the_command_says_so(no_account, make_engine, capsys):
    assert preflight.run(make_engine()) == 1
    assert "none answer" in capsys.readouterr().out


def test_an_up_does_not_send_pods_to_an_emulator_unless_all_is_played(make_engine, capsys):
    engine = make_engine(aws={"endpointUrl": "http://localhost:5000"})
    with pytest.raises(EngineError, match=r"aws.endpointUrl of stack prod is http://localhost:5000.*Nothing was changed"):
        preflight.required(engine, engine.settings(), Means())
    preflight.required(engine, engine.settings(), Means(standins=True))
    assert "Preflight" in capsys.readouterr().out
