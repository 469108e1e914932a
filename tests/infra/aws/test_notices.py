"""Who is told: of alarms, of money, of backups."""

from __future__ import annotations

import json

from aws_rendering import ACCOUNT, aws_settings, render_component

from infra.aws.backup import Backup, BackupArgs
from infra.aws.budget import Budget, BudgetArgs
from infra.aws.notifications import Notifications, NotificationsArgs

TOPIC = f"arn:aws:sns:eu-central-1:{ACCOUNT}:alarms"


async def test_every_address_is_subscribed_to_one_encrypted_topic():
    settings = aws_settings("prod", notifications={"emails": ["a@example.com", "b@example.com"]})
    rendered = await render_component(
        lambda context: Notifications("n", NotificationsArgs(context=context, key_arn="key")), settings
    )
    topic = rendered.one("Topic")
    assert (topic.inputs["name"], topic.inputs["kmsMasterKeyId"]) == ("assistant-prod-alarms", "key")
    assert {it.inputs["endpoint"] for it in rendered.of("TopicSubscription")} == {"a@example.com", "b@example.com"}
    without = await render_component(lambda context: Notifications("n", NotificationsArgs(context=context, key_arn="key")))
    assert not without.of("TopicSubscription")


async def test_nobody_publishes_for_another_account_or_in_plain():
    rendered = await render_component(
        lambda context: Notifications("n", NotificationsArgs(context=context, key_arn="key")),
        aws_settings("prod", aws={"region": "cn-north-1"}),
    )
    services, rules, plain = json.loads(rendered.one("TopicPolicy").inputs["policy"])["Statement"]
    assert services["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert services["Principal"]["Service"] == ["cloudwatch.amazonaws.com", "budgets.amazonaws.com", "backup.amazonaws.com"]
    assert rules["Condition"]["ArnLike"]["aws:SourceArn"] == f"arn:aws-cn:events:cn-north-1:{ACCOUNT}:rule/*"
    assert (plain["Effect"], plain["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


async def test_the_budget_counts_what_carries_the_stacks_tag_and_tells_in_time():
    settings = aws_settings("staging", notifications={"monthlyBudget": 800})
    rendered = await render_component(
        lambda context: Budget("b", BudgetArgs(context=context, topic_arn=TOPIC)), settings, stack="staging"
    )
    budget = rendered.one("Budget").inputs
    assert (budget["limitAmount"], budget["limitUnit"], budget["timeUnit"]) == ("800", "USD", "MONTHLY")
    assert budget["costFilters"] == [{"name": "TagKeyValue", "values": ["user:Environment$staging"]}]
    told = {(it["notificationType"], it["threshold"]) for it in budget["notifications"]}
    assert told == {("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)}
    assert all(it["subscriberSnsTopicArns"] == [TOPIC] for it in budget["notifications"])


async def test_the_buckets_are_backed_up_daily_into_a_vault_with_a_key_and_kept_as_long_as_set():
    buckets = ["arn:aws:s3:::models", "arn:aws:s3:::audit"]

    def make(context):
        return Backup("b", BackupArgs(context=context, key_arn="key", topic_arn=TOPIC, resource_arns=buckets))

    rendered = await render_component(make, aws_settings("prod", retention={"backupDays": 21}))
    vault = rendered.one("Vault").inputs
    assert (vault["kmsKeyArn"], vault["forceDestroy"]) == ("key", False)
    (rule,) = rendered.one("Plan").inputs["rules"]
    assert (rule["schedule"], rule["lifecycle"]) == ("cron(0 3 * * ? *)", {"deleteAfter": 21})
    assert rendered.one("Selection").inputs["resources"] == buckets
    assert len(rendered.of("RolePolicyAttachment")) == 4
    assert rendered.one("VaultNotifications").inputs["snsTopicArn"] == TOPIC
    # AWS Backup no longer sends BACKUP_JOB_FAILED to a topic.
    assert rendered.one("VaultNotifications").inputs["backupVaultEvents"] == ["RESTORE_JOB_COMPLETED"]
    pattern = json.loads(rendered.one("EventRule").inputs["eventPattern"])
    assert pattern["detail"] == {"state": ["FAILED", "ABORTED", "EXPIRED"], "backupVaultName": ["assistant-prod-backup"]}
    target = rendered.one("EventTarget").inputs
    assert (target["rule"], target["arn"]) == ("assistant-prod-backup-failures", TOPIC)
    unprotected = await render_component(make, aws_settings("dev"), stack="dev")
    assert unprotected.one("Vault").inputs["forceDestroy"] is True
