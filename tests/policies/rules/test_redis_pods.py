"""What the cases of Redis in a pod do not say."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cases.redis_pods import ACL, CONTAINER, GOOD, TEMPLATE, USERS
from cases.theme import Theme

from policies.resource import Resource, Stack
from policies.rule import Outcome, all_of, judge_stack
from policies.rules import RULES
from policies.values import UNKNOWN, Secret

(R08,) = (rule for rule in RULES if rule.id == "R08")
THEME = Theme(good=GOOD, cases={})


def findings(stack: Stack) -> list[str]:
    return [each.urn for relation in R08.relations for each in judge_stack(relation, stack)]


def of(stack: Stack) -> Outcome:
    return all_of(each.verdict for relation in R08.relations for each in judge_stack(relation, stack)).outcome


def changed(name: str, changes: dict[str, Any], **options: Any) -> Stack:
    return THEME.stack(THEME.resource(name, changes, **options))


def test_a_pod_without_redis_is_not_meant() -> None:
    assert findings(changed("server", {f"{CONTAINER}/command": ["python", "-m", "app.gateway"]})) == []
    assert findings(changed("server", {f"{CONTAINER}/command": None, f"{CONTAINER}/image": "x/redis-exporter:1"})) == []
    assert findings(changed("server", {f"{CONTAINER}/command": UNKNOWN})) == []
    assert findings(changed("server", {"spec": [[1]]})) == []
    assert findings(THEME.stack()) == [THEME.urn("server")]


@pytest.mark.parametrize("image", ["redis", "redis:7", "docker.io/library/redis:7@sha256:ab", "quay.io/valkey/valkey:8"])
def test_an_image_of_redis_without_a_command_starts_it_without_a_password(image: str) -> None:
    assert of(changed("server", {f"{CONTAINER}/command": None, f"{CONTAINER}/image": image})) is Outcome.FAIL


@pytest.mark.parametrize(
    "command",
    [
        ["redis-server", "--requirepass", "$(PASSWORD)"],
        ["sh", "-c", 'exec redis-server --requirepass "$PASSWORD"'],
        ["/usr/bin/valkey-server", "/x/redis.conf"],
        ["sh", "-c", "it's redis-server --requirepass x"],
    ],
)
def test_a_password_is_found_behind_a_shell_too(command: list[str]) -> None:
    assert of(changed("server", {f"{CONTAINER}/command": command})) is Outcome.PASS


def test_arguments_count_as_the_command_does() -> None:
    arguments = {f"{CONTAINER}/command": None, f"{CONTAINER}/args": ["redis-server", "--requirepass", "x"]}
    assert of(changed("server", arguments)) is Outcome.PASS


@pytest.mark.parametrize("name", ["REDIS_PASSWORD", "REDIS_PASSWORD_FILE", "VALKEY_PASSWORD", "VALKEY_PASSWORD_FILE"])
def test_an_image_that_takes_its_password_from_a_variable_has_one(name: str) -> None:
    variables = {f"{CONTAINER}/command": None, f"{CONTAINER}/env": [{"name": name, "value": "x"}]}
    assert of(changed("server", variables)) is Outcome.PASS
    other = {**variables, f"{CONTAINER}/env": [{"name": "LOG_LEVEL", "value": "x"}]}
    assert of(changed("server", other)) is Outcome.FAIL
    own = {f"{CONTAINER}/command": ["redis-server", "--port", "1"], f"{CONTAINER}/env": variables[f"{CONTAINER}/env"]}
    assert of(changed("server", own)) is Outcome.FAIL


def test_data_in_base64_is_read_and_string_data_wins() -> None:
    encoded = base64.b64encode(b"user default on nopass\n").decode()
    assert of(changed("access", {"stringData": None, "data": {"users.acl": encoded}})) is Outcome.FAIL
    assert of(changed("access", {"data": {"users.acl": encoded}})) is Outcome.PASS
    good = base64.b64encode(USERS.encode()).decode()
    assert of(changed("access", {"stringData": None, "data": Secret({"users.acl": Secret(good)})})) is Outcome.PASS
    assert of(changed("access", {"stringData": None, "data": {"users.acl": "no base64!"}})) is Outcome.FAIL


def test_a_projected_volume_holds_files_too() -> None:
    sources = [{"configMap": {"name": "redis"}}, {"secret": {"name": "redis"}}]
    volumes = {f"{TEMPLATE}/volumes": [{"name": "all", "projected": {"sources": sources}}]}
    assert of(changed("server", volumes)) is Outcome.PASS
    without = {f"{TEMPLATE}/volumes": [{"name": "all", "projected": {"sources": sources[:1]}}]}
    assert of(changed("server", without)) is Outcome.UNDETERMINED


def test_a_file_that_the_stack_does_not_hold_is_undetermined() -> None:
    assert of(THEME.stack(without=("configuration",))) is Outcome.UNDETERMINED
    assert of(THEME.stack(without=("access",))) is Outcome.UNDETERMINED


def test_before_the_password_exists_the_edges_say_that_the_list_gets_one() -> None:
    for value in (UNKNOWN, Secret(UNKNOWN)):
        assert of(changed("access", {ACL: value})) is Outcome.PASS
        assert of(changed("access", {ACL: value}, linked=False)) is Outcome.UNDETERMINED
        assert of(changed("access", {"stringData": value})) is Outcome.PASS
    assert of(THEME.stack(THEME.resource("access", {ACL: UNKNOWN}), without=("secrets",))) is Outcome.UNDETERMINED
    opened = THEME.resource("configuration", {"data/redis.conf": "port 6379\n"})
    assert of(THEME.stack(THEME.resource("access", {ACL: UNKNOWN}), opened)) is Outcome.FAIL


def test_each_server_of_a_list_counts() -> None:
    server = THEME.resource("server")
    kind = "kubernetes:apps/v1:StatefulSetList"
    items = [dict(server.properties), dict(THEME.resource("server", {f"{CONTAINER}/command": ["redis-server"]}).properties)]
    many = Resource(urn=THEME.urn("server"), type=kind, name="many", properties={"items": items})
    stack = THEME.stack(without=("server",))
    assert of(Stack((*stack.resources, many))) is Outcome.FAIL
