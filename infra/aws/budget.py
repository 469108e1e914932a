"""A monthly budget of what carries the stack's tag, and who hears when it is nearly spent, spent, or going to be."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext


@dataclass(frozen=True)
class Threshold:
    """Percent of the limit. ``kind``: of what was spent, or of what AWS expects to be at the month's end."""

    percent: float
    kind: str


THRESHOLDS = (Threshold(80, "ACTUAL"), Threshold(100, "ACTUAL"), Threshold(100, "FORECASTED"))


@dataclass(frozen=True, kw_only=True)
class BudgetArgs:
    context: AwsContext
    topic_arn: pulumi.Input[str]


class Budget(pulumi.ComponentResource):
    """The tag has to be activated for cost allocation once in an account (docs/aws.md); until then nothing counts."""

    def __init__(self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Budget", name, {}, opts)
        context = args.context
        aws.budgets.Budget(
            f"{name}-monthly",
            name=context.name("monthly"),
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(context.settings.notifications.monthly_budget),
            limit_unit="USD",
            cost_filters=[aws.budgets.BudgetCostFilterArgs(name="TagKeyValue", values=[f"user:Environment${context.stack}"])],
            notifications=[
                aws.budgets.BudgetNotificationArgs(
                    comparison_operator="GREATER_THAN",
                    notification_type=threshold.kind,
                    threshold=threshold.percent,
                    threshold_type="PERCENTAGE",
                    subscriber_sns_topic_arns=[args.topic_arn],
                )
                for threshold in THRESHOLDS
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
