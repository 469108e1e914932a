"""The task library, read as the worker reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policies.resource import Resource
from policies.rule import Outcome, Verdict, judge
from policies.rules import tasks

LIBRARY = Path(__file__).parents[3] / "app" / "tasks" / "library"
TEMPLATE = (
    "- name: a\n  pattern: make (?P<t>.+)\n  action: {api: calendar.create, params: {summary: '{t}', start: '{today}'}}\n"
)
A01 = next(rule for rule in tasks.RULES if rule.id == "A01")


def library(folder: Path, text: str = TEMPLATE, name: str = "own.yaml") -> Verdict:
    (folder / name).write_text(text, encoding="utf-8")
    return tasks.judge_library(folder)


def test_the_library_of_the_package_passes() -> None:
    assert tasks.judge_library().outcome is Outcome.PASS
    assert tasks.judge_library(LIBRARY).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("wrong", "right", "words"),
    [
        ("calendar.create", "calendar.creat", 'unknown action "calendar.creat"'),
        ("(?P<t>.+)", "(?P<t>.+)\\\\1", "RE2 syntax is allowed"),
        ("summary", "summery", 'unknown parameter "summery"'),
        ("make (?P<t>.+)", "(?P<t>.*)", "matches the empty message"),
        ("- name: a", "- title: a", 'unknown field "title"'),
    ],
)
def test_a_template_that_the_worker_would_refuse_fails_with_the_workers_words(
    tmp_path: Path, wrong: str, right: str, words: str
) -> None:
    assert library(tmp_path).outcome is Outcome.PASS
    verdict = library(tmp_path, TEMPLATE.replace(wrong, right.replace("\\\\", "\\")))
    assert verdict.outcome is Outcome.FAIL
    assert words in "\n".join(verdict.reasons)


def test_every_mistake_is_a_reason_of_its_own(tmp_path: Path) -> None:
    verdict = library(tmp_path, TEMPLATE.replace("summary", "summery").replace("calendar.create", "calendar.creat"))
    assert len(verdict.reasons) >= 1
    assert len(library(tmp_path, TEMPLATE.replace("summary", "summery").replace("start", "begin")).reasons) > 2


def test_a_file_that_the_worker_never_reads_is_found(tmp_path: Path) -> None:
    library(tmp_path)
    verdict = library(tmp_path, name="other.yml")
    assert verdict.reasons == ("other.yml is never read: templates stand in files that end in .yaml",)


def test_an_empty_library_and_one_that_is_not_there_fail(tmp_path: Path) -> None:
    assert tasks.judge_library(tmp_path).reasons == ("the task library has no template",)
    assert tasks.judge_library(tmp_path / "nowhere").outcome is Outcome.FAIL


def process(module: str, **environment: Any) -> Resource:
    return Resource(
        urn="urn:pulumi:local::assistant::pulumi-python:dynamic/local:Process::it",
        type="pulumi-python:dynamic/local:Process",
        name="it",
        properties={"command": ["python", "-m", module], "environment": environment},
    )


def test_a_worker_is_judged_by_the_library_that_it_is_given(tmp_path: Path) -> None:
    (check,) = [check for check in A01.checks if process("app.pipeline").type in check.types]
    assert judge(check, process("app.pipeline")).outcome is Outcome.PASS
    assert judge(check, process("app.pipeline", TASKS_DIRECTORY=str(tmp_path))).outcome is Outcome.FAIL
    assert judge(check, process("app.gateway", TASKS_DIRECTORY=str(tmp_path))).outcome is Outcome.PASS


ROLE = "- role: user\n  members: [everybody]\n  permissions: [ask]\n"


def roles(folder: Path, text: str) -> Verdict:
    (folder / "roles.yaml").write_text(text, encoding="utf-8")
    return tasks.judge_access(roles=folder / "roles.yaml")


def test_the_roles_of_the_package_pass_and_so_do_bounded_ones(tmp_path: Path) -> None:
    assert tasks.judge_access().outcome is Outcome.PASS
    assert roles(tmp_path, ROLE).outcome is Outcome.PASS
    operator = '- role: operator\n  members: ["generic:acme:alice"]\n  permissions: ["*"]\n'
    assert roles(tmp_path, ROLE + operator).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("granted", "words"),
    [
        ('"*"', "the role user lets everybody do everything"),
        ("administer", "the role user lets everybody administer"),
        ("administer:replay", "the role user lets everybody administer"),
        ("asks", 'unknown permission "asks"'),
        ("run:calendar.delete", 'unknown permission "run:calendar.delete"'),
    ],
)
def test_everybodys_role_is_bounded_and_its_permissions_are_known(tmp_path: Path, granted: str, words: str) -> None:
    verdict = roles(tmp_path, ROLE.replace("ask", granted))
    assert verdict.outcome is Outcome.FAIL
    assert words in "\n".join(verdict.reasons)


TENANTS = "- name: acme\n  teams: [slack:T1]\n"
TASKS_BESIDE = TENANTS + "  tasks: library\n"
A02 = next(rule for rule in tasks.RULES if rule.id == "A02")


@pytest.mark.parametrize("module", ["app.gateway", "app.pipeline"])
def test_gateway_and_worker_are_judged_by_the_tenants_and_roles_that_they_are_given(tmp_path: Path, module: str) -> None:
    (check,) = [check for check in A02.checks if process(module).type in check.types]
    tenants, own = tmp_path / "tenants.yaml", tmp_path / "own.yaml"
    tenants.write_text(TENANTS, encoding="utf-8")
    own.write_text(ROLE.replace("everybody", "tenant:acme"), encoding="utf-8")
    assert judge(check, process(module)).outcome is Outcome.PASS
    assert judge(check, process(module, TENANTS_FILE=str(tenants), ROLES_FILE=str(own))).outcome is Outcome.PASS
    verdict = judge(check, process(module, ROLES_FILE=str(own)))
    assert 'unknown tenant "acme"' in "\n".join(verdict.reasons)
    assert judge(check, process("app.inference", ROLES_FILE=str(own))).outcome is Outcome.PASS


def test_a_tenants_task_library_is_judged_with_it(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    tenants = tmp_path / "tenants.yaml"
    tenants.write_text(TASKS_BESIDE, encoding="utf-8")
    (tmp_path / "library" / "own.yaml").write_text(TEMPLATE, encoding="utf-8")
    assert tasks.judge_access(tenants).outcome is Outcome.PASS
    (tmp_path / "library" / "own.yaml").write_text(TEMPLATE.replace("calendar.create", "calendar.creat"), encoding="utf-8")
    assert 'tasks: own.yaml: template 1 "a": action.api: unknown action' in "\n".join(tasks.judge_access(tenants).reasons)
