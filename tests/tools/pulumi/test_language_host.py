"""The engine with its language host, whichever this machine has: the official one must pass the same tests as ours."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.engine

DYNAMIC = """
    from pathlib import Path
    import pulumi
    from pulumi.dynamic import CreateResult, ReadResult, Resource, ResourceProvider

    FILE = Path(__file__).parent.parent / "thing.txt"

    class Provider(ResourceProvider):
        def create(self, inputs):
            print("the provider writes", flush=True)
            FILE.write_text(inputs["text"])
            return CreateResult("thing", {**inputs, "length": len(inputs["text"])})

        def read(self, id, properties):
            text = FILE.read_text()
            return ReadResult(id, {**properties, "text": text, "length": len(text)})

        def delete(self, id, properties):
            FILE.unlink()

    class Thing(Resource):
        length: pulumi.Output[int]

        def __init__(self, name, text):
            super().__init__(Provider(), name, {"text": text, "length": None})

    pulumi.export("length", Thing("thing", "four").length)
"""
PACK = """
    from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

    def longer_than_%(least)d(args, report):
        if args.resource_type == "pulumi-python:dynamic:Resource" and len(args.props["text"]) <= %(least)d:
            report("the text is too short: " + args.props["text"])

    policy = ResourceValidationPolicy("length", "texts have a least length", longer_than_%(least)d, EnforcementLevel.MANDATORY)
    PolicyPack("pack", policies=[policy])
"""


def test_up_exports_what_the_program_computes(project):
    project.program("""
        import os, sys
        import pulumi
        pulumi.export("where", [pulumi.get_project(), pulumi.get_stack(), pulumi.get_root_directory(), os.getcwd()])
        pulumi.export("dry", pulumi.runtime.is_dry_run())
        pulumi.export("python", sys.prefix)
    """)
    done = project.up()
    assert done.returncode == 0, done.stdout
    outputs = json.loads(project.pulumi("stack", "output", "--json").stdout)
    assert outputs["where"] == ["trial", "test", str(project.folder), str(project.folder / "program")]
    assert outputs["dry"] is False
    assert outputs["python"] == str(Path(project.environment["PULUMI_PYTHON_CMD"]).parent.parent)


def test_preview_runs_the_program_as_a_dry_run_and_changes_nothing(project):
    project.program(DYNAMIC + "    print('dry run:', pulumi.runtime.is_dry_run())\n")
    done = project.pulumi("preview")
    assert done.returncode == 0, done.stdout
    assert "dry run: True" in done.stdout
    assert not (project.folder / "thing.txt").exists()


def test_what_the_program_prints_is_shown(project):
    project.program("import sys\nprint('first')\nprint('aside', file=sys.stderr)\nprint('second')\n")
    screen = project.up().stdout
    words = screen[screen.index("Diagnostics:") :].split()
    assert "aside" in words
    assert words.index("first") < words.index("second")


def test_a_raising_program_fails_with_its_own_traceback_once(project):
    project.program("def step():\n    raise ValueError('the canary sang')\n\nstep()\n")
    done = project.up()
    assert done.returncode != 0
    diagnostics = done.stdout[done.stdout.index("Diagnostics:") :]
    assert diagnostics.count("ValueError: the canary sang") == 1
    assert diagnostics.count("Traceback") == 1
    assert "program/__main__.py" in diagnostics
    assert "pulumi_language_python" not in diagnostics


def test_a_syntax_error_names_file_and_line(project):
    project.program("x = 1\ny = (\n")
    done = project.up()
    assert done.returncode != 0
    assert "SyntaxError" in done.stdout
    assert "line 2" in done.stdout
    assert "__main__.py" in done.stdout


def test_an_exit_status_of_the_program_is_reported(project):
    project.program("import os\nos._exit(7)\n")
    done = project.up()
    assert done.returncode != 0
    assert "7" in done.stdout[done.stdout.index("Diagnostics:") :]


def test_a_dynamic_resource_lives_from_create_through_drift_to_delete(project):
    project.program(DYNAMIC)
    done = project.up()
    assert done.returncode == 0, done.stdout
    assert "the provider writes" in done.stdout
    thing = project.folder / "thing.txt"
    assert thing.read_text() == "four"
    assert json.loads(project.pulumi("stack", "output", "--json").stdout) == {"length": 4}

    again = project.up()
    assert "2 unchanged" in again.stdout
    assert "the provider writes" not in again.stdout

    thing.write_text("five!")
    done = project.pulumi("refresh", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout
    assert "length: 4 => 5" in done.stdout

    done = project.pulumi("destroy", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout
    assert not thing.exists()


def test_a_secret_setting_reaches_the_program_and_never_the_screen(project):
    assert project.pulumi("config", "set", "--secret", "canary", "tweet-4711").returncode == 0
    project.program("""
        import pulumi
        value = pulumi.Config().require_secret("canary")
        pulumi.export("secret", value)
        pulumi.export("length", pulumi.Output.unsecret(value.apply(len)))
    """)
    done = project.up()
    assert done.returncode == 0, done.stdout
    shown = project.pulumi("stack", "output", "--json").stdout
    assert "tweet-4711" not in done.stdout + shown
    assert json.loads(shown) == {"length": 10, "secret": "[secret]"}
    assert "tweet-4711" not in project.pulumi("stack", "export").stdout


def test_a_policy_pack_that_is_content_lets_the_update_pass(project):
    project.program(DYNAMIC)
    done = project.up("--policy-pack", str(project.policy_pack(PACK % {"least": 3})))
    assert done.returncode == 0, done.stdout
    assert "pack@v0.0.1" in done.stdout
    assert (project.folder / "thing.txt").exists()


def test_a_policy_pack_that_objects_stops_the_update(project):
    project.program(DYNAMIC)
    done = project.up("--policy-pack", str(project.policy_pack(PACK % {"least": 4})))
    assert done.returncode != 0
    assert "the text is too short: four" in done.stdout
    assert not (project.folder / "thing.txt").exists()


def test_a_policy_pack_that_raises_fails_the_update(project):
    project.program(DYNAMIC)
    done = project.up("--policy-pack", str(project.policy_pack("raise ValueError('the pack is broken')\n")))
    assert done.returncode != 0
    assert "the pack is broken" in done.stdout
    assert not (project.folder / "thing.txt").exists()


def test_a_virtual_environment_that_is_not_there_is_named(project):
    project.program("")
    (project.folder / "Pulumi.yaml").write_text(
        "name: trial\nmain: program/\nruntime:\n  name: python\n  options:\n    virtualenv: gone\n"
    )
    done = project.up()
    assert done.returncode != 0
    assert str(project.folder / "gone") in done.stdout


def test_about_names_the_interpreter(project):
    project.program("")
    done = subprocess.run(
        ["pulumi", "about", "--json"], cwd=project.folder, env=project.environment, capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout)["runtime"]["language"] == "python"
    assert ".venv" in done.stdout


def test_an_interrupt_ends_the_program_and_leaves_no_process(project):
    started = project.folder / "started"
    project.program(f"""
        import os, time
        open({str(started)!r}, "w").write(str(os.getpid()))
        time.sleep(600)
    """)
    engine = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--stack", "test", "--non-interactive"],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not (started.exists() and started.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    family = psutil.Process(engine.pid).children(recursive=True)
    os.killpg(engine.pid, signal.SIGINT)
    screen, _ = engine.communicate(timeout=30)
    _, alive = psutil.wait_procs(family, timeout=5)
    assert engine.returncode != 0
    assert alive == []
    assert "KeyboardInterrupt" not in screen
    assert "Traceback" not in screen


def test_the_official_host_is_preferred_where_it_is_present(pulumi_cli):
    """Our host lies in the cache alone: beside a pulumi that somebody installed there is Pulumi's own."""
    ours = (pulumi_cli.folder / "pulumi_language_python.py").exists()
    assert ours == (pulumi_cli.way == "build")
    assert shutil.which("pulumi-language-python", path=str(pulumi_cli.folder))
