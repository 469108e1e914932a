"""What the language host decides before it runs anything."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from tools.pulumi.build import HOST_FOLDER, SPACE, InstallError, host_files, require_space


@pytest.fixture(scope="module")
def host():
    """The module as the engine runs it: from its file, no part of a package."""
    spec = importlib.util.spec_from_file_location("pulumi_language_python", HOST_FOLDER / "pulumi_language_python.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def environment(tmp_path):
    folder = tmp_path / "envs" / "mine"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    (folder / "pyvenv.cfg").touch()
    return folder


def test_a_virtual_environment_is_relative_to_the_project(host, environment, tmp_path):
    assert host.interpreter({"virtualenv": "envs/mine"}, tmp_path, {}) == environment / "bin" / "python"
    assert host.interpreter({"virtualenv": str(environment)}, tmp_path, {}) == environment / "bin" / "python"


def test_without_one_the_interpreter_asked_for_is_used(host, tmp_path):
    assert host.interpreter({}, tmp_path, {"PULUMI_PYTHON_CMD": "/opt/python"}) == "/opt/python"
    assert host.interpreter({}, tmp_path, {}) == sys.executable


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"virtualenv": "gone"}, "does not exist"),
        ({"virtualenv": "envs"}, "is not a virtual environment"),
        ({"toolchain": "poetry"}, "'poetry'"),
        ({"toolchain": "uv"}, r"\.venv"),
        ({"typechecker": "mypy"}, "typechecker"),
    ],
)
def test_options_that_cannot_be_met_are_refused_by_name(host, environment, tmp_path, options, word):
    with pytest.raises(host.UserError, match=word):
        host.interpreter(options, tmp_path, {})


def test_a_program_runs_in_its_activated_environment(host, environment):
    made = host.activated(environment / "bin" / "python", {"PATH": "/usr/bin", "PYTHONHOME": "/x", "A": "b"})
    assert made == {"PATH": f"{environment}/bin:/usr/bin", "VIRTUAL_ENV": str(environment), "A": "b"}
    assert host.activated("python3", {"PATH": "/usr/bin"}) == {"PATH": "/usr/bin"}


def test_the_program_gets_all_that_the_engine_said(host):
    request = SimpleNamespace(
        project="p",
        stack="s",
        organization="",
        pwd="/w",
        monitor_address="127.0.0.1:1",
        parallel=4,
        dryRun=True,
        args=["more"],
        info=SimpleNamespace(root_directory="/r", program_directory="/r/infra", entry_point="."),
    )
    words = host.program_arguments(request, "127.0.0.1:2")
    assert words[-2:] == ["/r/infra", "more"]
    given = dict(zip(words[:-2:2], words[1:-2:2], strict=True))
    assert given["--dry_run"] == "true"
    assert given["--parallel"] == "4"
    assert given["--engine"] == "127.0.0.1:2"
    assert given["--root_directory"] == "/r"
    assert "--organization" not in given


@pytest.mark.parametrize(
    ("code", "expected"),
    [(0, ("", False)), (32, ("", True)), (1, ("status 1", False)), (-signal.SIGKILL, ("SIGKILL", False))],
)
def test_an_exit_status_becomes_an_answer(host, code, expected):
    error, bail = host.run_error(code)
    assert expected[0] in error
    assert bool(error) == bool(expected[0])
    assert bail is expected[1]


def test_both_streams_of_a_plugin_are_passed_on_as_they_come(host):
    """The second line is written only after the first has arrived."""
    script = "import os, sys; os.write(1, b'out'); sys.stdin.readline(); os.write(2, b'err')"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen([sys.executable, "-c", script], **pipes)
    chunks = host.output_of(child)
    assert next(chunks) == ("stdout", b"out")
    child.stdin.write(b"\n")
    child.stdin.flush()
    assert list(chunks) == [("stderr", b"err")]
    child.wait()
    child.stdin.close()


def test_a_program_that_ignores_the_request_to_end_is_killed(host, monkeypatch):
    monkeypatch.setattr(host, "GRACE", 0.2)
    children = host.Children()
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = children.start([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"up\n"
    children.stop_all()
    assert child.wait(5) == -signal.SIGKILL
    child.stdout.close()


def test_the_host_ends_when_the_engine_is_gone(host):
    read, write = os.pipe()
    ended = threading.Event()
    saved = os.dup(0)
    try:
        os.dup2(read, 0)
        watcher = threading.Thread(target=host.watch_engine, args=(ended,))
        watcher.start()
        assert not ended.is_set()
        os.close(write)
        assert ended.wait(5)
        watcher.join()
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(read)


def test_without_the_sdk_the_reason_is_said(tmp_path):
    """An isolated interpreter has no site-packages."""
    command = [sys.executable, "-I", "-S", str(HOST_FOLDER / "pulumi_language_python.py"), "127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "has no Pulumi SDK" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_host_is_what_is_copied_and_no_more():
    assert [file.name for file in host_files()] == ["pulumi-language-python", "pulumi_language_python.py"]
    assert os.access(HOST_FOLDER / "pulumi-language-python", os.X_OK)


def test_a_build_does_not_begin_on_a_full_disk(tmp_path):
    require_space(tmp_path, SPACE)
    with pytest.raises(InstallError, match="XDG_CACHE_HOME"):
        require_space(tmp_path, SPACE - 1)
