"""Access review, inventory, versions and waivers: what the registers say of the recorded resources."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

import pytest
from evidence.recorded import DAY, FORMULA, HISTORY, KEY, RESOURCES, RESULTS, RULES, WAIVER, assembled, record_of, seen, urn

from policies.evidence import exceptions, inventory
from policies.evidence.table import Table
from policies.waivers import Register


def table(file: str, name: str, **changes: Any) -> list[dict[str, str]]:
    return json.loads(assembled(**changes)[file])[name]  # type: ignore[no-any-return]


def access(name: str) -> list[dict[str, str]]:
    return table("access-review.json", f"access-{name}")


def test_a_role_is_listed_with_who_may_assume_it_and_the_pods_that_get_it() -> None:
    (role,) = access("aws-roles")

    assert role == {
        "role": "assistant-worker",
        "description": FORMULA,
        "trusted": "Service: pods.eks.amazonaws.com",
        "actions": "sts:AssumeRole",
        "condition": "",
        "pods": "assistant/worker",
        "permissions boundary": "",
    }


def test_each_statement_is_listed_with_the_role_that_has_it_and_what_to_look_at() -> None:
    rows = {row["policy"]: row for row in access("aws-permissions")}

    assert rows["worker"]["role"] == "assistant-worker"
    assert rows["worker"]["actions"] == "kms:Decrypt, s3:*"
    assert rows["worker"]["condition"] == '{"Bool": {"a": "b"}}'
    assert rows["worker"]["remark"] == "every action of a service, every resource"
    assert rows["arn:aws:iam::aws:policy/ReadOnlyAccess"]["remark"] == "managed by AWS"


def test_a_policy_that_is_not_known_yet_is_listed_as_such() -> None:
    rows = {row["policy"]: row for row in access("aws-permissions")}

    assert (rows["later"]["effect"], rows["later"]["actions"]) == ("", "not known before the update")


def test_what_a_policy_leaves_out_is_said_as_an_exception() -> None:
    document = (
        '{"Statement": [{"Effect": "Deny", "NotAction": "s3:Get*", "NotPrincipal": {"AWS": ["b", "a"]}, "Resource": "*"}]}'
    )
    record = record_of((seen("aws:sns/topicPolicy:TopicPolicy", "topic", {"policy": document}),), ())
    (row,) = table("access-review.json", "access-aws-resource-policies", record=record)

    assert (row["actions"], row["principal"]) == ("all but s3:Get*", "all but AWS: a, b")


def test_policies_on_resources_are_listed_and_those_of_another_kind_are_not() -> None:
    log = seen(
        "aws:cloudwatch/logDataProtectionPolicy:LogDataProtectionPolicy",
        "mask",
        {"policyDocument": '{"Statement": [{"Sid": "mask"}]}'},
    )
    rows = table("access-review.json", "access-aws-resource-policies", record=record_of((*RESOURCES, log)))

    assert [row["resource"] for row in rows] == ["topic"]


def test_kubernetes_roles_bindings_and_accounts_are_listed() -> None:
    assert access("kubernetes-roles") == [
        {
            "kind": "Role",
            "namespace": "assistant",
            "role": "reader",
            "verbs": "get, list",
            "resources": "pods",
            "api groups": "core",
            "names": "all",
        }
    ]
    assert access("kubernetes-bindings") == [
        {"namespace": "assistant", "binding": "reader", "role": "Role reader", "subject": "ServiceAccount assistant/worker"}
    ]


def test_a_namespace_that_is_not_known_yet_is_that_of_the_object_it_comes_from() -> None:
    assert access("kubernetes-accounts") == [
        {"namespace": "assistant", "account": "worker", "token mounted": "no", "roles": "Role reader"}
    ]


def test_the_applications_roles_are_listed_where_it_has_some() -> None:
    roles = {"roles": {"operator": {"routes": ["GET /a", "POST /b"], "note": None}, "reader": [{"route": "GET /a"}]}}
    history = dataclasses.replace(HISTORY, roles=roles)

    assert access("application") == []
    assert table("access-review.json", "access-application", history=history) == [
        {"entry": "roles / operator / routes", "grants": "GET /a, POST /b"},
        {"entry": "roles / reader [1] / route", "grants": "GET /a"},
    ]


def test_a_key_is_listed_with_its_rotation_and_those_who_use_it() -> None:
    (key,) = table("inventory.json", "keys")

    assert key == {
        "key": "data",
        "purpose": "models",
        "aliases": "alias/data",
        "rotation": "yes, every 365 days",
        "deletion window in days": "30",
        "protected": "yes",
        "used by": "Repository gateway, Secret api_key",
    }


def test_a_key_of_a_deployed_stack_is_found_by_its_arn() -> None:
    arn = "arn:aws:kms:eu-central-1:123456789012:key/1"
    keys = inventory.keys([seen(KEY, "data", {"arn": arn}), seen("aws:sns/topic:Topic", "alarms", {"kmsMasterKeyId": arn})])

    assert keys.rows[0][-1] == "Topic alarms"


def test_a_key_without_rotation_and_users_is_said_to_have_none() -> None:
    (row,) = inventory.keys([seen(KEY, "data", {})]).objects()

    assert (row["rotation"], row["used by"], row["protected"]) == ("no", "none in this stack", "no")


def test_a_certificate_is_listed_with_the_days_left_on_the_records_day() -> None:
    (certificate,) = table("inventory.json", "certificates")

    assert (certificate["names"], certificate["ends"], certificate["days left"]) == (
        "assistant.example.com",
        "2026-12-25T00:00:00Z",
        "30",
    )


def test_what_serves_a_certificate_is_found_behind_its_validation() -> None:
    acm, validation = "aws:acm/certificate:Certificate", "aws:acm/certificateValidation:CertificateValidation"
    unknown = {"certificateArn": {"$unknown": True}}
    resources = [
        seen(acm, "edge", {"domainName": "a.example.com"}),
        seen(validation, "valid", unknown, edges={"certificateArn": (urn(acm, "edge"),)}),
        seen("aws:lb/listener:Listener", "https", unknown, edges={"certificateArn": (urn(validation, "valid"),)}),
    ]

    (row,) = inventory.certificates(resources, DAY).objects()
    assert row["used by"] == "CertificateValidation valid, Listener https"
    assert (row["ends"], row["days left"]) == ("not known before the update", "")


def test_secrets_are_listed_by_name_with_their_rotation() -> None:
    rows = {row["secret"]: row for row in table("inventory.json", "secrets")}

    assert rows["assistant/prod/api_key"]["rotation"] == "by hand: within 90 days"
    assert (rows["assistant/prod/api_key"]["version"], rows["assistant/prod/api_key"]["encrypted with"]) == ("3", "data")
    assert rows["assistant/tls"]["kept in"] == "Kubernetes, kubernetes.io/tls"


def test_a_secret_that_rotates_by_itself_says_how_often() -> None:
    secret, rotation = "aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretRotation:SecretRotation"
    resources = [
        seen(secret, "s", {"name": "s"}),
        seen(
            rotation,
            "r",
            {"secretId": {"$unknown": True}, "rotationRules": {"automaticallyAfterDays": 30}},
            edges={"secretId": (urn(secret, "s"),)},
        ),
    ]

    (row,) = inventory.secrets(resources).objects()
    assert (row["rotation"], row["encrypted with"]) == ("by itself, every 30 days", "AWS' own key")


def test_secrets_that_the_stack_makes_itself_are_listed_with_their_version() -> None:
    made = seen("pulumi-python:dynamic/local:Secrets", "secrets", {"versions": {"api_key": 2}, "values": {"$secret": True}})

    (row,) = inventory.secrets([made]).objects()
    assert (row["secret"], row["kept in"], row["version"]) == ("api_key", "the stack (secrets)", "2")


def test_versions_name_what_is_pinned_and_what_the_record_knows() -> None:
    rows = {(row["kind"], row["of"]): row["is"] for row in table("versions.json", "versions")}

    assert rows["git", "commit"] == HISTORY.commit
    assert rows["provider", "aws"] == "7.51.1"
    assert rows["package", "pulumi"] == "3.251.0"
    assert rows["lock file, sha256", "requirements/gateway.lock"] == "12" * 32
    assert rows["image", "worker"] == f"registry.example.org/worker:1@sha256:{'ab' * 32}"
    assert rows["image", "gateway-image"] == "built by an update; its digest is not known before the update"
    assert rows["model", "model, modelDigest"] == "cd" * 32


def test_of_a_model_what_nobody_set_is_left_out_and_what_an_update_tells_is_awaited() -> None:
    model = seen("pulumi-python:dynamic/local:Model", "model", {"source": "hf:a/b@1#c", "digest": {"$unknown": True}})
    rows = table("versions.json", "versions", record=record_of((model,), ()))

    assert {row["of"]: row["is"] for row in rows if row["kind"] == "model"} == {
        "model, modelName": "not known before the update",
        "model, digest": "not known before the update",
        "model, source": "hf:a/b@1#c",
    }


def test_a_group_of_resources_uses_no_image() -> None:
    image = f"registry.example.org/x@sha256:{'ab' * 32}"
    group, pod = (
        seen("assistant:aws:Registry", "registry", {"image": image}),
        seen("kubernetes:core/v1:Pod", "pod", {"image": image}),
    )
    rows = table("versions.json", "versions", record=record_of((group, pod), ()))

    assert [row["of"] for row in rows if row["kind"] == "image"] == ["pod"]


def test_images_of_a_task_definition_are_found_in_its_json() -> None:
    image = f"1.dkr.ecr.eu-central-1.amazonaws.com/x@sha256:{'ab' * 32}"
    task = seen(
        "aws:ecs/taskDefinition:TaskDefinition",
        "task",
        {"containerDefinitions": json.dumps([{"image": image}]).replace("/", "\\/")},
    )
    rows = table("versions.json", "versions", record=record_of((task,), ()))

    assert {"kind": "image", "of": "task", "is": image} in rows


def test_a_waiver_is_listed_with_its_days_left_and_what_it_excuses() -> None:
    (row,) = register(Register((WAIVER,))).objects()

    assert (row["ticket"], row["owner"], row["expires"]) == ("OPS-123", "platform-team", "2027-01-04")
    assert (row["days left"], row["findings excused here"]) == ("40", "1")


def register(given: Register) -> Table:
    return exceptions.table(given, RULES, RESULTS, "prod", datetime.date.fromisoformat(DAY))


def test_an_entry_that_is_not_in_force_is_told_with_the_reason() -> None:
    assert (
        "waiver 1: it has expired on 2026-01-01"
        in register(Register(mistakes=("waiver 1: it has expired on 2026-01-01",))).note
    )


def test_the_change_log_says_what_a_commit_touched_and_when_it_changed_the_exceptions() -> None:
    first, second = table("changes.json", "changes")

    assert (first["touches"], first["exceptions"], first["reviewed by"]) == ("app, policies", "changes the waivers", "Grace")
    assert (second["touches"], second["exceptions"]) == ("other", "")


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+x", "'+x"),
        ("-x", "'-x"),
        ("@x", "'@x"),
        (" =x", "' =x"),
        ("\tx", "'\tx"),
        ("-5", "-5"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_is_made_text(cell: str, written: str) -> None:
    assert Table("t", "T", ("column",), [(cell,)]).csv() == f"column\r\n{written or chr(34) * 2}\r\n"
