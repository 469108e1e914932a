"""Which engine is taken, decided with small executables that answer `version`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.cache import cache_root
from tools.pulumi import golang
from tools.pulumi.build import SourceBuild
from tools.pulumi.engine import engine_cache, locate
from tools.pulumi.environment import CHECKOUT
from tools.pulumi.version import PULUMI_VERSION


def executable(path: Path, prints: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environ(tmp_path):
    """A home of the test's own, and a PATH on which only the shell is found."""
    return {"HOME": str(tmp_path / "home"), "PATH": f"{tmp_path / 'bin'}:/bin"}


def test_a_pulumi_of_the_pinned_version_with_its_host_is_taken(tmp_path, environ):
    executable(tmp_path / "bin" / "pulumi", f"v{PULUMI_VERSION}")
    executable(tmp_path / "bin" / "pulumi-language-python")
    found = locate(environ)
    assert (found.way, found.folder) == ("path", tmp_path / "bin")


def test_a_linked_pulumi_finds_its_host_beside_the_real_one(tmp_path, environ):
    real = executable(tmp_path / "opt" / "pulumi", f"v{PULUMI_VERSION}")
    executable(tmp_path / "opt" / "pulumi-language-python")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pulumi").symlink_to(real)
    assert locate(environ).way == "path"


@pytest.mark.parametrize("version", ["v3.250.0", f"v{PULUMI_VERSION}-alpha.1", ""])
def test_a_pulumi_of_another_version_is_passed_over(tmp_path, environ, version):
    executable(tmp_path / "bin" / "pulumi", version)
    executable(tmp_path / "bin" / "pulumi-language-python")
    assert locate(environ) is None


def test_a_pulumi_without_a_language_host_is_passed_over(tmp_path, environ):
    executable(tmp_path / "bin" / "pulumi", f"v{PULUMI_VERSION}")
    assert locate(environ) is None


def test_the_release_in_the_cache_comes_before_the_build(tmp_path, environ):
    cache = engine_cache(environ)
    executable(cache / "build" / "pulumi")
    assert locate(environ).way == "build"
    executable(cache / "release" / "pulumi")
    assert locate(environ).way == "release"


def test_the_cache_on_path_does_not_pass_for_an_installed_pulumi(environ):
    built = executable(engine_cache(environ) / "build" / "pulumi", f"v{PULUMI_VERSION}")
    assert locate(environ).way == "build"
    environ["PATH"] = f"{built.parent}:{locate(environ).folder}:{environ['PATH']}"
    assert locate(environ).way == "build"


def test_another_language_host_is_put_beside_the_same_cli(environ, monkeypatch):
    built = executable(engine_cache(environ) / "build" / "pulumi")
    first = locate(environ).folder
    monkeypatch.setattr("tools.pulumi.build.host_digest", lambda: "another")
    second = locate(environ).folder
    assert first != second
    assert (first / "pulumi").samefile(built)
    assert (second / "pulumi").samefile(built)
    assert (second / "pulumi_language_python.py").read_text() == (first / "pulumi_language_python.py").read_text()


def test_an_interrupted_build_is_not_taken_for_a_build(environ):
    cache = engine_cache(environ)
    (cache / ".partial-x").mkdir(parents=True)
    executable(cache / ".partial-x" / "pulumi")
    assert not SourceBuild(cache).compiled()
    assert locate(environ) is None


def test_nothing_found_says_what_installs_it(environ):
    command = [sys.executable, "-m", "tools.pulumi", "--find"]
    done = subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "make environment" in done.stderr


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/assistant-stack"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/assistant-stack"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/assistant-stack"),
    ],
)
def test_the_cache_lies_where_the_xdg_specification_puts_it(given, expected):
    assert str(cache_root(given)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.26 linux/arm64", (1, 26, 0)),
        ("go version devel go1.27-abcdef linux/amd64", (1, 27, 0)),
        ("", None),
    ],
)
def test_versions_of_go_are_read(text, expected):
    assert golang.parse_version(text) == expected


def test_an_old_go_on_path_is_passed_over_with_its_version(tmp_path, environ):
    executable(tmp_path / "bin" / "go", "go version go1.19.8 linux/amd64")
    found, reason = golang.on_path(environ)
    assert found is None
    assert "1.19.8" in reason


def test_go_is_pinned_for_both_promised_platforms():
    assert golang.LOCK.read_text().count("--hash=sha256:") == 2
    assert tuple(map(int, golang.wheel_version(golang.LOCK.read_text()).split("."))) >= golang.GO_MINIMUM


def test_a_failing_build_shows_the_last_words_of_go(tmp_path, environ):
    """The first is the version that is asked for; then Go fails."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "go").write_text(
        '#!/bin/sh\n[ "$1" = version ] && echo go version go1.99.0 linux/amd64 && exit\necho "the disk is full" >&2\nexit 3\n'
    )
    (folder / "go").chmod(0o755)
    lines = []
    with pytest.raises(Exception, match="the disk is full") as raised:
        SourceBuild(engine_cache(environ)).install({**environ, "LANG": "C"}, lines.append)
    assert type(raised.value).__name__ == "InstallError"
    assert "Go 1.99.0 on PATH" in lines[0]
    assert not any(file.name.startswith(".partial") for file in engine_cache(environ).iterdir())
