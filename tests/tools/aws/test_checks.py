"""What an AWS stack presupposes, judged: a table of cases each."""

from __future__ import annotations

import pytest

from infra.instance_types import G_ON_DEMAND, G_SPOT
from infra.recipe import recipe
from infra.settings_reader import SettingsMistakes, settings_from
from tools.aws import checks
from tools.aws.checks import Need
from tools.aws.means import Identity

ROLE = Identity(account="123456789012", arn="arn:aws:sts::123456789012:assumed-role/deployer/me")
ROOT = Identity(account="123456789012", arn="arn:aws:iam::123456789012:root")


@pytest.mark.parametrize(
    ("identity", "aws", "verdict"),
    [
        (ROLE, {"account": "123456789012"}, "ok"),
        (ROLE, {}, "note"),
        (ROLE, {"account": "210987654321"}, "refused"),
        (ROOT, {"account": "123456789012"}, "refused"),
    ],
)
def test_the_principal_is_one_of_the_account_and_not_its_root(settings_with, identity, aws, verdict):
    assert checks.principal(identity, settings_with(aws=aws)).verdict == verdict


@pytest.mark.parametrize(
    ("status", "verdict"), [("opt-in-not-required", "ok"), ("opted-in", "ok"), ("not-opted-in", "refused")]
)
def test_a_region_has_to_be_enabled(settings_with, status, verdict):
    assert checks.region(settings_with(), status).verdict == verdict


def test_an_unknown_region_is_refused(settings_with):
    assert checks.region(settings_with(), None).verdict == "refused"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"edge": {"domain": "assistant.example.com", "zone": "example.com"}}, "edge.domain assistant.example.com, edge.zone"),
        ({"eks": {"deployerCidrs": ["203.0.113.0/24"]}}, "eks.deployerCidrs 203.0.113.0/24"),
        ({"eks": {"deployerCidrs": ["192.0.2.7/32"]}}, "eks.deployerCidrs 192.0.2.7/32"),
        ({"notifications": {"emails": ["me@example.org"]}}, "notifications.emails me@example.org"),
    ],
)
def test_values_of_the_documentation_are_refused_and_named(settings_with, changes, told):
    check = checks.examples(settings_with(**changes))
    assert (check.verdict, told in check.found) == ("refused", True), check


def test_values_of_ones_own_are_not(settings_with):
    assert checks.examples(settings_with(notifications={"emails": ["me@acme.dev"]})).verdict == "ok"


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        ("hf:owner/repo#a.gguf", "refused"),
        ("hf:owner/repo@" + "a" * 40 + "#a.gguf", "ok"),
    ],
)
def test_a_model_of_a_hub_is_pinned_by_its_revision(settings_with, source, verdict):
    pinned = {"sha256": "b" * 64} if "@" in source else {}
    check = checks.model(settings_with(model={"source": source, **pinned}), "prod")
    assert (check.verdict, check.advice) == (verdict, "make model-pin STACK=prod" if verdict == "refused" else "")


def test_the_small_model_that_comes_along_is_said_to_be_small(settings_with):
    check = checks.model(settings_with(), "prod")
    assert (check.found, check.verdict) == ("SmolLM2-135M-Instruct", "note")
    assert "make model-pin STACK=prod" in check.advice


def test_a_preview_shows_zeros_where_the_models_revision_and_digest_will_be(settings_with):
    wanted = recipe(settings_with(model={"source": "hf:owner/repo#a.gguf"}))
    assert (wanted.source.uri, wanted.source.sha256) == (f"hf:owner/repo@{'0' * 40}#a.gguf", "0" * 64)


def test_elsewhere_than_on_aws_an_unpinned_model_is_a_mistake_of_the_settings():
    with pytest.raises(SettingsMistakes, match="names no revision"):
        settings_from({"assistant:model": '{"source": "hf:owner/repo#a.gguf"}'}, "local")


OURS = ["ns-1.awsdns-01.org", "ns-2.awsdns-02.com"]


@pytest.mark.parametrize(
    ("served", "parent", "verdict"),
    [
        (OURS, ["NS-2.awsdns-02.com.", "ns-1.awsdns-01.org."], "ok"),
        (OURS, ["ns1.registrar.net"], "refused"),
        (OURS, [], "refused"),
        (OURS, None, "not checked"),
        (None, OURS, "refused"),
    ],
)
def test_a_zone_is_delegated_where_the_world_is_told_its_own_name_servers(served, parent, verdict):
    assert checks.zone("acme.dev", served, parent).verdict == verdict


def pool(**changes):
    return {"name": "l4", "instanceTypes": ["g6.xlarge"], **changes}


@pytest.mark.parametrize(
    ("pools", "needs"),
    [
        ([], {}),
        ([pool(minimum=1, maximum=3)], {G_ON_DEMAND: Need(4, 12)}),
        ([pool(minimum=1, maximum=2, instanceTypes=["g6.xlarge", "g6.4xlarge"])], {G_ON_DEMAND: Need(4, 32)}),
        ([pool(maximum=2, capacity="spot")], {G_SPOT: Need(0, 8)}),
        ([pool(maximum=2), pool(name="b", minimum=1, maximum=1)], {G_ON_DEMAND: Need(4, 12)}),
        ([pool(capacity="capacityBlock", capacityReservationId="cr-0a", maximum=1)], {}),
    ],
)
def test_pools_need_the_vcpus_of_their_types(settings_with, pools, needs):
    assert checks.gpu_needs(settings_with(gpuPools=pools).gpu_pools) == needs


@pytest.mark.parametrize(
    ("minimum", "device", "value", "verdict", "words"),
    [
        (0, "cpu", 8, "ok", ""),
        (0, "cpu", 0, "note", "comes up on CPU"),
        (0, "cpu", 4, "note", "fewer nodes"),
        (0, "cuda", 0, "refused", "inference.device cpu"),
        (0, "cuda", 4, "note", "fewer nodes"),
        (1, "cpu", 0, "refused", "minimum 0"),
        (1, "cpu", None, "not checked", ""),
    ],
)
def test_without_quota_it_comes_up_on_cpu_or_is_refused_and_says_how_to_ask(
    settings_with, minimum, device, value, verdict, words
):
    settings = settings_with(gpuPools=[pool(minimum=minimum, maximum=2)], inference={"device": device})
    (code, need), *_ = checks.gpu_needs(settings.gpu_pools).items()
    check = checks.gpu_quota(code, need, value, settings)
    assert (check.verdict, words in check.advice) == (verdict, True), check
    if check.advice:
        ask = f"request-service-quota-increase --service-code ec2 --quota-code {G_ON_DEMAND} --desired-value 8"
        assert ask in check.advice and "--region eu-central-1" in check.advice


@pytest.mark.parametrize(("used", "value", "verdict"), [(4, 5, "ok"), (5, 5, "refused"), (0, None, "not checked")])
def test_what_is_counted_has_to_have_room(used, value, verdict):
    check = checks.counted("VPCs", checks.VPCS, used, 1, value, "eu-central-1")
    assert check.verdict == verdict
    assert ("--desired-value 6" in check.advice) is (verdict == "refused")


@pytest.mark.parametrize(
    ("network", "count"),
    [
        ({"nat": "one", "zones": 3}, 1),
        ({"nat": "perZone", "zones": 3}, 3),
        ({"vpcId": "vpc-1", "privateSubnetIds": ["subnet-1", "subnet-2"], "publicSubnetIds": ["subnet-3", "subnet-4"]}, 0),
    ],
)
def test_nat_gateways_are_counted_by_the_settings(settings_with, network, count):
    assert checks.nat_gateways(settings_with(network=network)) == count


@pytest.mark.parametrize(
    ("status", "verdict"), [("STANDARD_SUPPORT", "ok"), ("EXTENDED_SUPPORT", "note"), ("UNSUPPORTED", "refused")]
)
def test_a_version_of_kubernetes_that_eks_does_not_support_is_refused(settings_with, status, verdict):
    settings = settings_with()
    assert checks.eks_version(settings, {settings.eks.version: status, "1.99": "STANDARD_SUPPORT"}).verdict == verdict
    assert checks.eks_version(settings, {"1.99": "STANDARD_SUPPORT"}).verdict == "refused"


def test_the_table_tells_each_check_and_below_it_what_to_do():
    found = [
        checks.Check(name="zone", found="delegated", verdict="ok"),
        checks.Check(name="EKS version", found="1.20", verdict="refused", advice="take 1.35"),
    ]
    lines = checks.table(found).splitlines()
    assert [line.split() for line in lines] == [
        ["zone", "ok", "delegated"],
        ["EKS", "version", "refused", "1.20"],
        ["->", "take", "1.35"],
    ]


@pytest.mark.parametrize(("value", "verdict"), [(5.0, "refused"), (16.0, "note"), (32.0, "ok"), (None, "not checked")])
def test_a_new_accounts_few_cpus_are_seen_before_a_cluster_is_made(settings_with, value, verdict):
    pool = settings_with().eks.system_pool  # three to six nodes
    check = checks.node_cpus(pool, 4, value, "eu-central-1")
    assert check.verdict == verdict and "12 to 24" in check.found
    if verdict in ("refused", "note"):
        assert "--service-code ec2 --quota-code L-1216C47A --desired-value 24 --region eu-central-1" in check.advice
