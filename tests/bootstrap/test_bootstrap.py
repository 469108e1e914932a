"""A clone of HEAD on a machine that has nothing: empty HOME and caches, a PATH of python3, git, make and the basic tools.

Nothing is simulated: the virtual environment, the packages and the CLI, compiled where Pulumi's release is not to be had.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.pulumi.version import PULUMI_VERSION

pytestmark = [pytest.mark.bootstrap, pytest.mark.timeout(1800)]

CHECKOUT = Path(__file__).resolve().parents[2]
GOAL = 600  # seconds on two cores with nothing but the registries; reported, since a busy machine is no defect
# What Debian's essential packages, python3, git, make and ca-certificates bring, less compilers, pip, uv, Go and Redis.
COMMANDS = (
    *("sh", "bash", "dash", "env", "git", "make", "awk", "sed", "grep", "cat", "cp", "mv", "rm", "ln", "ls", "mkdir", "mktemp"),
    *("dirname", "basename", "uname", "id", "ldconfig", "ldd", "tar", "gzip", "dpkg", "dpkg-deb", "apt-get", "apt-config"),
    *("chmod", "touch", "head", "tail", "sort", "tr", "cut", "date", "sleep", "true", "readlink", "expr", "test", "find"),
)
# How this network reaches the registries is the machine's business, not the user's home: these pass through.
NETWORK = re.compile(
    r"(?i).*_proxy|.*(CA_BUNDLE|CERT|CERT_FILE|CERT_DIR|CAINFO)|(PIP|UV)_(INDEX_URL|EXTRA_INDEX_URL|DEFAULT_INDEX)|GOPROXY|GOSUMDB"
)


@dataclass(frozen=True)
class Clone:
    """A clone and the environment of a user who has nothing."""

    folder: Path
    environ: dict[str, str]

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False)

    def set_up(self) -> tuple[subprocess.CompletedProcess[str], float]:
        start = time.monotonic()
        done = self.run("make", "environment")
        return done, time.monotonic() - start


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    base = tmp_path_factory.mktemp("bootstrap")
    folder = base / "a clone 克隆"
    subprocess.run(["git", "clone", "--quiet", CHECKOUT, folder], check=True)
    commands = base / "bin"
    commands.mkdir()
    for name in COMMANDS:
        if found := shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            (commands / name).symlink_to(found)
    (commands / "python3").symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}")
    home = base / "home"
    home.mkdir()
    network = {name: value for name, value in os.environ.items() if NETWORK.fullmatch(name)}
    yield Clone(folder, {"HOME": str(home), "PATH": str(commands), "LANG": "C.UTF-8", **network})
    subprocess.run(["chmod", "-R", "u+w", base], check=True)  # Go's module cache is read-only
    shutil.rmtree(base)


@pytest.fixture(scope="module")
def first(clone: Clone, request: pytest.FixtureRequest) -> tuple[subprocess.CompletedProcess[str], float]:
    """The set-up from nothing, once, its seconds printed."""
    done, seconds = clone.set_up()
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = used.ru_utime + used.ru_stime
        took = f"{seconds:.0f} s (goal {GOAL} s on two cores), {processor:.0f} s of processor time"
        print(f"\n{done.stderr}set-up from nothing: {took}", flush=True)
    assert done.returncode == 0, done.stderr
    return done, seconds


def test_it_is_set_up_and_says_how_it_goes(first):
    done, _ = first
    for step in ("environment", "packages", "engine", "redis"):
        assert re.search(rf"^✓ {step} ", done.stderr, re.MULTILINE), done.stderr
    assert done.stdout == ""


def test_the_packages_are_those_of_the_lock(clone, first):
    listed = json.loads(clone.run(".venv/bin/python", "-m", "uv", "pip", "list", "--format", "json").stdout)
    installed = {package["name"]: package["version"] for package in listed}
    lock = (clone.folder / "requirements/development.lock").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)==([^ \n;]+)", lock, re.MULTILINE))  # some twice, by version of Python
    assert installed["pulumi"] == PULUMI_VERSION
    assert set(installed.items()) - locked - {(name, installed.get(name)) for name in ("assistant-stack", "pip")} == set()


def test_the_engine_runs_a_program(clone, first):
    script = ". tools/activate && cd {} && pulumi stack init trial && pulumi up --yes --skip-preview --stack trial"
    project = clone.folder.parent / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: trial\nruntime: python\n")
    (project / "__main__.py").write_text("import pulumi\npulumi.export('sum', 20 + 22)\n")
    done = clone.run("bash", "-c", script.format(project))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sum: 42" in done.stdout
    assert clone.run("bash", "-c", ". tools/activate && pulumi version").stdout.splitlines()[-1] == f"v{PULUMI_VERSION}"


def test_redis_answers(clone, first):
    program = (
        "import subprocess, sys, tempfile, time\n"
        "import redis\nfrom tools.redis import find_redis_server\n"
        "folder = tempfile.mkdtemp()\n"
        "words = ['--port', '0', '--unixsocket', folder + '/s', '--dir', folder, '--appendonly', 'yes']\n"
        "with subprocess.Popen([find_redis_server(), *words], stdout=subprocess.DEVNULL) as server:\n"
        "    client = redis.Redis(unix_socket_path=folder + '/s')\n"
        "    for _ in range(200):\n"
        "        try:\n"
        "            print(client.xadd('stream', {'a': 1}) and client.ping())\n"
        "            break\n"
        "        except redis.ConnectionError:\n"
        "            time.sleep(0.05)\n"
        "    server.terminate()\n"
    )
    done = clone.run(".venv/bin/python", "-c", program)
    assert done.stdout.strip() == "True", done.stderr


def test_debians_redis_is_unpacked_where_no_wheel_has_one(clone, first):
    """The system's Python sees no wheel, as Pythons from 3.13 on and arm64 do."""
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get on this machine")
    done = clone.run("python3", "-m", "tools.redis")
    assert done.returncode == 0, done.stderr
    assert "Debian's package" in done.stderr
    version = clone.run(done.stdout.strip(), "--version").stdout
    assert re.search(r"v=\d+\.\d+\.\d+", version)


def test_secrets_of_the_state_are_private(clone, first):
    state = clone.folder / ".state"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "passphrase").stat().st_mode) == 0o600


def test_a_second_run_does_nothing_and_says_nothing(clone, first):
    before = {path: path.stat().st_mtime_ns for path in (clone.folder / ".venv").iterdir()}
    done, _ = clone.set_up()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime_ns for path in (clone.folder / ".venv").iterdir()} == before


def test_nothing_of_the_build_is_left_in_the_home_but_the_cache(clone, first):
    home = Path(clone.environ["HOME"])
    assert not (home / "go").exists()
    assert not (home / ".cache" / "go-build").exists()
    assert not list((home / ".cache" / "assistant-stack").rglob(".partial-*"))


def test_git_sees_no_change(clone, first):
    assert clone.run("git", "status", "--porcelain").stdout == ""


def test_a_second_clone_shares_the_engine_and_is_ready_in_seconds(clone, first):
    """Last, because it takes a while: environment and packages are its own, the CLI is not built again."""
    other = Clone(clone.folder.parent / "another", clone.environ)
    subprocess.run(["git", "clone", "--quiet", clone.folder, other.folder], check=True)
    done, _ = other.set_up()
    assert done.returncode == 0, done.stderr
    assert "building" not in done.stderr
