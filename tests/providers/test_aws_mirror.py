"""What the stand-in makes and other programs call exists at the emulator too, and is gone there when it is gone here."""

from __future__ import annotations

from aws.mirror import Mirror

REGION = "eu-central-1"
BUCKET = {"bucket": "assistant-trial-models"}
SECRET = {"name": "assistant/trial/api_key"}
USER = {"userName": "assistant-trial", "accessString": "on ~* +@all"}
MADE = (("s3/bucket:Bucket", BUCKET), ("secretsmanager/secret:Secret", SECRET), ("memorydb/user:User", USER))


def test_what_others_call_comes_and_goes_with_the_stack(aws):
    mirror = Mirror(aws.url)
    for token, outputs in MADE:
        mirror.created(f"aws:{token}", outputs, REGION)
        mirror.created(f"aws:{token}", outputs, REGION)  # a second time is none
    s3, secrets, users = aws.client("s3"), aws.client("secretsmanager"), aws.client("memorydb")
    assert [it["Name"] for it in s3.list_buckets()["Buckets"]] == [BUCKET["bucket"]]
    assert "VersionIdsToStages" not in secrets.describe_secret(SecretId=SECRET["name"])  # empty
    assert users.describe_users(UserName=USER["userName"])["Users"][0]["Authentication"]["Type"] == "iam"

    s3.put_object(Bucket=BUCKET["bucket"], Key="models/a", Body=b"weights")
    for token, outputs in MADE:
        mirror.deleted(f"aws:{token}", outputs, REGION)
        mirror.deleted(f"aws:{token}", outputs, REGION)
    assert s3.list_buckets()["Buckets"] == []
    assert secrets.list_secrets()["SecretList"] == []


def test_nothing_is_called_where_no_emulator_is_named(monkeypatch):
    called = []
    monkeypatch.setattr("boto3.client", lambda *words, **_more: called.append(words))
    Mirror(None).created("aws:s3/bucket:Bucket", BUCKET, REGION)
    assert called == []
