"""Which Redis is taken, and how Debian's is unpacked. The real unpacking is tried by tests/bootstrap."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.redis import MissingRedisError, RedisBinary, find_redis_server, locate
from tools.redis.debian import install, newly_installed, wrapper
from tools.redis.server import package_folder, parse_version


def server(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=00000000:0 malloc=libc bits=64 build=0'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environ(tmp_path, monkeypatch):
    """No wheel, an empty home, and a PATH that is the test's own."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    return {"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")}


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_a_server_on_path_is_taken(tmp_path, environ, name):
    installed = server(tmp_path / "bin" / name, "8.1.0")
    assert find_redis_server(environ) == installed


def test_one_that_is_too_old_or_does_not_run_is_passed_over(tmp_path, environ):
    server(tmp_path / "bin" / "redis-server", "6.0.16")
    broken = tmp_path / "bin" / "valkey-server"
    broken.write_text("not an executable")
    broken.chmod(0o755)
    unpacked = server(package_folder(environ) / "redis-server", "7.0.15")
    assert find_redis_server(environ) == unpacked


def test_the_wheels_copy_in_the_environment_does_not_hide_the_systems_server(tmp_path, environ, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    server(tmp_path / "venv" / "bin" / "redis-server", "6.2.14")
    newer = server(tmp_path / "bin" / "redis-server", "7.2.0")
    environ["PATH"] = f"{tmp_path / 'venv' / 'bin'}:{environ['PATH']}"
    assert find_redis_server(environ) == newer


def test_none_says_what_to_do(environ):
    with pytest.raises(MissingRedisError, match="make environment"):
        find_redis_server(environ)


def test_this_machine_has_one_that_says_its_version():
    found = locate({"PATH": "/usr/bin:/bin", "HOME": str(Path.home())})
    if found is None:
        pytest.skip("no Redis on this machine; `make environment` provides one")
    shown = subprocess.run([found.path, "--version"], capture_output=True, text=True, check=True).stdout
    assert ".".join(map(str, found.version)) in shown


def test_an_old_release_is_called_old():
    assert "old release" in RedisBinary(path=Path("/r"), version=(6, 2, 14), origin="somewhere").description
    assert "old release" not in RedisBinary(path=Path("/r"), version=(7, 0, 15), origin="somewhere").description


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=d81bff71cd150ebc", (7, 0, 15)),
        ("Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", (8, 1, 1)),
        ("bash: redis-server: not found", None),
    ],
)
def test_versions_are_read(text, expected):
    assert parse_version(text) == expected


def test_packages_are_read_from_a_simulation_of_apt():
    simulated = (
        "NOTE: This is only a simulation!\n"
        "Inst libjemalloc2 (5.3.0-1 Debian:12 [amd64])\n"
        "Inst redis-server (5:7.0 Debian:12 [amd64])\n"
        "Conf libjemalloc2 (5.3.0-1 Debian:12 [amd64])\n"
    )
    assert newly_installed(simulated) == ["libjemalloc2", "redis-server"]


def test_the_wrapper_hands_arguments_and_libraries_on(tmp_path):
    folder = tmp_path / "a b"
    (folder / "usr" / "bin").mkdir(parents=True)
    (folder / "usr" / "bin" / "redis-server").write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH|$1|$2"\n')
    (folder / "redis-server").write_text(wrapper(["usr/lib/x", "usr/lib"]))
    for file in (folder / "redis-server", folder / "usr/bin/redis-server"):
        file.chmod(0o755)
    done = subprocess.run([folder / "redis-server", "one two", "--port"], env={}, capture_output=True, text=True, check=True)
    assert done.stdout == f"{folder}/usr/lib/x:{folder}/usr/lib|one two|--port\n"


def test_without_apt_the_user_is_told_to_install_redis(environ):
    with pytest.raises(MissingRedisError, match="package manager"):
        install(environ, lambda line: None)
