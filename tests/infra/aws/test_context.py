"""What every component on AWS is given."""

from __future__ import annotations

import pytest
from aws_rendering import ACCOUNT, aws_settings, render_component

from infra.aws.context import AwsContext, partition_of, tags
from infra.aws.naming import physical


@pytest.mark.parametrize(
    ("region", "partition", "suffix"),
    [
        ("eu-central-1", "aws", "amazonaws.com"),
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
    ],
)
def test_knows_the_partition_of_a_region(region, partition, suffix):
    assert (partition_of(region).name, partition_of(region).dns_suffix) == (partition, suffix)


async def test_asks_for_as_many_zones_as_are_set_and_names_buckets_by_account_and_region():
    seen: dict[str, object] = {}

    def make(context: AwsContext) -> None:
        context.bucket_name("models").apply(lambda name: seen.update(bucket=name))
        context.arn("sns", "alarms").apply(lambda arn: seen.update(topic=arn))
        seen["zones"] = len(context.zones)

    await render_component(make, aws_settings("prod", aws={"region": "cn-north-1"}))
    assert seen == {
        "bucket": f"assistant-prod-models-{ACCOUNT}-cn-north-1",
        "topic": f"arn:aws-cn:sns:cn-north-1:{ACCOUNT}:alarms",
        "zones": 3,
    }


def test_everything_says_whose_it_is():
    found = tags("staging", aws_settings("staging", aws={"owner": "platform", "tags": {"CostCenter": "42", "Owner": "other"}}))
    assert found["Owner"] == "platform"
    assert found["Environment"] == "staging"
    assert found["CostCenter"] == "42"


def test_a_name_that_is_too_long_is_cut_and_stays_unique():
    one, other = (physical("a-long-stack-name", "target-group", word, longest=32) for word in ("api", "apj"))
    assert len(one) == len(other) == 32
    assert one != other
    assert physical("prod", "api", longest=32) == "assistant-prod-api"
