"""Secrets Manager: a key of the customer's, and a rotation or a reason."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme

ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/5f3c2b1a-7d6e-4c5b-8a90-1f2e3d4c5b6a"
ARN = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:assistant/prod/one-a1B2c3"
REASON = "its users hold it as well: raise secretVersions within 90 days"
OVER_TIME = "automaticallyAfterDays is 91: at most 90 days are allowed"

_GOOD = {
    "key": Good(type="aws:kms/key:Key", properties={"arn": KEY}),
    "by-hand": Good(
        type="aws:secretsmanager/secret:Secret",
        properties={"name": "assistant/prod/api_key", "kmsKeyId": KEY, "tags": {"RotationByHand": REASON}},
        refers={"kmsKeyId": ("key",)},
    ),
    "rotating": Good(
        type="aws:secretsmanager/secret:Secret",
        properties={
            "name": "one",
            "arn": ARN,
            "kmsKeyId": KEY,
            "tags": {},
            "replicas": [{"region": "eu-west-1", "kmsKeyId": KEY}],
        },
        refers={"kmsKeyId": ("key",)},
    ),
    "rotation": Good(
        type="aws:secretsmanager/secretRotation:SecretRotation",
        properties={"secretId": ARN, "rotationRules": {"automaticallyAfterDays": 90}},
        refers={"secretId": ("rotating",)},
    ),
    "older": Good(
        type="aws:secretsmanager/secret:Secret",
        properties={"name": "older", "kmsKeyId": KEY, "rotationRules": {"automaticallyAfterDays": 30}},
        refers={"kmsKeyId": ("key",)},
    ),
}

_CASES = {
    "R07": Cases(
        failing=(
            Bad("by-hand", {"tags/RotationByHand": None}, "tags.RotationByHand does not say why not"),
            Bad("by-hand", {"tags": None}, "nothing rotates the secret within 90 days"),
            Bad("by-hand", {"tags/RotationByHand": "no"}, "too short to be a reason"),
            Bad("by-hand", {"tags/RotationByHand": "a" * 19 + "   "}, "too short to be a reason"),
            Bad("rotation", {"rotationRules/automaticallyAfterDays": 91}, OVER_TIME),
            Bad("rotation", {"rotationRules": {"scheduleExpression": "rate(91 days)"}}, "is every 91 days: at most 90"),
            Bad("rotation", {"rotationRules": {"scheduleExpression": "rate(2161 hours)"}}, "at most 90 days"),
            Bad("rotation", {"rotationRules": {"scheduleExpression": "now and then"}}, "says no time"),
            Bad("rotation", {"rotationRules": {}}, "says no time"),
            Bad("rotation", {"rotationRules": None}, "nothing says when the secret rotates"),
            Bad("rotation", {"secretId": ARN.replace("one", "two")}, "nothing rotates", unlinked=True),
            Bad("older", {"rotationRules/automaticallyAfterDays": 91}, OVER_TIME),
        ),
        unknown=("rotation", "secretId"),
        malformed=("by-hand", "tags"),
    ),
    "R67": Cases(
        failing=(
            Bad("by-hand", {"kmsKeyId": None}, "kmsKeyId is not set", unlinked=True),
            Bad("by-hand", {"kmsKeyId": "alias/aws/secretsmanager"}, "a key that AWS manages", unlinked=True),
            Bad("rotating", {"replicas/0/kmsKeyId": None}, "replicas[0].kmsKeyId is not set", unlinked=True),
        ),
        unknown=("by-hand", "kmsKeyId"),
        malformed=("rotating", "replicas"),
    ),
}

THEME = Theme(good=_GOOD, cases=_CASES)
