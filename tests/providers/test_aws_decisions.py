"""The AWS stand-in's decisions, on the installed SDK and on tables of cases."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from pathlib import Path

import pytest
from aws import checks, conflicts, coverage, difference, failing, functions, naming, networks, policies, synthesis
from aws.identifiers import identify
from aws.life import Life, RefusedError
from aws.partitions import Region, UnknownRegionError
from aws.sdk import Sdk, UnknownTokenError
from aws.settings import Circumstances, SettingsError, settings
from aws.world import Record, World, orphans
from plugin.values import UNKNOWN, secret

FRANKFURT = Region(name="eu-central-1")
BEIJING = Region(name="cn-north-1")
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "pods.eks.amazonaws.com"}}],
    }
)


@pytest.fixture(scope="session")
def sdk() -> Sdk:
    return Sdk()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world.json")


@pytest.fixture
def live(sdk: Sdk, world: World):
    """A resource's life in the test's own world."""

    def make(token: str, name: str = "front", *, region: str = "eu-central-1", failures: tuple[failing.Rule, ...] = ()) -> Life:
        known = settings({"region": region, "defaultTags": '{"tags":{"stack":"dev"}}'}, {})
        around = Circumstances(world=world, failures=failures, overrides={})
        urn = f"urn:pulumi:dev::trial::{token}::{name}"
        return Life(sdk=sdk, resource=sdk.resource(token), urn=urn, settings=known, circumstances=around)

    return make


def made_up(sdk: Sdk, token: str, inputs: dict, region: Region = FRANKFURT, name: str = "front") -> dict:
    resource = sdk.resource(token)
    identity = identify(resource, inputs, region, f"urn:pulumi:dev::trial::{token}::{name}")
    setting = synthesis.setting_for(resource, identity, region, inputs, {}, lambda _: None)
    return {"id": identity.id, **synthesis.outputs(sdk, resource, setting)}


def reasons(sdk: Sdk, token: str, inputs: dict) -> dict[str, str]:
    return {item.property: item.reason for item in checks.failures(sdk, sdk.resource(token), inputs)}


# --- what the SDK says


def test_every_kind_of_the_sdk_can_be_read(sdk):
    tokens = re.findall(r'"(aws:\w+/\w+:\w+)": "', sdk._registry)
    assert len(tokens) > 1500
    for token in tokens[::40]:
        resource = sdk.resource(token)
        assert resource.outputs.keys() >= {name for name, item in resource.inputs.items() if item.required}


def test_required_inputs_types_and_nested_types_are_the_sdks(sdk):
    cluster = sdk.resource("aws:eks/cluster:Cluster")
    assert {name for name, item in cluster.inputs.items() if item.required} == {"roleArn", "vpcConfig"}
    nested = sdk.nested(cluster.inputs["vpcConfig"].type.reference)
    assert nested["subnetIds"].type.kind == "list"
    assert nested["endpointPublicAccess"].type.kind == "bool"
    assert "securityGroupId" in sdk.resource("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
    assert sdk.resource("aws:s3/bucketVersioning:BucketVersioning").inputs["versioningConfiguration"].required
    with pytest.raises(UnknownTokenError):
        sdk.resource("aws:s3/bucket:Buckett")


# --- what is made up


@pytest.mark.parametrize(
    ("token", "inputs", "number", "arn"),
    [
        (
            "aws:ec2/vpc:Vpc",
            {"cidrBlock": "10.0.0.0/16"},
            r"vpc-[0-9a-f]{17}",
            r"arn:aws:ec2:eu-central-1:123456789012:vpc/vpc-\w+",
        ),
        ("aws:s3/bucket:Bucket", {"bucket": "models"}, "models", "arn:aws:s3:::models"),
        ("aws:iam/role:Role", {"name": "node", "path": "/a/"}, "node", "arn:aws:iam::123456789012:role/a/node"),
        (
            "aws:lb/targetGroup:TargetGroup",
            {"name": "web"},
            r"arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/web/[0-9a-f]{16}",
            r"arn:.*",
        ),
        (
            "aws:secretsmanager/secret:Secret",
            {"name": "assistant/dev/key"},
            r"arn:aws:secretsmanager:eu-central-1:123456789012:secret:assistant/dev/key-\w{6}",
            r"arn:.*",
        ),
        (
            "aws:cloudwatch/logGroup:LogGroup",
            {"name": "/a/b"},
            "/a/b",
            "arn:aws:logs:eu-central-1:123456789012:log-group:/a/b",
        ),
        (
            "aws:memorydb/cluster:Cluster",
            {"name": "queue"},
            "queue",
            "arn:aws:memorydb:eu-central-1:123456789012:cluster/queue",
        ),
        (
            "aws:wafv2/webAcl:WebAcl",
            {"name": "edge", "scope": "REGIONAL"},
            r"[0-9a-f-]{36}",
            r"arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/edge/[0-9a-f-]{36}",
        ),
        (
            "aws:eks/nodeGroup:NodeGroup",
            {"clusterName": "c", "nodeGroupName": "gpu"},
            "c:gpu",
            r"arn:aws:eks:eu-central-1:123456789012:nodegroup/c/gpu/[0-9a-f-]{36}",
        ),
    ],
)
def test_ids_and_arns_have_the_form_of_their_kind(sdk, token, inputs, number, arn):
    found = made_up(sdk, token, inputs)
    assert re.fullmatch(number, found["id"])
    assert re.fullmatch(arn, found["arn"])


def test_the_same_resource_is_made_up_the_same_and_another_one_is_not(sdk):
    one = made_up(sdk, "aws:ec2/eip:Eip", {"domain": "vpc"})
    assert one == made_up(sdk, "aws:ec2/eip:Eip", {"domain": "vpc"})
    assert one["id"] != made_up(sdk, "aws:ec2/eip:Eip", {"domain": "vpc"}, name="other")["id"]
    assert one["allocationId"] == one["id"]
    assert ipaddress.ip_address(one["publicIp"]) in ipaddress.ip_network("203.0.113.0/24")


def test_what_only_awss_answer_has_is_filled_in_within_what_is_given(sdk):
    found = made_up(sdk, "aws:eks/cluster:Cluster", {"name": "c", "roleArn": "r", "vpcConfig": {"subnetIds": ["subnet-1"]}})
    assert found["vpcConfig"]["clusterSecurityGroupId"].startswith("sg-")
    assert found["vpcConfig"]["subnetIds"] == ["subnet-1"]
    assert "-----BEGIN CERTIFICATE-----" in base64.b64decode(found["certificateAuthority"]["data"]).decode()
    assert found["identities"][0]["oidcs"][0]["issuer"].startswith("https://oidc.eks.eu-central-1.")
    assert found["endpoint"].startswith("https://")


def test_a_certificate_has_a_record_for_each_of_its_names(sdk):
    inputs = {"domainName": "example.com", "subjectAlternativeNames": ["*.example.com", "b.example.com"]}
    options = made_up(sdk, "aws:acm/certificate:Certificate", inputs)["domainValidationOptions"]
    assert [item["domainName"] for item in options] == ["example.com", "*.example.com", "b.example.com"]
    assert options[0]["resourceRecordName"] == options[1]["resourceRecordName"] != options[2]["resourceRecordName"]


def test_alarms_find_the_suffix_of_what_they_watch(sdk):
    balancer = made_up(sdk, "aws:lb/loadBalancer:LoadBalancer", {"name": "edge", "loadBalancerType": "application"})
    assert re.fullmatch(r"app/edge/[0-9a-f]{16}", balancer["arnSuffix"])
    listener = made_up(sdk, "aws:lb/listener:Listener", {"loadBalancerArn": balancer["arn"], "port": 443})
    assert f":listener/{balancer['arnSuffix']}/" in listener["arn"]
    group = made_up(sdk, "aws:lb/targetGroup:TargetGroup", {"name": "web"})
    assert re.fullmatch(r"targetgroup/web/[0-9a-f]{16}", group["arnSuffix"])


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        ("aws:lb/loadBalancer:LoadBalancer", {"name": "edge"}),
        ("aws:ecr/repository:Repository", {"name": "assistant"}),
        ("aws:memorydb/cluster:Cluster", {"name": "queue"}),
        ("aws:sqs/queue:Queue", {"name": "dead"}),
        ("aws:eks/cluster:Cluster", {"name": "c", "roleArn": "r", "vpcConfig": {"subnetIds": ["s"]}}),
    ],
)
def test_in_china_everything_is_in_its_partition_and_under_its_suffix(sdk, token, inputs):
    text = json.dumps(made_up(sdk, token, inputs, BEIJING))
    assert "arn:aws:" not in text
    assert "arn:aws-cn:" in text
    assert not re.search(r"amazonaws\.com(?!\.cn)", text)


def test_regions_know_their_place():
    assert BEIJING.partition == "aws-cn"
    assert Region(name="us-gov-west-1").partition == "aws-us-gov"
    assert FRANKFURT.zones == ("eu-central-1a", "eu-central-1b", "eu-central-1c")
    assert FRANKFURT.zone_ids[0] == "euc1-az1"
    with pytest.raises(UnknownRegionError, match="Invalid AWS Region: europe"):
        Region(name="europe")


# --- what is refused


@pytest.mark.parametrize(
    ("token", "inputs", "where", "reason"),
    [
        ("aws:eks/cluster:Cluster", {"vpcConfig": {"subnetIds": []}}, "roleArn", 'Missing required argument "roleArn"'),
        ("aws:eks/cluster:Cluster", {"roleArn": "r", "vpcConfig": {}}, "vpcConfig.subnetIds", "Missing required argument"),
        ("aws:s3/bucket:Bucket", {"buckett": "a"}, "buckett", "did you mean bucket?"),
        ("aws:sqs/queue:Queue", {"delaySeconds": "soon"}, "delaySeconds", "expected a whole number, and got 'soon'"),
        ("aws:ec2/vpc:Vpc", {"enableDnsSupport": "maybe"}, "enableDnsSupport", "expected true or false"),
        (
            "aws:cloudwatch/metricAlarm:MetricAlarm",
            {"comparisonOperator": "GreaterThan", "evaluationPeriods": 1},
            "comparisonOperator",
            "did you mean GreaterThanThreshold?",
        ),
        (
            "aws:eks/nodeGroup:NodeGroup",
            {
                "clusterName": "c",
                "nodeRoleArn": "r",
                "scalingConfig": {"desiredSize": 1, "maxSize": 0, "minSize": 0},
                "subnetIds": ["s"],
            },
            "scalingConfig.maxSize",
            "expected at least 1, and got 0",
        ),
        (
            "aws:eks/nodeGroup:NodeGroup",
            {
                "clusterName": "c",
                "nodeRoleArn": "r",
                "subnetIds": ["s"],
                "scalingConfig": {"desiredSize": 1, "maxSize": 1, "minSize": 0},
                "taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
            },
            "taints[0].effect",
            "expected one of NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE, and got NoSchedule; did you mean NO_SCHEDULE?",
        ),
        (
            "aws:s3/bucketVersioning:BucketVersioning",
            {"bucket": "b", "versioningConfiguration": {"status": "On"}},
            "versioningConfiguration.status",
            "expected one of Enabled, Suspended",
        ),
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.1/16"}, "cidrBlock", "is not a valid CIDR block"),
        (
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            {"securityGroupId": "sg-1", "ipProtocol": "tcp", "cidrIpv4": "10.0.0.0/33"},
            "cidrIpv4",
            "is not a valid CIDR block",
        ),
    ],
)
def test_wrong_inputs_are_refused_with_their_place(sdk, token, inputs, where, reason):
    assert reason in reasons(sdk, token, inputs).get(where, "")


def test_what_is_not_known_yet_passes_and_secrets_are_looked_into(sdk):
    assert reasons(sdk, "aws:sqs/queue:Queue", {"delaySeconds": UNKNOWN, "name": UNKNOWN, "policy": UNKNOWN}) == {}
    assert reasons(sdk, "aws:eks/cluster:Cluster", {"roleArn": UNKNOWN, "vpcConfig": {"subnetIds": UNKNOWN}}) == {}
    assert "delaySeconds" in reasons(sdk, "aws:sqs/queue:Queue", {"delaySeconds": secret("soon")})


ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "Syntax errors"),
        ({"Statement": [ALLOW]}, "Version must be 2012-10-17"),
        ({"Version": "2012-10-17"}, "Missing required field Statement"),
        ({"Version": "2012-10-17", "Statement": [{**ALLOW, "Effect": "allow"}]}, "Invalid effect: allow"),
        ({"Version": "2012-10-17", "Statement": [{"Action": "s3:*", "Resource": "*"}]}, "Missing required field Effect"),
        ({"Version": "2012-10-17", "Statement": [{**ALLOW, "Action": "GetObject"}]}, "must be prefaced by a vendor"),
        ({"Version": "2012-10-17", "Statement": [{**ALLOW, "Ressource": "*"}]}, "unknown field Ressource"),
        ({"Version": "2012-10-17", "Statement": [{**ALLOW, "Sid": "a" * 6200}]}, "Maximum policy size of 6144 bytes exceeded"),
        ({"Version": "2012-10-17", "Statement": [ALLOW]}, None),
    ],
)
def test_policies_are_read_as_iam_reads_them(document, reason):
    text = document if isinstance(document, str) else json.dumps(document)
    found = policies.problem(text, 6_144)
    assert found is None if reason is None else reason in found


def test_a_policys_limit_is_that_of_its_kind(sdk):
    long = json.dumps({"Version": "2012-10-17", "Statement": [{**ALLOW, "Sid": "a" * 8000}]})
    assert "policy" in reasons(sdk, "aws:iam/policy:Policy", {"policy": long})
    assert reasons(sdk, "aws:iam/rolePolicy:RolePolicy", {"policy": long, "role": "node"}) == {}
    assert reasons(sdk, "aws:s3/bucketPolicy:BucketPolicy", {"policy": long, "bucket": "b"}) == {}


def test_a_trust_policy_names_who_and_no_resource(sdk):
    wrong = json.dumps({"Version": "2012-10-17", "Statement": [ALLOW]})
    assert "prohibited field Resource" in reasons(sdk, "aws:iam/role:Role", {"assumeRolePolicy": wrong})["assumeRolePolicy"]
    assert reasons(sdk, "aws:iam/role:Role", {"assumeRolePolicy": TRUST}) == {}


def test_coverage_says_what_could_not_be_checked(sdk):
    found = checks.coverage(sdk, "aws:eks/nodeGroup:NodeGroup")
    assert found.operation == "eks.CreateNodegroup"
    assert "taints" in found.checked
    assert "forceUpdateVersion" in found.unchecked
    none = checks.coverage(sdk, "aws:acm/certificateValidation:CertificateValidation")
    assert none.operation is None
    assert not none.checked
    assert "certificateArn" in none.unchecked
    assert "aws:acm/certificateValidation:CertificateValidation: no operation" in coverage.report([found, none])


# --- what changes


@pytest.mark.parametrize(
    ("token", "anew", "kept"),
    [
        ("aws:ec2/vpc:Vpc", ["cidrBlock"], ["enableDnsHostnames", "tags"]),
        ("aws:ec2/subnet:Subnet", ["cidrBlock", "vpcId", "availabilityZone"], ["mapPublicIpOnLaunch"]),
        (
            "aws:memorydb/cluster:Cluster",
            ["name", "tlsEnabled", "subnetGroupName", "kmsKeyArn"],
            ["nodeType", "numShards", "aclName"],
        ),
        (
            "aws:eks/cluster:Cluster",
            ["name", "roleArn"],
            ["version", "vpcConfig", "enabledClusterLogTypes", "deletionProtection"],
        ),
        ("aws:eks/nodeGroup:NodeGroup", ["instanceTypes", "subnetIds", "amiType"], ["scalingConfig", "labels", "version"]),
        ("aws:eks/accessEntry:AccessEntry", ["clusterName", "principalArn"], ["kubernetesGroups"]),
        ("aws:s3/bucket:Bucket", ["bucket", "objectLockEnabled"], ["forceDestroy"]),
        ("aws:s3/bucketVersioning:BucketVersioning", ["bucket"], ["versioningConfiguration"]),
        ("aws:ecs/taskDefinition:TaskDefinition", ["containerDefinitions", "cpu"], ["tags"]),
        ("aws:ecs/service:Service", ["name", "launchType"], ["desiredCount", "taskDefinition"]),
        ("aws:kms/key:Key", ["customerMasterKeySpec"], ["description", "policy", "enableKeyRotation"]),
        ("aws:lb/targetGroup:TargetGroup", ["port", "protocol", "vpcId", "targetType"], ["healthCheck", "deregistrationDelay"]),
        ("aws:lb/listener:Listener", ["loadBalancerArn"], ["defaultActions", "sslPolicy", "certificateArn"]),
        ("aws:secretsmanager/secret:Secret", ["name"], ["kmsKeyId", "description", "recoveryWindowInDays"]),
        ("aws:ecr/repository:Repository", ["name", "encryptionConfigurations"], ["imageTagMutability"]),
        ("aws:backup/vault:Vault", ["name", "kmsKeyArn"], ["tags"]),
        ("aws:cloudwatch/logGroup:LogGroup", ["name", "logGroupClass"], ["retentionInDays", "kmsKeyId"]),
        ("aws:wafv2/webAcl:WebAcl", ["name", "scope"], ["rules", "defaultAction"]),
        ("aws:appautoscaling/target:Target", ["resourceId", "scalableDimension"], ["minCapacity", "maxCapacity"]),
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", ["role", "policyArn"], []),
    ],
)
def test_a_change_replaces_what_can_only_be_set_once(sdk, token, anew, kept):
    resource = sdk.resource(token)
    assert {name: difference.replaces(resource, name) for name in [*anew, *kept]} == {
        **dict.fromkeys(anew, True),
        **dict.fromkeys(kept, False),
    }


def test_two_spellings_of_a_policy_are_no_change_and_a_default_tag_is_one(live):
    life = live("aws:iam/role:Role")
    old = {"assumeRolePolicy": TRUST, "__defaults": ["name"]}
    assert (
        life.changes(old, {"assumeRolePolicy": json.dumps(json.loads(TRUST), indent=2)}, {"tagsAll": {"stack": "dev"}}, ())
        == []
    )
    found = life.changes(old, old, {"tagsAll": {"stack": "old"}}, ())
    assert [str(change) for change in found] == ["tagsAll"]
    assert life.anew(found) == []


def test_names_are_given_once_and_kept(sdk):
    role = sdk.resource("aws:iam/role:Role")
    first = naming.named(role, {}, "node", {}, "seed")
    assert re.fullmatch(r"node-[0-9a-f]{7}", first["name"])
    assert naming.named(role, {}, "node", first, "another seed")["name"] == first["name"]
    assert naming.named(role, {"name": "mine"}, "node", first, "seed")["name"] == "mine"
    assert "name" not in naming.named(role, {"namePrefix": "a-"}, "node", {}, "seed")
    with pytest.raises(naming.NameTooLongError, match="longer than maximum length 32"):
        naming.named(sdk.resource("aws:lb/loadBalancer:LoadBalancer"), {}, "a-name-of-more-than-25-letters", {}, "seed")


# --- the world


def test_a_create_is_seen_by_another_process_and_a_delete_ends_it(live, world):
    life = live("aws:iam/role:Role")
    number, outputs = life.create({"name": "node", "assumeRolePolicy": TRUST})
    assert [record.id for record in orphans(world.path)] == ["node"]
    assert outputs["tagsAll"] == {"stack": "dev"}
    assert life.read(number, {"name": "node"}, outputs) is not None
    life.delete(number, {"name": "node"}, outputs)
    assert orphans(world.path) == []
    assert life.read(number, {"name": "node"}, outputs) is None


def test_secrets_stay_secret_and_out_of_the_world(live, world):
    life = live("aws:memorydb/user:User")
    mode = {"type": "password", "passwords": secret(["a-canary-of-sixteen"])}
    number, outputs = life.create({"userName": "a", "accessString": "on ~* +@all", "authenticationMode": mode})
    assert outputs["authenticationMode"]["passwords"] == secret(["a-canary-of-sixteen"])
    assert "canary" not in world.path.read_text()
    seen = life.read(number, {"userName": "a", "authenticationMode": mode}, outputs)
    assert seen[0]["authenticationMode"] == mode


def test_a_name_is_taken_once(live):
    live("aws:iam/role:Role").create({"name": "node", "assumeRolePolicy": TRUST})
    with pytest.raises(RefusedError, match="EntityAlreadyExists: Role with name node already exists"):
        live("aws:iam/role:Role", "other").create({"name": "node", "assumeRolePolicy": TRUST})
    live("aws:secretsmanager/secret:Secret").create({"name": "a"})
    with pytest.raises(RefusedError, match="ResourceExistsException"):
        live("aws:secretsmanager/secret:Secret", "other").create({"name": "a"})
    live("aws:s3/bucket:Bucket").create({"bucket": "models"})
    with pytest.raises(RefusedError, match="BucketAlreadyOwnedByYou"):
        live("aws:s3/bucket:Bucket", "other", region="eu-west-1").create({"bucket": "models"})
    # a rule is put, not created: the second overwrites the first
    for name in ("one", "two"):
        live("aws:s3/bucketPolicy:BucketPolicy", name).create({"bucket": "models", "policy": TRUST})


def test_subnets_lie_within_their_vpc_and_beside_one_another(live):
    vpc, _ = live("aws:ec2/vpc:Vpc").create({"cidrBlock": "10.0.0.0/16"})
    live("aws:ec2/subnet:Subnet", "a").create({"vpcId": vpc, "cidrBlock": "10.0.0.0/20"})
    with pytest.raises(RefusedError, match=r"InvalidSubnet\.Conflict"):
        live("aws:ec2/subnet:Subnet", "b").create({"vpcId": vpc, "cidrBlock": "10.0.1.0/24"})
    with pytest.raises(RefusedError, match=r"InvalidSubnet\.Range"):
        live("aws:ec2/subnet:Subnet", "c").create({"vpcId": vpc, "cidrBlock": "10.1.0.0/24"})
    assert networks.conflict([], "10.0.0.0/24", []) is None


def test_what_is_in_use_is_not_deleted(live):
    vpc, vpc_outputs = live("aws:ec2/vpc:Vpc").create({"cidrBlock": "10.0.0.0/16"})
    group, group_outputs = live("aws:ec2/securityGroup:SecurityGroup").create({"vpcId": vpc, "name": "a"})
    other, _ = live("aws:ec2/securityGroup:SecurityGroup", "b").create({"vpcId": vpc, "name": "b"})
    rule = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    own = {"securityGroupId": group, "ipProtocol": "-1", "cidrIpv4": "10.0.0.0/16"}
    live(rule, "own").create(own)
    theirs = {"securityGroupId": other, "ipProtocol": "-1", "referencedSecurityGroupId": group}
    number, rule_outputs = live(rule, "others").create(theirs)
    with pytest.raises(RefusedError, match="DependencyViolation"):
        live("aws:ec2/vpc:Vpc").delete(vpc, {}, vpc_outputs)
    with pytest.raises(RefusedError, match="DependencyViolation"):
        live("aws:ec2/securityGroup:SecurityGroup").delete(group, {}, group_outputs)
    live(rule, "others").delete(number, {}, rule_outputs)
    live("aws:ec2/securityGroup:SecurityGroup").delete(group, {}, group_outputs)


def test_what_is_protected_is_not_deleted_until_it_is_not(live):
    life = live("aws:lb/loadBalancer:LoadBalancer")
    number, outputs = life.create({"name": "edge", "enableDeletionProtection": True})
    with pytest.raises(RefusedError, match="deletion protection is enabled"):
        life.delete(number, {}, outputs)
    life.update(number, {"name": "edge", "enableDeletionProtection": False}, outputs)
    life.delete(number, {}, outputs)


def test_an_update_keeps_what_aws_had_computed(live):
    life = live("aws:ec2/eip:Eip")
    number, outputs = life.create({"domain": "vpc"})
    assert life.update(number, {"domain": "vpc", "tags": {"a": "b"}}, outputs)["publicIp"] == outputs["publicIp"]


def test_a_new_revision_counts_on(live):
    given = {"family": "web", "containerDefinitions": "[]"}
    _, first = live("aws:ecs/taskDefinition:TaskDefinition").create(given)
    _, second = live("aws:ecs/taskDefinition:TaskDefinition").create({**given, "cpu": "256"})
    assert (first["revision"], second["revision"]) == (1, 2)
    assert second["arn"].endswith(":task-definition/web:2")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("QuotaExceeded", "api error ResourceLimitExceededException"),
        (
            "InsufficientCapacity",
            "InsufficientInstanceCapacity: We currently do not have sufficient g5.xlarge capacity",
        ),
        ("Throttling", "exceeded maximum number of attempts, 25"),
    ],
)
def test_failures_on_demand_happen_as_often_as_asked(live, world, error, words):
    rules = failing.rules(
        {failing.VARIABLE: json.dumps([{"urn": "*::gpu", "operation": "create", "error": error, "times": 2}])}
    )
    given = {"clusterName": "c", "nodeGroupName": "gpu", "instanceTypes": ["g5.xlarge"]}
    for _ in range(2):
        with pytest.raises(RefusedError, match=re.escape(words)):
            live("aws:eks/nodeGroup:NodeGroup", "gpu", failures=rules).create(given)
    assert world.records() == []
    live("aws:eks/nodeGroup:NodeGroup", "gpu", failures=rules).create(given)
    assert [record.id for record in world.records()] == ["c:gpu"]


def test_every_resource_of_a_rule_can_fail_by_itself_and_a_sample_is_the_same_for_stacks_of_any_name(live, world):
    given = {"description": "x"}
    rules = (failing.Rule(urn="*", operation="create", error="Throttling", each=True),)
    for name in ("one", "two"):
        with pytest.raises(RefusedError, match="Rate exceeded"):
            live("aws:ec2/securityGroup:SecurityGroup", name, failures=rules).create(given)
        live("aws:ec2/securityGroup:SecurityGroup", name, failures=rules).create(given)

    rule = failing.Rule(urn="*", operation="create", error="Throttling", of=4, seed="a")
    names = [f"aws:kms/key:Key::key-{number}" for number in range(400)]
    drawn = [[it for it in names if rule.meets(f"urn:pulumi:{stack}::assistant::{it}", "create")] for stack in ("dev", "prod")]
    assert drawn[0] == drawn[1]
    assert 60 < len(drawn[0]) < 140


def test_failures_that_nobody_can_mean_are_refused():
    with pytest.raises(failing.FailuresError, match="error one of"):
        failing.rules({failing.VARIABLE: json.dumps([{"urn": "*", "operation": "create", "error": "Thunder"}])})


# --- the provider's settings and functions


def test_the_account_and_the_region_are_looked_at():
    assert settings({"allowedAccountIds": '["123456789012"]', "region": "eu-west-1"}, {}).region == Region(name="eu-west-1")
    with pytest.raises(SettingsError, match="AWS account ID not allowed"):
        settings({"allowedAccountIds": '["000000000000"]', "region": "eu-west-1"}, {})
    with pytest.raises(SettingsError, match="Missing region"):
        settings({}, {})
    assert settings({"region": UNKNOWN}, {}).region is None


def test_functions_answer_for_their_region_and_by_their_types(sdk, world, live):
    caller = functions.Caller(region=BEIJING, world=world, default_tags={})

    def ask(token: str, **arguments: object) -> dict:
        return functions.answer(sdk, token, arguments, caller)

    assert ask("aws:index/getRegion:getRegion")["region"] == "cn-north-1"
    assert ask("aws:index/getPartition:getPartition")["dnsSuffix"] == "amazonaws.com.cn"
    assert ask("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == "123456789012"
    assert ask("aws:index/getAvailabilityZones:getAvailabilityZones", region="eu-central-1")["names"] == list(FRANKFURT.zones)
    assert ask("aws:route53/getZone:getZone", name="example.com")["zoneId"].startswith("Z")
    assert ask("aws:ec2/getAmi:getAmi", mostRecent=True)["id"].startswith("ami-")
    unknown = ask("aws:dynamodb/getTable:getTable", name="things")
    assert unknown["name"] == "things"
    assert unknown["arn"].startswith("arn:aws-cn:dynamodb:cn-north-1:")
    vpc, _ = live("aws:ec2/vpc:Vpc").create({"cidrBlock": "10.7.0.0/16"})
    assert ask("aws:ec2/getVpc:getVpc", id=vpc)["cidrBlock"] == "10.7.0.0/16"


def test_what_a_reference_is_is_told_by_its_kind():
    record = Record(token="aws:lb/targetGroup:TargetGroup", id="arn:a", urn="", region="r", name="web", arn="arn:a")
    names_it = Record(
        token="aws:cloudwatch/metricAlarm:MetricAlarm", id="m", urn="", region="r", name="m", arn="", inputs={"x": "arn:a"}
    )
    uses_it = Record(token="aws:lb/listener:Listener", id="l", urn="", region="r", name="l", arn="", inputs={"x": ["arn:a"]})
    assert conflicts.held(record, [record, names_it]) is None
    assert "ResourceInUse" in conflicts.held(record, [record, uses_it])


def test_a_name_is_a_reference_only_where_names_are_given():
    user = Record(token="aws:memorydb/user:User", id="assistant", urn="", region="r", name="assistant", arn="arn:u")
    board = {"dashboardName": "assistant"}
    same_word = Record(
        token="aws:cloudwatch/dashboard:Dashboard", id="assistant", urn="", region="r", name="d", arn="", inputs=board
    )
    listed = Record(
        token="aws:memorydb/acl:Acl", id="a", urn="", region="r", name="a", arn="", inputs={"userNames": ["assistant"]}
    )
    assert conflicts.held(user, [user, same_word]) is None
    assert "InvalidUserState" in conflicts.held(user, [user, listed])


def test_a_preview_of_an_update_keeps_what_was_answered_within_a_setting_that_is_given_again(live) -> None:
    """A program that reads it, as the group of a cluster's nodes, would find nothing there."""
    life = live("aws:eks/cluster:Cluster")
    network = {"subnetIds": ["subnet-1", "subnet-2"], "endpointPublicAccess": True}
    inputs = {"roleArn": "arn:aws:iam::123456789012:role/eks", "vpcConfig": network}
    _id, stands = life.create(inputs)
    group = stands["vpcConfig"]["clusterSecurityGroupId"]
    assert group.startswith("sg-")
    changed = {**inputs, "vpcConfig": {**network, "endpointPublicAccess": False}, "deletionProtection": True}
    seen = life.preview(changed, stands)
    assert seen["vpcConfig"]["clusterSecurityGroupId"] == group
    assert seen["vpcConfig"]["endpointPublicAccess"] is False
    assert seen["deletionProtection"] is True
