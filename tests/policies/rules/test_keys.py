"""What the cases of keys, log groups, registries and volumes do not say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cases.keys import ACCOUNT, GOOD, GROUPS, LOGS, MASK, OF_LOGS, SCALING, USE, allow, arn, protection, with_root
from cases.theme import Theme

from policies.resource import Resource, Stack
from policies.rule import Outcome, Verdict, all_of, judge, judge_stack
from policies.rules import RULES
from policies.values import UNKNOWN

ALL = {rule.id: rule for rule in RULES}
THEME = Theme(good=GOOD, cases={})
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"


def of(rule: str, stack: Stack, name: str | None = None) -> Verdict:
    findings = [finding for relation in ALL[rule].relations for finding in judge_stack(relation, stack)]
    return all_of(finding.verdict for finding in findings if name is None or finding.urn.endswith(f"::{name}"))


def checked(rule: str, resource: Resource) -> Verdict:
    return all_of(judge(check, resource) for check in ALL[rule].checks if resource.type in check.types)


def made(kind: str, name: str, properties: dict[str, Any], **options: Any) -> Resource:
    return Resource(urn=f"urn:pulumi:prod::assistant::{kind}::{name}", type=kind, name=name, properties=properties, **options)


def with_more(*resources: Resource, without: tuple[str, ...] = ()) -> Stack:
    return Stack((*THEME.stack(without=without).resources, *resources))


@pytest.mark.parametrize("rule", ["R70", "R71", "R35"])
def test_a_stack_without_anything_of_the_kind_has_no_finding(rule: str) -> None:
    assert [found for relation in ALL[rule].relations for found in judge_stack(relation, Stack(()))] == []


def test_fourteen_days_and_a_year_are_enough_and_thirty_days_are_the_default() -> None:
    assert checked("R63", THEME.resource("data-key", {"deletionWindowInDays": 14})).outcome is Outcome.PASS
    assert checked("R63", THEME.resource("data-key", {"deletionWindowInDays": None})).outcome is Outcome.PASS
    assert checked("R63", THEME.resource("data-key", {"rotationPeriodInDays": None})).outcome is Outcome.PASS
    assert checked("R63", THEME.resource("data-key", {"rotationPeriodInDays": 90})).outcome is Outcome.PASS


def test_keys_that_kms_cannot_rotate_need_not_be_rotated_but_have_a_window() -> None:
    for changes in ({"customerMasterKeySpec": "RSA_2048"}, {"customKeyStoreId": "cks-1"}):
        key = THEME.resource("data-key", {**changes, "enableKeyRotation": False})
        assert checked("R63", key).outcome is Outcome.PASS
        assert checked("R63", THEME.resource("data-key", {**changes, "deletionWindowInDays": 7})).outcome is Outcome.FAIL
    symmetric = THEME.resource("data-key", {"customerMasterKeySpec": "SYMMETRIC_DEFAULT", "enableKeyRotation": False})
    assert checked("R63", symmetric).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    "kind",
    ["aws:kms/replicaKey:ReplicaKey", "aws:kms/externalKey:ExternalKey", "aws:kms/replicaExternalKey:ReplicaExternalKey"],
)
def test_other_kinds_of_keys_have_a_window(kind: str) -> None:
    assert checked("R63", made(kind, "key", {"deletionWindowInDays": 14})).outcome is Outcome.PASS
    assert checked("R63", made(kind, "key", {"deletionWindowInDays": 13})).outcome is Outcome.FAIL


def test_the_remediation_sets_what_is_wrong_and_nothing_else() -> None:
    remediation = ALL["R63"].remediation
    assert remediation is not None
    assert remediation.propose(THEME.resource("data-key")) == {}
    bad = {"enableKeyRotation": False, "deletionWindowInDays": 7}
    assert remediation.propose(THEME.resource("data-key", {**bad, "rotationPeriodInDays": None})) == {
        ("enableKeyRotation",): True,
        ("deletionWindowInDays",): 30,
    }
    long = THEME.resource("data-key", {"rotationPeriodInDays": 2560})
    assert remediation.propose(long) == {("enableKeyRotation",): True, ("rotationPeriodInDays",): 365}
    replica = made("aws:kms/replicaKey:ReplicaKey", "key", {"deletionWindowInDays": 7})
    assert remediation.propose(replica) == {("deletionWindowInDays",): 30}


def test_before_anything_exists_the_edges_say_which_key_is_whose() -> None:
    computed = {"arn": UNKNOWN, "keyId": UNKNOWN}
    resources = [THEME.resource(name, computed) for name in ("logs-key", "data-key", "cluster-key")]
    resources += [
        THEME.resource("pods", {"kmsKeyId": UNKNOWN, "logGroupClass": UNKNOWN}),
        THEME.resource("flow", {"kmsKeyId": UNKNOWN}),
        THEME.resource("protection", {"logGroupName": UNKNOWN}),
        THEME.resource("registry", {"encryptionConfigurations/0/kmsKey": UNKNOWN}),
        THEME.resource("template", {"id": UNKNOWN, "blockDeviceMappings/0/ebs/kmsKeyId": UNKNOWN}),
        THEME.resource("nodes", {"launchTemplate/id": UNKNOWN}),
    ]
    stack = THEME.stack(*resources)
    for rule in ("R70", "R71", "R35"):
        assert {each.verdict.outcome for relation in ALL[rule].relations for each in judge_stack(relation, stack)} == {
            Outcome.PASS
        }
    closed = THEME.stack(*resources[1:], THEME.resource("logs-key", {**computed, "policy": with_root()}))
    assert of("R70", closed, "pods").outcome is Outcome.FAIL


def test_an_unknown_key_without_edges_is_undetermined() -> None:
    assert of("R70", THEME.stack(THEME.resource("pods", {"kmsKeyId": UNKNOWN}, linked=False)), "pods").outcome is Outcome.FAIL
    elsewhere = replace(THEME.resource("pods", {"kmsKeyId": UNKNOWN}), property_dependencies={"kmsKeyId": (THEME.urn("flow"),)})
    assert of("R70", THEME.stack(elsewhere), "pods").outcome is Outcome.UNDETERMINED


def test_an_alias_leads_to_its_key() -> None:
    def named(target: str, key_id: Any = None) -> Stack:
        alias = made("aws:kms/alias:Alias", "alias", {"name": "alias/ours", "targetKeyId": target})
        group = replace(THEME.resource("pods", {"kmsKeyId": key_id or "alias/ours"}), property_dependencies={})
        return Stack((*THEME.stack(group).resources, alias))

    assert of("R70", named("logs"), "pods").outcome is Outcome.PASS
    assert of("R70", named("data"), "pods").outcome is Outcome.FAIL  # of which the policy lets nobody in
    assert of("R70", named("data", "alias/somebody-elses"), "pods").outcome is Outcome.PASS


def test_a_key_from_outside_is_its_owners_business() -> None:
    outside = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/0a1b2c3d-1111-2222-3333-444455556666"
    assert of("R70", THEME.stack(THEME.resource("pods", {"kmsKeyId": outside}, linked=False))).outcome is Outcome.PASS


def test_a_policy_of_its_own_takes_the_place_of_the_keys() -> None:
    def separate(document: str) -> Resource:
        return made("aws:kms/keyPolicy:KeyPolicy", "separate", {"keyId": "logs", "policy": document})

    closed = THEME.resource("logs-key", {"policy": with_root()})
    assert of("R70", Stack((*THEME.stack(closed).resources, separate(with_root(OF_LOGS)))), "pods").outcome is Outcome.PASS
    assert of("R70", with_more(separate(with_root())), "pods").outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("context", "outcome"),
    [
        (GROUPS, Outcome.PASS),
        (GROUPS.replace("*", "/assistant/*"), Outcome.PASS),
        (GROUPS.replace("*", "/assistant/prod/pods"), Outcome.PASS),
        (GROUPS.replace("*", "/assistant/prod/pods:*"), Outcome.PASS),
        ("arn:aws:logs:*", Outcome.PASS),
        ([GROUPS.replace("*", "/other"), GROUPS], Outcome.PASS),
        (GROUPS.replace("*", "/assistant/prod/flow"), Outcome.FAIL),
        (GROUPS.replace("*", "/assistant/prod/pod"), Outcome.FAIL),
        ("arn:aws:logs:eu-central-1:1:destination:a", Outcome.FAIL),
    ],
)
def test_a_condition_on_the_log_group_must_mean_this_one(context: Any, outcome: Outcome) -> None:
    statement = allow(USE, {"Service": LOGS}, Condition={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": context}})
    stack = THEME.stack(THEME.resource("logs-key", {"policy": with_root(statement)}))
    assert of("R70", stack, "pods").outcome is outcome


@pytest.mark.parametrize(
    ("statement", "outcome"),
    [
        (allow(USE, {"Service": "logs.amazonaws.com"}), Outcome.PASS),
        (allow(USE, {"Service": "logs.cn-north-1.amazonaws.com.cn"}), Outcome.PASS),
        (allow(["kms:*"], {"Service": LOGS}), Outcome.PASS),
        (allow(USE, {"Service": f"{LOGS}.example.org"}), Outcome.FAIL),
        (allow(USE, {"Service": "evil-logs.eu-central-1.amazonaws.com"}), Outcome.FAIL),
        (allow(USE, {"Federated": LOGS}), Outcome.FAIL),
        ({**allow(USE, {"Service": LOGS}), "Effect": "Deny"}, Outcome.FAIL),
    ],
)
def test_the_service_must_be_let_in_by_its_own_name(statement: dict[str, Any], outcome: Outcome) -> None:
    stack = THEME.stack(THEME.resource("logs-key", {"policy": with_root(statement)}))
    assert of("R70", stack, "pods").outcome is outcome


def test_a_log_group_whose_name_aws_chooses_is_meant_by_every_condition() -> None:
    stack = THEME.stack(THEME.resource("pods", {"name": UNKNOWN}))
    assert of("R70", stack, "pods").outcome is Outcome.PASS


def test_a_template_for_repositories_is_judged_as_they_are() -> None:
    kind = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
    good = {"encryptionConfigurations": [{"encryptionType": "KMS_DSSE", "kmsKey": arn("data")}]}
    assert of("R70", with_more(made(kind, "t", good)), "t").outcome is Outcome.PASS
    assert of("R70", with_more(made(kind, "t", {})), "t").outcome is Outcome.FAIL


def test_an_account_that_encrypts_every_volume_needs_nothing_else() -> None:
    kind = "aws:ebs/encryptionByDefault:EncryptionByDefault"
    bare = THEME.stack(
        THEME.resource("template", {"blockDeviceMappings": None}), THEME.resource("nodes", {"launchTemplate": None})
    )
    for properties, outcome in (({}, Outcome.PASS), ({"enabled": True}, Outcome.PASS), ({"enabled": False}, Outcome.FAIL)):
        stack = Stack((*bare.resources, made(kind, "default", properties)))
        assert of("R71", stack).outcome is outcome


def test_a_boolean_is_as_good_as_a_text_and_each_volume_counts() -> None:
    path = "blockDeviceMappings/0/ebs/encrypted"
    assert of("R71", THEME.stack(THEME.resource("template", {path: True}))).outcome is Outcome.PASS
    assert of("R71", THEME.stack(THEME.resource("template", {path: False}))).outcome is Outcome.FAIL
    disks = [*THEME.resource("template").properties["blockDeviceMappings"], {"deviceName": "/dev/b", "ebs": {"volumeSize": 1}}]
    assert of("R71", THEME.stack(THEME.resource("template", {"blockDeviceMappings": disks}))).outcome is Outcome.FAIL
    disks[1] = {"deviceName": "/dev/c", "virtualName": "ephemeral0"}
    assert of("R71", THEME.stack(THEME.resource("template", {"blockDeviceMappings": disks}))).outcome is Outcome.PASS


def test_who_makes_no_nodes_from_the_template_asks_no_more_of_the_key() -> None:
    stack = THEME.stack(THEME.resource("cluster-key", {"policy": with_root()}), without=("nodes",))
    assert of("R71", stack).outcome is Outcome.PASS
    group = made("aws:autoscaling/group:Group", "group", {"launchTemplate": {"id": "lt-1"}})
    assert of("R71", Stack((*stack.resources, group))).outcome is Outcome.FAIL


def test_the_nodes_role_must_be_that_of_auto_scaling() -> None:
    other = f"arn:aws:iam::{ACCOUNT}:role/AWSServiceRoleForAutoScaling"
    for principal, outcome in ((f"{SCALING}_mine", Outcome.PASS), (other, Outcome.FAIL)):
        document = with_root(allow([*USE, "kms:CreateGrant"], {"AWS": principal}))
        stack = THEME.stack(THEME.resource("cluster-key", {"policy": document}))
        assert of("R71", stack, "template").outcome is outcome


def test_a_node_group_of_somebody_elses_template_is_undetermined() -> None:
    stack = THEME.stack(THEME.resource("nodes", {"launchTemplate": {"id": "lt-2"}}, linked=False))
    assert of("R71", stack, "nodes").outcome is Outcome.UNDETERMINED
    computed = THEME.stack(THEME.resource("nodes", {"launchTemplate": UNKNOWN}, linked=False))
    assert of("R71", computed, "nodes").outcome is Outcome.FAIL


@pytest.mark.parametrize("kind", ["aws:ec2/instance:Instance", "aws:ec2/launchConfiguration:LaunchConfiguration"])
def test_the_disks_of_machines_count(kind: str) -> None:
    def judged(properties: dict[str, Any]) -> Outcome:
        return of("R71", Stack((made(kind, "machine", properties),))).outcome

    assert judged({"rootBlockDevice": {"encrypted": True}}) is Outcome.PASS
    assert judged({"rootBlockDevice": {"encrypted": True}, "ebsBlockDevices": [{"encrypted": True}]}) is Outcome.PASS
    assert judged({"rootBlockDevice": {"encrypted": True}, "ebsBlockDevices": [{"encrypted": False}]}) is Outcome.FAIL
    assert judged({"rootBlockDevice": {"encrypted": False}}) is Outcome.FAIL
    assert judged({"rootBlockDevice": UNKNOWN, "ebsBlockDevices": UNKNOWN}) is Outcome.FAIL
    assert judged({}) is Outcome.FAIL


def test_storage_of_another_driver_is_not_meant() -> None:
    assert (
        checked("R71", THEME.resource("storage", {"provisioner": "efs.csi.aws.com", "parameters": None})).outcome
        is Outcome.PASS
    )
    for driver in ("ebs.csi.eks.amazonaws.com", "kubernetes.io/aws-ebs"):
        storage = THEME.resource("storage", {"provisioner": driver, "parameters/encrypted": None})
        assert checked("R71", storage).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("/assistant/prod/gateway", True),
        ("/assistant/prod/worker", True),
        ("/assistant/prod/inference", True),
        ("/aws/containerinsights/x/application", True),
        ("/aws/containerinsights/x/performance", False),
        ("/assistant/prod/pods-of-others", False),
        (UNKNOWN, False),
    ],
)
def test_log_groups_of_the_assistants_processes_are_known_by_their_names(name: Any, held: bool) -> None:
    stack = Stack((made(LOG_GROUP, "group", {"name": name}),))
    findings = [each.verdict.outcome for relation in ALL["R35"].relations for each in judge_stack(relation, stack)]
    assert findings == ([Outcome.FAIL] if held else [])


def test_a_group_that_containers_of_ecs_write_to_may_hold_prompts() -> None:
    group = made(LOG_GROUP, "group", {"name": "/x/y"})

    def judged(definitions: Any, **options: Any) -> list[Outcome]:
        task = made("aws:ecs/taskDefinition:TaskDefinition", "task", {"containerDefinitions": definitions}, **options)
        stack = Stack((group, task))
        return [each.verdict.outcome for relation in ALL["R35"].relations for each in judge_stack(relation, stack)]

    assert judged('[{"logConfiguration": {"options": {"awslogs-group": "/x/y"}}}]') == [Outcome.FAIL]
    assert judged('[{"logConfiguration": {"options": {"awslogs-group": "/x/y/z"}}}]') == []
    assert judged(UNKNOWN, property_dependencies={"containerDefinitions": (group.urn,)}) == [Outcome.FAIL]
    assert judged(UNKNOWN) == []


def test_an_accounts_policy_masks_every_group() -> None:
    def stack(kind: str, document: str) -> Stack:
        properties = {"policyType": kind, "policyDocument": document}
        return with_more(made("aws:cloudwatch/logAccountPolicy:LogAccountPolicy", "all", properties), without=("protection",))

    assert of("R35", stack("DATA_PROTECTION_POLICY", protection(MASK)), "pods").outcome is Outcome.PASS
    assert of("R35", stack("DATA_PROTECTION_POLICY", protection({"Audit": {}})), "pods").outcome is Outcome.FAIL
    assert of("R35", stack("SUBSCRIPTION_FILTER_POLICY", protection(MASK)), "pods").outcome is Outcome.FAIL


def test_a_policy_for_an_unknown_group_leaves_it_undetermined() -> None:
    stack = THEME.stack(THEME.resource("protection", {"logGroupName": UNKNOWN}, linked=False))
    assert of("R35", stack, "pods").outcome is Outcome.UNDETERMINED


@pytest.mark.parametrize("document", ["[]", "{}", '{"Statement": 1}', '{"Statement": [1]}', '{"Statement": [{}]}', "no JSON"])
def test_a_document_of_another_shape_is_a_finding(document: str) -> None:
    assert of("R35", THEME.stack(THEME.resource("protection", {"policyDocument": document})), "pods").outcome is Outcome.FAIL
