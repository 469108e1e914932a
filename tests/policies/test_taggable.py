"""The list of what carries tags is the installed SDK's."""

from __future__ import annotations

from policies import taggable


def test_the_list_is_what_the_pinned_sdk_says() -> None:
    """When this fails after an update of pulumi-aws: python -m policies.taggable."""
    assert sorted(taggable.read()) == taggable.of_sdk()


def test_it_knows_what_takes_tags_and_what_does_not() -> None:
    known = taggable.read()
    assert {"aws:s3/bucket:Bucket", "aws:kms/key:Key", "aws:sqs/queue:Queue"} <= known
    assert not {"aws:s3/bucketPolicy:BucketPolicy", "aws:autoscaling/group:Group", "aws:iam/rolePolicy:RolePolicy"} & known
