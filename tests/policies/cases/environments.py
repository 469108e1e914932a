"""Names and tags of one environment."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme

THEME = Theme(
    good={
        "bucket": Good(
            type="aws:s3/bucket:Bucket",
            properties={
                "bucket": "assistant-prod-logs-123456789012-eu-central-1",
                "tags": {"Environment": "prod", "Name": "assistant-prod"},
            },
        ),
        "provider": Good(
            type="pulumi:providers:aws",
            properties={"region": "eu-central-1", "defaultTags": '{"tags":{"Environment":"prod","Owner":"assistant"}}'},
        ),
        "network": Good(type="pulumi:pulumi:StackReference", properties={"name": "organization/network/prod"}),
    },
    cases={
        "R74": Cases(
            failing=(
                Bad(
                    "bucket",
                    {"bucket": "assistant-staging-logs-123456789012"},
                    "bucket names something of the environment stag",
                ),
                Bad("bucket", {"tags/Name": "x assistant/dev/queue"}, "tags.Name names something of the environment dev"),
                Bad("bucket", {"bucket": "arn:aws:s3:::assistant-dev"}, "of the environment dev"),
                Bad("bucket", {"tags/Environment": "staging"}, "the tag Environment is staging; this stack is prod"),
                Bad("provider", {"defaultTags": '{"tags":{"Environment":"dev"}}'}, "the tag Environment is dev"),
                Bad("network", {"name": "organization/network/staging"}, "leads to the stack staging; this one is prod"),
                Bad("network", {"name": None}, "leads to the stack"),
            ),
            unknown=("network", "name"),
            malformed=("network", "name"),
        ),
    },
)
