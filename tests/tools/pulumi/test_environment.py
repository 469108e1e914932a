"""The environment of the engine, by hand and by make: one source."""

import os
import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tools.pulumi.environment import CHECKOUT, engine_environment, ensure_state, exports, settings

BARE = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}
NEEDS_ENVIRONMENT = pytest.mark.skipif(
    not (CHECKOUT / ".venv/bin/python").exists(), reason="this checkout has no .venv; `make environment` makes it"
)


def test_the_engine_gets_a_backend_and_a_passphrase_of_the_checkout(tmp_path):
    checkout = tmp_path / "my checkout"
    made = engine_environment(checkout, environment=BARE)
    assert made["PULUMI_BACKEND_URL"] == f"file://{checkout}/.state/pulumi"
    assert made["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{checkout}/.state/passphrase"
    assert made["PULUMI_PYTHON_CMD"] == f"{checkout}/.venv/bin/python"
    assert made["PATH"].split(":")[0] == f"{checkout}/.venv/bin"
    assert made["HOME"] == "/nonexistent"


def test_another_state_folder_moves_backend_and_passphrase(tmp_path):
    made = engine_environment(tmp_path, tmp_path / "elsewhere", environment=BARE)
    assert made["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/elsewhere/pulumi"
    assert made["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{tmp_path}/elsewhere/passphrase"


def test_what_the_user_has_set_stays(tmp_path):
    given = {**BARE, "PULUMI_BACKEND_URL": "s3://bucket", "PULUMI_CONFIG_PASSPHRASE": "own", "PULUMI_RUN_PROGRAM": "false"}
    made = engine_environment(tmp_path, environment=given)
    assert made["PULUMI_BACKEND_URL"] == "s3://bucket"
    assert made["PULUMI_RUN_PROGRAM"] == "false"
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in made


def test_reading_it_twice_changes_nothing(tmp_path):
    once = engine_environment(tmp_path, environment=BARE)
    assert engine_environment(tmp_path, environment=once) == once


def test_a_proxy_is_not_asked_for_the_loopback(tmp_path):
    assert "no_proxy" not in settings(tmp_path, tmp_path, BARE)
    made = settings(tmp_path, tmp_path, {**BARE, "https_proxy": "http://proxy:3128", "no_proxy": "example.com"})
    assert made["no_proxy"] == made["NO_PROXY"] == "example.com,127.0.0.1,localhost"


def test_the_passphrase_is_long_private_and_made_once(tmp_path):
    state = tmp_path / "state"
    ensure_state(state)
    first = (state / "passphrase").read_text()
    assert len(bytes.fromhex(first)) == 32
    assert stat.S_IMODE((state / "passphrase").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    ensure_state(state)
    assert (state / "passphrase").read_text() == first
    assert sorted(file.name for file in state.iterdir()) == ["passphrase", "pulumi"]


def test_a_passphrase_made_by_many_at_once_is_one(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    script = (
        "import sys; from pathlib import Path; from tools.pulumi.environment import ensure_state as e; s = Path(sys.argv[1])\n"
    )
    script += "e(s); print((s / 'passphrase').read_text())"
    command = [os.sys.executable, "-c", script, str(state)]

    def run(_: int) -> str:
        return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(run, range(4)))) == 1


def test_exports_survive_quotes_spaces_and_dollars():
    awkward = "/a b/$HOME/it's/`date`"
    script = exports({"PULUMI_BACKEND_URL": awkward}) + 'printf %s "$PULUMI_BACKEND_URL"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == awkward


@NEEDS_ENVIRONMENT
@pytest.mark.parametrize("shell", ["bash", "zsh", "dash"])
def test_sourcing_activate_gives_the_same_environment(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    given = {"HOME": os.environ["HOME"], "PATH": os.environ["PATH"], "PULUMI_RUN_PROGRAM": "false"}
    done = subprocess.run(
        [shell, "-c", ". tools/activate && env -0"], cwd=CHECKOUT, env=given, capture_output=True, text=True, check=True
    )
    message, _, rest = done.stdout.partition("\n")
    shown = dict(entry.split("=", 1) for entry in rest.split("\0") if "=" in entry)
    expected = engine_environment(CHECKOUT, environment=given)
    assert {name: shown.get(name) for name in expected} == expected
    assert message.startswith("assistant-stack: ")
    assert done.stderr == ""


@NEEDS_ENVIRONMENT
def test_bash_reads_activate_from_any_folder(tmp_path):
    script = f". '{CHECKOUT}/tools/activate' && command -v python"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(CHECKOUT / ".venv/bin/python")


def test_activate_says_what_to_do_where_nothing_is_set_up(tmp_path):
    (tmp_path / "tools").mkdir()
    shutil.copy(Path(CHECKOUT / "tools/activate"), tmp_path / "tools/activate")
    done = subprocess.run(["sh", "-c", ". tools/activate"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "make environment" in done.stderr
