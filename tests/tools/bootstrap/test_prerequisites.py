"""What a machine lacks is said at once, in words for its owner."""

import ast
import sys

import pytest

from tools.bootstrap import prerequisites
from tools.bootstrap.prerequisites import APT, Machine, check, newer_python
from tools.pulumi.environment import CHECKOUT

GOOD = Machine(
    python=(3, 11),
    executable="/usr/bin/python3",
    system="Linux",
    machine="x86_64",
    libc="glibc",
    venv=True,
    git=True,
    make=True,
    certificates=True,
    apt=True,
    allowed=False,
)


def test_a_good_machine_hears_nothing():
    assert check(GOOD) == ""
    assert check(GOOD._replace(machine="aarch64", python=(3, 14))) == ""


def test_all_that_is_missing_is_named_together_with_one_command():
    message = check(GOOD._replace(venv=False, git=False, make=False, certificates=False))
    for name in ("python3-venv", "git", "make", "ca-certificates", APT):
        assert name in message


def test_an_old_python_is_named_with_its_version_and_place():
    message = check(GOOD._replace(python=(3, 9), venv=False))
    assert "/usr/bin/python3 is 3.9" in message
    assert "make PYTHON=" in message
    assert "python3-venv (" not in message


def test_no_apt_command_where_there_is_no_apt():
    message = check(GOOD._replace(git=False, apt=False))
    assert "git" in message
    assert "apt-get" not in message


@pytest.mark.parametrize(
    ("difference", "word"),
    [
        ({"system": "Darwin", "machine": "arm64"}, "macOS is not supported"),
        ({"system": "Windows"}, "WSL2"),
        ({"machine": "riscv64"}, "riscv64"),
        ({"libc": ""}, "glibc"),
    ],
)
def test_other_platforms_are_refused_plainly_and_may_be_tried(difference, word):
    refused = check(GOOD._replace(**difference))
    assert word in refused
    assert prerequisites.UNTESTED in refused
    assert check(GOOD._replace(**difference, allowed=True)) == ""


def test_a_newer_python_on_path_is_used_instead_of_an_old_one(tmp_path):
    (tmp_path / "python3.12").write_text("#!/bin/sh\n")
    (tmp_path / "python3.12").chmod(0o755)
    environ = {"PATH": str(tmp_path)}
    assert newer_python((3, 10), environ) == str(tmp_path / "python3.12")
    assert newer_python((3, 11), environ) is None
    assert newer_python((3, 10), {"PATH": str(tmp_path / "empty")}) is None


@pytest.mark.parametrize("name", ["tools/__init__.py", "tools/bootstrap/__init__.py", "tools/bootstrap/__main__.py"])
def test_an_old_python_can_read_what_tells_it_that_it_is_old(name):
    ast.parse((CHECKOUT / name).read_text(), feature_version=(3, 8))
    ast.parse((CHECKOUT / "tools/bootstrap/prerequisites.py").read_text(), feature_version=(3, 8))


def test_this_machine_meets_them():
    assert check(prerequisites.look_around()) == ""
    assert prerequisites.look_around().python == sys.version_info[:2]
