"""Where a change starts, and both versions as folders."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.review import versions
from tools.review.errors import ReviewError
from tools.stack.engine import Engine


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.com", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository whose branch `change` left `main`, which has gone on since."""
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / ".gitignore").write_text("/stacks/Pulumi.prod.yaml\n")
    (folder / "policies").mkdir()
    (folder / "policies" / "waivers.yaml").write_text("[]\n")
    (folder / "program").write_text("old\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    git(folder, "checkout", "--quiet", "-b", "change")
    (folder / "program").write_text("new\n")
    git(folder, "commit", "--quiet", "-am", "change")
    git(folder, "checkout", "--quiet", "main")
    (folder / "elsewhere").write_text("of main alone\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "main goes on")
    git(folder, "checkout", "--quiet", "change")
    return folder


def test_what_the_base_has_got_since_is_not_the_changes_doing(clone: Path, tmp_path: Path) -> None:
    base = versions.base_of(clone, "main")
    assert base.commit == git(clone, "rev-parse", "main~1")
    folder = tmp_path / "laid-out"
    versions.lay_out_base(clone, base, folder)
    assert (folder / "program").read_text() == "old\n"
    assert not (folder / "elsewhere").exists()
    assert git(clone, "status", "--porcelain") == "", "the clone's own index and files are as they were"


@pytest.mark.parametrize("name", ["nowhere/main", "", "--output=hit", "main:program"])
def test_a_base_that_git_does_not_know_is_refused_with_a_way_on(clone: Path, name: str) -> None:
    with pytest.raises(ReviewError, match="git fetch"):
        versions.base_of(clone, name)
    assert not (clone / "hit").exists()


def test_the_working_tree_is_taken_as_it_is_without_what_git_ignores(clone: Path, tmp_path: Path) -> None:
    (clone / "program").write_text("not committed\n")
    (clone / "added").write_text("not added\n")
    (clone / "stacks").mkdir()
    (clone / "stacks" / "Pulumi.prod.yaml").write_text("ignored\n")
    (clone / "policies" / "waivers.yaml").unlink()
    folder = tmp_path / "laid-out"
    folder.mkdir()
    (folder / "left-over").touch()
    versions.lay_out_working_tree(clone, folder)
    assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == {".gitignore", "program", "added"}
    assert (folder / "program").read_text() == "not committed\n"


def test_a_change_of_the_policies_is_seen(clone: Path) -> None:
    base = versions.base_of(clone, "main")
    assert versions.changed_policies(clone, base) == ()
    (clone / "policies" / "waivers.yaml").write_text("- rule: R01\n")
    assert versions.changed_policies(clone, base) == ("policies/waivers.yaml",)


def test_a_version_has_its_own_configuration_else_this_machines_else_the_example(tmp_path: Path) -> None:
    engine = Engine(checkout=tmp_path / "version", stack="prod", environment={})
    given = tmp_path / "given.yaml"
    (engine.checkout / "stacks").mkdir(parents=True)
    engine.example.write_text("config: {example: 1}\n")
    versions.configure(engine, given)
    assert engine.configuration.read_text() == "config: {example: 1}\n"
    engine.configuration.unlink()
    given.write_text("encryptionsalt: of-another-state\nconfig: {given: 1}\n")
    versions.configure(engine, given, keep="encryptionsalt: kept\n")
    assert engine.configuration.read_text() == "encryptionsalt: kept\nconfig: {given: 1}\n"
    assert versions.encryption_lines(engine) == "encryptionsalt: kept\n"
    engine.configuration.write_text("config: {own: 1}\n")
    versions.configure(engine, given)
    assert engine.configuration.read_text() == "config: {own: 1}\n"
