"""Tags by the provider and by hand, and what holds data."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme

DEFAULTS = '{"tags": {"Owner": "platform-team", "Environment": "prod", "DataClassification": "confidential"}}'
PROVIDER = "urn:pulumi:prod::assistant::pulumi:providers:aws::provider"
OWN = {"Owner": "platform-team", "Environment": "prod", "DataClassification": "internal"}
_BUCKET = {"bucket": "assistant-prod-models"}

THEME = Theme(
    good={
        "provider": Good(type="pulumi:providers:aws", properties={"region": "eu-central-1", "defaultTags": DEFAULTS}),
        "bucket": Good(type="aws:s3/bucket:Bucket", properties=_BUCKET, options={"provider": PROVIDER, "protected": True}),
        "queue": Good(type="aws:sqs/queue:Queue", properties={"name": "events", "tags": OWN}),
        "cluster": Good(
            type="aws:eks/cluster:Cluster",
            properties={"name": "assistant-prod", "deletionProtection": True},
            options={"provider": f"{PROVIDER}::4f2c"},
        ),
        "pool": Good(
            type="aws:cognito/userPool:UserPool",
            properties={"deletionProtection": "ACTIVE", "tagsAll": OWN},
        ),
        "table": Good(
            type="aws:dynamodb/table:Table",
            properties={"deletionProtectionEnabled": True},
            options={"provider": PROVIDER},
        ),
        **{
            kind: Good(
                type=f"aws:{kind}/{resource}:{resource[0].upper()}{resource[1:]}",
                properties={"deletionProtection": True},
                options={"provider": PROVIDER},
            )
            for kind, resource in (("rds", "instance"), ("docdb", "cluster"), ("neptune", "cluster"))
        },
        "group": Good(
            type="aws:autoscaling/group:Group",
            properties={"tags": [{"key": key, "value": value, "propagateAtLaunch": True} for key, value in OWN.items()]},
            options={"provider": PROVIDER},
        ),
    },
    cases={
        "R01": Cases(
            failing=(
                Bad("provider", {"defaultTags": None}, "it carries no tag Owner and no Environment and no DataClassification"),
                Bad("provider", {"defaultTags": '{"tags": {"Owner": "a", "Environment": "b"}}'}, "no tag DataClassification,"),
                Bad("provider", {"defaultTags": DEFAULTS.replace("platform-team", "")}, "no tag Owner,"),
                Bad("provider", {"defaultTags": "{}"}, "neither of its own nor by the provider's default tags"),
                Bad("provider", {"defaultTags": "Owner=a"}, "JSON was expected"),
                Bad("queue", {"tags/Owner": None}, "no tag Owner,"),
                Bad("queue", {"tags/Environment": ""}, "no tag Environment,"),
                Bad("queue", {"tags": None}, "no tag Owner and"),
                Bad("group", {"tags": []}, "no tag Owner and"),
                Bad("group", {"tags/2/value": ""}, "no tag DataClassification,"),
            ),
            unknown=("provider", "defaultTags"),
            malformed=("queue", "tags"),
        ),
        "R12": Cases(
            failing=(
                Bad("bucket", {}, "it holds data and is not protected", options={"protected": False, "provider": PROVIDER}),
                Bad("cluster", {"deletionProtection": False}, "nor deletionProtection is set"),
                Bad("cluster", {"deletionProtection": None}, "nor deletionProtection is set"),
                Bad("pool", {"deletionProtection": "INACTIVE"}, "nor deletionProtection is set"),
                Bad("table", {"deletionProtectionEnabled": False}, "nor deletionProtectionEnabled is set"),
            ),
            unknown=("cluster", "deletionProtection"),
            malformed=None,  # whatever stands there, it is not what protects
        ),
    },
)
