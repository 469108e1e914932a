"""The docker-build stand-in: its decisions, and its life under the real engine."""

from __future__ import annotations

import dataclasses
import json

import pytest
from docker_build import hook, image
from docker_build.choice import FOLDER, PERMISSION, with_plugin

PROGRAM = """
    import pulumi
    import pulumi_docker_build as docker_build

    config = pulumi.Config()
    made = docker_build.Image("app", push=True, tags=["registry.example.com:5000/team/app:1"],
        context={"location": "app"}, dockerfile={"location": "app/Dockerfile"}, platforms=["linux/amd64"],
        build_args={"EXTRA": config.get("extra") or "cpu"}, build_on_preview=False,
        registries=[{"address": "registry.example.com:5000", "username": "a", "password": pulumi.Output.secret("a-canary")}])
    pulumi.export("ref", made.ref)
"""


@pytest.fixture
def context(tmp_path):
    folder = tmp_path / "app"
    (folder / "cache").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "main.py").write_text("print()\n")
    (folder / "cache" / "x").write_text("1")
    (folder / ".dockerignore").write_text("cache\n")
    return tmp_path


def given(**more):
    return {"push": True, "tags": ["a.example.com:5000/b/c:1"], "context": {"location": "app"}, **more}


def test_the_reference_is_the_tags_repository_and_a_digest(context):
    found = image.outputs(given(), image.context_hash(given(), context))
    assert found["ref"] == f"a.example.com:5000/b/c@{found['digest']}"
    assert found["digest"].startswith("sha256:")
    assert len(found["digest"]) == 71
    assert image.reference({"tags": []}, "sha256:0") == ""


def test_what_goes_into_an_image_changes_its_digest_and_nothing_else_does(context):
    def made(**more):
        inputs = given(**more)
        return image.outputs(inputs, image.context_hash(inputs, context))["digest"]

    first = made()
    assert made() == first
    assert made(registries=[{"address": "x"}], noCache=True) == first
    assert made(buildArgs={"EXTRA": "gpu"}) != first
    assert made(target="other") != first
    (context / "app" / "cache" / "x").write_text("2")  # left out by .dockerignore
    assert made() == first
    (context / "app" / "main.py").write_text("print(1)\n")
    assert made() != first


def test_what_is_taken_in_again_is_found_in_a_folder_that_is_left_out_and_no_other_is_walked(context, monkeypatch):
    app, walked = context / "app", []
    (app / ".dockerignore").write_text("*\n!main.py\n!tools/*/install.sh\n**/.*\n")
    for name in ("tools/images/install.sh", "tools/images/other.sh", "tools/images/.hidden/install.sh", "environment/lib/x.py"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text("1")
    scandir = image.os.scandir
    monkeypatch.setattr(image.os, "scandir", lambda path: walked.append(str(path)) or scandir(path))

    def digest():
        return image.context_hash(given(), context)

    first = digest()
    assert not [path for path in walked if "environment" in path or "cache" in path or ".hidden" in path]
    (app / "environment/lib/x.py").write_text("2")
    (app / "tools/images/other.sh").write_text("2")
    (app / "tools/images/.hidden/install.sh").write_text("2")
    assert digest() == first
    (app / "tools/images/install.sh").write_text("2")
    assert digest() != first


@pytest.mark.parametrize(
    ("inputs", "where"),
    [
        ({"context": {"location": "nowhere"}}, "context.location"),
        ({"dockerfile": {"location": "app/Other"}}, "dockerfile.location"),
        ({"tags": []}, "tags"),
        ({"platfroms": []}, "platfroms"),
        ({"push": None}, "push"),
    ],
)
def test_what_cannot_be_built_is_refused(context, inputs, where):
    assert where in dict(image.mistakes(given(**inputs), context))
    assert image.mistakes(given(), context) == []


def test_another_version_is_another_image_though_its_sources_are_the_same(context, monkeypatch):
    first = image.context_hash(given(), context)
    monkeypatch.setenv(image.VERSION_VARIABLE, "2")
    assert image.context_hash(given(), context) != first


def test_a_hook_gets_the_target_and_the_reference_of_what_would_be_built(tmp_path):
    program, told = tmp_path / "hook", tmp_path / "told"
    program.write_text(f'#!/bin/sh\nprintf %s "$*" > {told}\n')
    program.chmod(0o755)
    hook.run({"target": "app", "ref": "a/b@sha256:0"}, {})
    assert not told.exists()
    hook.run({"target": "app", "ref": "a/b@sha256:0"}, {hook.VARIABLE: str(program)})
    assert told.read_text() == "app a/b@sha256:0"


def test_a_hook_that_fails_is_told_with_its_last_words(tmp_path):
    program = tmp_path / "hook"
    program.write_text("#!/bin/sh\necho no such node >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(hook.HookError, match=r"ended with 3:\nno such node"):
        hook.run({"target": "app", "ref": "a"}, {hook.VARIABLE: str(program)})


@pytest.mark.engine
@pytest.mark.timeout(300)
def test_an_image_lives_under_the_real_engine(project, context):
    environment = with_plugin(project.environment)
    if environment.get(PERMISSION) != "1" or str(FOLDER) not in environment["PATH"]:
        pytest.skip("Pulumi's own docker-build plugin is here, and no registry")
    trial = dataclasses.replace(project, environment=environment)
    trial.program(PROGRAM)
    done = trial.up()
    assert done.returncode == 0, done.stdout
    assert "No image is built" in done.stdout
    first = json.loads(trial.pulumi("stack", "output", "--json").stdout)["ref"]
    assert first.startswith("registry.example.com:5000/team/app@sha256:")
    assert trial.pulumi("preview", "--expect-no-changes").returncode == 0
    (context / "app" / "main.py").write_text("print(2)\n")
    done = trial.up()
    assert "1 updated" in done.stdout, done.stdout
    assert json.loads(trial.pulumi("stack", "output", "--json").stdout)["ref"] != first
    assert "a-canary" not in trial.pulumi("stack", "export").stdout
