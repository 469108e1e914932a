"""What a destroyed stack has left is told, and what is kept on purpose is told apart."""

from __future__ import annotations

import pytest

from tools.aws import orphans
from tools.stack.engine import EngineError

MINE = {"Application": "assistant", "Environment": "prod"}


def labels(**more):
    return [{"Key": key, "Value": value} for key, value in (MINE | more).items()]


def test_an_empty_account_has_no_orphans(account, settings_with, capsys):
    assert orphans.show("prod", settings_with()) == 0
    assert "Nothing of prod is left" in capsys.readouterr().out


def test_what_carries_the_stacks_tags_is_an_orphan(aws, settings_with, capsys):
    arn = aws("sns").create_topic(Name="assistant-prod-alarms", Tags=labels())["TopicArn"]
    aws("sns").create_topic(Name="assistant-dev-alarms", Tags=labels(Environment="dev"))
    assert orphans.show("prod", settings_with()) == 1
    shown = capsys.readouterr().out
    assert "1 orphans of prod" in shown and arn in shown and "dev" not in shown


def test_the_audit_bucket_and_keys_that_wait_for_their_end_are_kept_on_purpose(aws, settings_with):
    aws("s3").create_bucket(Bucket="assistant-prod-audit-1", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    aws("s3").put_bucket_tagging(Bucket="assistant-prod-audit-1", Tagging={"TagSet": labels()})
    key = aws("kms").create_key(Tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in labels()])["KeyMetadata"]
    aws("kms").schedule_key_deletion(KeyId=key["KeyId"])
    found = orphans.find("prod", settings_with())
    assert found.left == ()
    assert set(found.kept) == {"arn:aws:s3:::assistant-prod-audit-1", key["Arn"]}
    report = orphans.report("prod", found)
    assert "Kept on purpose" in report and "waiting time" in report


def test_a_key_that_is_not_on_its_way_out_is_an_orphan(aws, settings_with):
    key = aws("kms").create_key(Tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in labels()])["KeyMetadata"]
    assert orphans.find("prod", settings_with()).left == (key["Arn"],)


def test_log_groups_that_a_service_made_anew_and_interfaces_are_found_without_tags(aws, settings_with):
    aws("logs").create_log_group(logGroupName="/assistant/prod/pods")
    aws("logs").create_log_group(logGroupName="/assistant/production/pods")
    vpc = aws("ec2").create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
    aws("ec2").create_tags(Resources=[vpc], Tags=labels())
    subnet = aws("ec2").create_subnet(VpcId=vpc, CidrBlock="10.40.0.0/24")["Subnet"]["SubnetId"]
    made = aws("ec2").create_network_interface(SubnetId=subnet, Description="ELB app/x")["NetworkInterface"]
    left = orphans.find("prod", settings_with()).left
    assert f"{made['NetworkInterfaceId']} in {vpc}: ELB app/x" in left
    assert any(arn.endswith(":log-group:/assistant/prod/pods") for arn in left)
    assert not any("production" in arn for arn in left)


@pytest.mark.parametrize("group", ["/aws/eks/assistant-prod/cluster", "/aws/ecs/containerinsights/assistant-prod/performance"])
def test_a_log_group_under_a_services_own_name_is_found_before_an_up_finds_it_taken(aws, settings_with, group):
    aws("logs").create_log_group(logGroupName=group)
    aws("logs").create_log_group(logGroupName=group.replace("-prod", "-prod2"))
    (left,) = orphans.find("prod", settings_with()).left
    assert left.endswith(f":log-group:{group}")


def test_the_state_of_make_bootstrap_is_no_orphan():
    assert orphans.retained("arn:aws:kms:eu-central-1:1:key/x", {"Purpose": "pulumi-state"}, "Enabled")


def test_an_account_that_does_not_answer_is_told(no_account, settings_with):
    with pytest.raises(EngineError, match="cannot be seen"):
        orphans.show("prod", settings_with())
