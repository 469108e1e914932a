"""The workflows of continuous integration: what a linter does not hold them to, and what this project promises of them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.pulumi.environment import CHECKOUT
from tools.review.review import LABEL

FOLDER = CHECKOUT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.y*ml"))
PINNED = re.compile(r"^[\w.-]+/[\w.-]+@[0-9a-f]{40}$")
# A step runs a command of the Makefile, so that it runs anywhere else too; what only GitHub has comes to these.
COMMANDS = (
    re.compile(r'make "\$SUITE"'),
    re.compile(r"(sudo )?make [a-z-]+( [A-Z]+=(\S+|\"[^\"$`]*\"))*"),
    re.compile(r'cat "\.state/reviews/\$STACK/review\.md" >> "\$GITHUB_STEP_SUMMARY"'),
    re.compile(r"tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf evidence\.tar evidence"),
    re.compile(r'gh release upload "\$TAG" evidence\.tar --clobber'),
)
MAY_WRITE = {("preview.yml", "comment"), ("drift.yml", "issue"), ("evidence.yml", "publish")}
BUILT_FROM_CODE = ("make", "sudo")


def loaded(file: Path) -> dict[str, Any]:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    document["on"] = document.pop(True)  # YAML 1.1 reads `on` as a truth
    return document


def jobs() -> list[tuple[str, str, dict[str, Any]]]:
    return [(file.name, name, job) for file in WORKFLOWS for name, job in loaded(file)["jobs"].items()]


def steps() -> list[tuple[str, dict[str, Any]]]:
    return [(f"{file} {name}", step) for file, name, job in jobs() for step in job.get("steps") or ()]


def targets() -> set[str]:
    text = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


def test_there_is_a_workflow_for_each_promise() -> None:
    assert {file.stem for file in WORKFLOWS} == {"test", "preview", "deploy", "deploy-stack", "drift", "evidence"}


def test_every_action_is_pinned_by_its_commit_and_says_which_version_that_is() -> None:
    for file in WORKFLOWS:
        for line in file.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"\s*(?:- )?uses: (\S+)(.*)", line):
                name, comment = found.groups()
                if name.startswith("./"):
                    assert (CHECKOUT / name).is_file(), f"{file.name}: {name}"
                    continue
                assert PINNED.match(name), f"{file.name}: {name} is not pinned by 40 hexadecimal digits"
                assert re.match(r" # v\d+\.\d+\.\d+$", comment), f"{file.name}: {name} does not say its version"


def test_one_action_has_one_version() -> None:
    pins = {step["uses"].partition("@")[0]: set() for _, step in steps() if "uses" in step}
    for _, step in steps():
        if "uses" in step:
            name, _, pin = step["uses"].partition("@")
            pins[name].add(pin)
    assert {name for name, commits in pins.items() if len(commits) > 1} == set()


@pytest.mark.parametrize(("where", "step"), [(where, step) for where, step in steps() if "run" in step])
def test_a_step_runs_one_command_that_runs_anywhere(where: str, step: dict[str, Any]) -> None:
    command = step["run"].strip()
    assert any(pattern.fullmatch(command) for pattern in COMMANDS), f"{where}: {command}"
    assert "${{" not in command, f"{where}: an expression in a command is code that somebody else writes"
    if (found := re.search(r"make ([a-z-]+)", command)) is not None:
        assert found[1] in targets(), f"{where}: make {found[1]}"


def test_the_suites_are_targets() -> None:
    matrix = loaded(FOLDER / "test.yml")["jobs"]["suite"]["strategy"]["matrix"]["suite"]
    assert set(matrix) <= targets()


def test_nothing_is_permitted_that_a_job_does_not_name() -> None:
    for file in WORKFLOWS:
        assert loaded(file)["permissions"] == {}, file.name
    for file, name, job in jobs():
        assert "permissions" in job, f"{file} {name}"
        written = {scope for scope, level in job["permissions"].items() if level == "write"} - {"id-token"}
        assert not written or (file, name) in MAY_WRITE, f"{file} {name} may write {written}"


def test_whoever_may_write_to_a_request_runs_nothing_of_it() -> None:
    comment = loaded(FOLDER / "preview.yml")["jobs"]["comment"]
    (checkout,) = [step for step in comment["steps"] if "actions/checkout" in step.get("uses", "")]
    assert checkout["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
    publish = loaded(FOLDER / "evidence.yml")["jobs"]["publish"]
    assert not [step for step in publish["steps"] if step.get("run", "").startswith(BUILT_FROM_CODE)]


def test_a_strangers_code_never_runs_with_this_repositorys_rights() -> None:
    for file in WORKFLOWS:
        assert not {"pull_request_target", "workflow_run"} & set(loaded(file)["on"]), file.name
    preview = loaded(FOLDER / "preview.yml")["jobs"]
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    assert same in preview["preview"]["if"]
    fork = preview["without-credentials"]
    assert fork["permissions"] == {"contents": "read"}
    assert "vars.RUNNER" not in fork["runs-on"], "a fork's code runs on no machine of ours"
    assert not [step for step in fork["steps"] if "aws-actions" in step.get("uses", "")]


def test_no_clone_keeps_a_token() -> None:
    for where, step in steps():
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False, where


def test_no_secret_is_named_and_none_is_needed() -> None:
    for file in WORKFLOWS:
        text = file.read_text(encoding="utf-8")
        assert "secrets." not in text, file.name
        assert "secrets: inherit" not in text, file.name


def test_every_job_ends() -> None:
    for file, name, job in jobs():
        assert "uses" in job or job["timeout-minutes"] <= 120, f"{file} {name}"


def test_what_writes_into_a_stack_comes_after_another_and_is_not_broken_off() -> None:
    (job,) = loaded(FOLDER / "deploy-stack.yml")["jobs"].values()
    assert job["concurrency"] == {"group": "stack-${{ inputs.stack }}", "cancel-in-progress": False}
    assert job["environment"] == "${{ inputs.stack }}"
    drift = loaded(FOLDER / "drift.yml")["jobs"]["drift"]
    assert drift["concurrency"]["group"].startswith("stack-")


def test_environments_are_deployed_one_after_the_other() -> None:
    deploy = loaded(FOLDER / "deploy.yml")["jobs"]
    assert list(deploy) == ["dev", "staging", "prod"]
    assert (deploy["staging"]["needs"], deploy["prod"]["needs"]) == ("dev", ["dev", "staging"])
    assert all("!failure()" in deploy[name]["if"] for name in ("staging", "prod"))


def test_the_page_that_sets_it_up_names_every_workflow_variable_and_label() -> None:
    page = (CHECKOUT / "docs" / "ci.md").read_text(encoding="utf-8")
    for file in WORKFLOWS:
        if file.stem != "deploy-stack":  # called by deploy.yml
            assert f".github/workflows/{file.name}" in page
        for name in re.findall(r"vars\.([A-Z_]+)", file.read_text(encoding="utf-8")):
            assert f"`{name}`" in page, name
    assert f"`{LABEL}`" in page
    for target in re.findall(r"`make ([a-z-]+)", page):
        assert target in targets(), target


@pytest.mark.parametrize("text", ["$(touch hit)", "`touch hit`", 'a "quoted" name', "a'b; touch hit", "x $$ y"])
def test_a_label_and_a_base_reach_the_review_as_text(tmp_path: Path, text: str) -> None:
    """Whoever names a branch or a label writes no command."""
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8").replace(": environment ##", ": ##")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    (tmp_path / "Makefile").write_text(makefile, encoding="utf-8")
    given = {"PATH": os.environ["PATH"], "STACK": "prod", "BASE": text, "LABELS": text}
    done = subprocess.run(["make", "-s", "review"], cwd=tmp_path, env=given, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[2:] == ["--stack", "prod", "review", "--base", text, "--labels", text], done.stderr
    assert not (tmp_path / "hit").exists()


def test_the_linter_finds_nothing_and_would_find_an_injection(tmp_path: Path) -> None:
    from tools.workflows.__main__ import FLAGS, ZIZMOR, main

    assert main([]) == 0
    bad = tmp_path / "bad.yml"
    bad.write_text(
        (FOLDER / "test.yml").read_text().replace('run: make "$SUITE"', 'run: echo "${{ github.event.pull_request.title }}"')
    )
    done = subprocess.run([str(ZIZMOR), *FLAGS, str(bad)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "template-injection" in done.stdout + done.stderr
