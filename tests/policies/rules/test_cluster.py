"""What the cases of the rules on EKS do not say."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cases.cluster import METADATA, THEME

from infra.aws.kubernetes_versions import END_OF_STANDARD_SUPPORT, today
from policies.resource import Resource, Stack
from policies.rule import Outcome, Verdict, all_of, judge, judge_stack
from policies.rules import RULES, cluster
from policies.rules.cluster import supported_on
from policies.values import UNKNOWN

ALL = {rule.id: rule for rule in RULES}
PASS, FAIL, UNDETERMINED = Outcome.PASS, Outcome.FAIL, Outcome.UNDETERMINED
# What decides, by rule and type: it must not be among what Pulumi ignores.
READ = {
    "R15": {
        "aws:eks/nodeGroup:NodeGroup": "remoteAccess",
    },
    "R16": {
        "aws:eks/cluster:Cluster": "accessConfig",
    },
    "R20": {
        "aws:autoscaling/group:Group": "launchConfiguration launchTemplate mixedInstancesPolicy",
        "aws:ec2/instance:Instance": "launchTemplate metadataOptions",
        "aws:ec2/launchConfiguration:LaunchConfiguration": "metadataOptions",
        "aws:ec2/launchTemplate:LaunchTemplate": "metadataOptions",
        "aws:ec2/spotInstanceRequest:SpotInstanceRequest": "metadataOptions",
        "aws:eks/nodeGroup:NodeGroup": "launchTemplate",
    },
    "R25": {
        "aws:eks/cluster:Cluster": "version",
        "aws:eks/nodeGroup:NodeGroup": "version",
    },
    "R45": {
        "aws:eks/cluster:Cluster": "enabledClusterLogTypes",
    },
    "R54": {
        "aws:eks/cluster:Cluster": "vpcConfig",
    },
    "R66": {
        "aws:eks/cluster:Cluster": "encryptionConfig",
    },
}
OWN_TODAY = cluster.today  # before a fixture takes its place


def one(rule_id: str, name: str, changes: dict[str, Any]) -> Outcome:
    return of(rule_id, THEME.resource(name, changes)).outcome


def of(rule_id: str, resource: Resource) -> Verdict:
    return all_of(judge(check, resource) for check in ALL[rule_id].checks if resource.type in check.types)


def of_stack(rule_id: str, *replaced: Resource, without: tuple[str, ...] = ()) -> Verdict:
    stack = THEME.stack(*replaced, without=without)
    return all_of(found.verdict for relation in ALL[rule_id].relations for found in judge_stack(relation, stack))


def test_the_day_is_today() -> None:
    assert OWN_TODAY() == today()


@pytest.mark.parametrize(("version", "end"), list(END_OF_STANDARD_SUPPORT.items()))
def test_a_version_is_supported_until_the_day_before_its_end(version: str, end: datetime.date) -> None:
    resource = THEME.resource("cluster", {"version": version})
    assert supported_on(resource, end - datetime.timedelta(days=1)).outcome is PASS
    assert supported_on(resource, end).outcome is FAIL
    assert str(end) in supported_on(resource, end).reasons[0]


def test_a_version_that_is_newer_than_what_is_known_is_undetermined_and_an_older_one_is_not() -> None:
    assert one("R25", "cluster", {"version": "1.99"}) is UNDETERMINED
    assert one("R25", "cluster", {"version": "2.0"}) is UNDETERMINED
    assert one("R25", "cluster", {"version": "1.9"}) is FAIL
    late = supported_on(THEME.resource("cluster", {"version": "1.9"}), datetime.date(2099, 1, 1))
    assert "none that are known here" in late.reasons[0]


@pytest.mark.parametrize("version", ["1", "1.x", "1.35.2", "v1.99"])
def test_what_is_no_version_is_a_finding(version: str) -> None:
    assert "a version such as 1.35 was expected" in of("R25", THEME.resource("cluster", {"version": version})).reasons[0]


def test_a_node_group_without_a_version_has_its_clusters() -> None:
    assert one("R25", "nodes", {"version": None}) is PASS


def test_remote_access_without_a_key_opens_nothing() -> None:
    assert one("R15", "nodes", {"remoteAccess": None}) is PASS
    assert one("R15", "nodes", {"remoteAccess/ec2SshKey": None, "remoteAccess/sourceSecurityGroupIds": None}) is PASS


def test_no_metadata_service_is_no_way_to_credentials() -> None:
    assert one("R20", "template", {"metadataOptions": {"httpEndpoint": "disabled"}}) is PASS
    assert one("R20", "template", {"metadataOptions": {"httpEndpoint": "enabled"}}) is FAIL


@pytest.mark.parametrize("limit", [0, 2, 64])
def test_one_hop_and_no_other_number(limit: int) -> None:
    assert one("R20", "template", {"metadataOptions/httpPutResponseHopLimit": limit}) is FAIL


@pytest.mark.parametrize(
    "kind",
    ["aws:ec2/launchConfiguration:LaunchConfiguration", "aws:ec2/spotInstanceRequest:SpotInstanceRequest"],
)
def test_what_else_starts_instances_is_held_to_the_same(kind: str) -> None:
    def verdict(properties: dict[str, Any]) -> Outcome:
        return of("R20", Resource(urn=f"urn:pulumi:prod::a::{kind}::x", type=kind, name="x", properties=properties)).outcome

    assert verdict({"metadataOptions": METADATA}) is PASS
    assert verdict({"metadataOptions": {**METADATA, "httpTokens": "optional"}}) is FAIL
    assert verdict({}) is FAIL


def test_an_instance_may_leave_it_to_a_template_of_the_stacks() -> None:
    # Outputs hold what AWS will say, later.
    unsaid = THEME.resource("from-template", {"metadataOptions": UNKNOWN})
    assert of_stack("R20", unsaid).outcome is PASS
    theirs = THEME.resource("from-template", {"launchTemplate": {"id": "lt-1"}}, linked=False)
    assert of_stack("R20", theirs).outcome is UNDETERMINED
    says_itself = THEME.resource("from-template", {"launchTemplate": {"id": "lt-1"}, "metadataOptions": METADATA}, linked=False)
    assert of_stack("R20", says_itself).outcome is PASS


def test_a_template_of_somebody_elses_is_undetermined() -> None:
    for name in ("nodes", "scaled", "mixed"):
        key = "mixedInstancesPolicy" if name == "mixed" else "launchTemplate"
        verdict = of_stack("R20", THEME.resource(name, {key: {"id": "lt-1"}}, linked=False))
        assert verdict.outcome is UNDETERMINED
        assert f"{key} is none of this stack's" in verdict.reasons[0]
    assert of_stack("R20", THEME.resource("nodes", {"launchTemplate": UNKNOWN})).outcome is UNDETERMINED


def test_a_template_is_known_by_its_identifier_too() -> None:
    template = THEME.resource("template")
    known = Resource(urn=template.urn, type=template.type, name="template", properties={**template.properties, "id": "lt-1"})
    nodes = THEME.resource("nodes", {"launchTemplate": {"id": "lt-1", "version": "3"}}, linked=False)
    assert of_stack("R20", known, nodes, without=("scaled", "mixed", "from-template")).outcome is PASS


def test_an_endpoint_inside_or_for_named_networks_is_not_the_worlds() -> None:
    assert one("R54", "cluster", {"vpcConfig/endpointPublicAccess": False, "vpcConfig/publicAccessCidrs": None}) is PASS
    assert one("R54", "cluster", {"vpcConfig/publicAccessCidrs": ["203.0.113.0/24", "198.51.100.7/32"]}) is PASS
    assert one("R54", "cluster", {"vpcConfig/endpointPublicAccess": UNKNOWN}) is UNDETERMINED


def test_remediations_are_what_the_rules_want() -> None:
    for rule_id, name in (("R20", "template"), ("R45", "cluster")):
        remediation = ALL[rule_id].remediation
        assert remediation is not None
        resource = THEME.resource(name)
        assert resource.type in remediation.types
        for path, value in remediation.propose(resource).items():
            place: Any = resource.properties
            for key in path:
                place = place[key]
            assert place == value


def test_a_stack_without_instances_has_nothing_to_say() -> None:
    assert [found for relation in ALL["R20"].relations for found in judge_stack(relation, Stack(()))] == []


@pytest.mark.parametrize(("rule_id", "kind"), [(rule_id, kind) for rule_id, kinds in READ.items() for kind in kinds])
def test_ignoring_changes_of_what_decides_is_refused(rule_id: str, kind: str) -> None:
    for name in READ[rule_id][kind].split():
        urn = f"urn:pulumi:prod::assistant::{kind}::x"
        resource = Resource(urn=urn, type=kind, name="x", properties={}, ignored_changes=(name,))
        reasons = all_of(judge(check, resource) for check in ALL["R75"].checks if kind in check.types).reasons
        assert any(rule_id in reason for reason in reasons), name
