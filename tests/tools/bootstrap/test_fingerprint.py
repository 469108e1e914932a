"""A set-up is done again exactly when something that it depends on has changed."""

import shutil
from pathlib import Path

import pytest

from tools.bootstrap import fingerprint
from tools.pulumi.environment import CHECKOUT


@pytest.fixture
def checkout(tmp_path):
    """A folder that holds the inputs and what a set-up leaves, stamp included."""
    for name in fingerprint.INPUTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    for name in (".venv/bin/python", ".venv/bin/tool", ".state/passphrase"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    fingerprint.write(tmp_path, fingerprint.digest(tmp_path, []), [tmp_path / ".venv/bin/tool"])
    return tmp_path


def test_nothing_changed_is_up_to_date(checkout):
    assert fingerprint.up_to_date(checkout, [])


@pytest.mark.parametrize("name", fingerprint.INPUTS)
def test_a_changed_input_is_noticed(checkout, name):
    with (checkout / name).open("a") as file:
        file.write("\n")
    assert not fingerprint.up_to_date(checkout, [])


@pytest.mark.parametrize("name", [".venv/bin/python", ".venv/bin/tool", ".state/passphrase", ".venv/.assistant-stack.json"])
def test_what_is_gone_is_noticed(checkout, name):
    (checkout / name).unlink()
    assert not fingerprint.up_to_date(checkout, [])


def test_a_python_that_was_removed_is_noticed(checkout):
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").symlink_to("/nonexistent/python3")
    assert not fingerprint.up_to_date(checkout, [])


def test_a_replaced_tool_is_noticed(checkout):
    (checkout / ".venv/bin/tool").write_text("another")
    assert not fingerprint.up_to_date(checkout, [])


def test_other_steps_on_the_command_line_are_noticed(checkout):
    assert not fingerprint.up_to_date(checkout, ["--also", "model=true"])


def test_a_checkout_that_was_moved_is_noticed(checkout):
    moved = Path(f"{checkout} moved")
    checkout.rename(moved)
    assert not fingerprint.up_to_date(moved, [])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"inputs": 1}', '{"inputs": "", "tools": [1]}'])
def test_a_damaged_stamp_is_no_stamp(checkout, content):
    (checkout / ".venv" / fingerprint.STAMP).write_text(content)
    assert not fingerprint.up_to_date(checkout, [])
