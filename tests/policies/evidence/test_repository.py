"""What is read from the repository: its history since the last release, and the files that pin versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from evidence.conftest import git

from policies.evidence import repository
from policies.evidence.repository import RepositoryMistake


def test_the_history_begins_after_the_last_tag(checkout: Path) -> None:
    found = repository.read(checkout)

    assert found.since == "v1.0"
    assert [commit.subject for commit in found.commits] == ["Say that there are no exceptions", "Let the gateway answer"]
    assert found.commit == git(checkout, "rev-parse", "HEAD").strip()


def test_a_release_that_is_tagged_already_lists_what_it_brought(checkout: Path) -> None:
    git(checkout, "tag", "v1.1")

    assert [commit.subject for commit in repository.read(checkout).commits][-1] == "Let the gateway answer"


def test_without_a_tag_the_history_is_whole(checkout: Path) -> None:
    git(checkout, "tag", "--delete", "v1.0")

    found = repository.read(checkout)
    assert (found.since, found.commits[-1].subject) == ("", "Begin")


def test_a_commit_has_its_day_author_reviewers_and_files(checkout: Path) -> None:
    last, first = repository.read(checkout).commits

    assert (first.day, first.author, first.reviewed_by, first.files) == (
        "2026-11-20",
        "Ada",
        "Grace Hopper",
        ("app/gateway.py",),
    )
    assert last.files == ("policies/waivers.yaml",)


def test_the_readers_settings_and_zone_change_nothing(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = repository.read(checkout)
    git(checkout, "config", "log.date", "relative")
    git(checkout, "config", "log.showSignature", "true")
    git(checkout, "config", "core.quotePath", "true")
    for name, value in {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "LANG": "de_DE.UTF-8"}.items():
        monkeypatch.setenv(name, value)

    assert repository.read(checkout) == wanted


def test_names_of_any_language_are_read(checkout: Path) -> None:
    (checkout / "übung.md").write_text("x")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "写一个周会")

    newest = repository.read(checkout).commits[0]
    assert (newest.subject, newest.files) == ("写一个周会", ("übung.md",))


def test_a_move_touches_both_where_it_came_from_and_where_it_went(checkout: Path) -> None:
    git(checkout, "mv", "app/gateway.py", "policies/gateway.py")
    git(checkout, "commit", "--quiet", "--message", "Move")

    assert repository.read(checkout).commits[0].files == ("app/gateway.py", "policies/gateway.py")


def test_a_change_that_is_not_committed_is_noticed(checkout: Path) -> None:
    assert repository.read(checkout).clean
    (checkout / "app" / "gateway.py").write_text("A = 2\n")

    assert not repository.read(checkout).clean


def test_lock_files_are_digested_and_pins_read(checkout: Path) -> None:
    (checkout / "requirements").mkdir()
    (checkout / "requirements" / "development.lock").write_text(
        "pulumi==3.251.0 \\\n    --hash=sha256:00\npulumi-aws==7.51.1 ; x\nrich==1\n"
    )

    found = repository.read(checkout)
    assert found.pins == {"pulumi": "3.251.0", "pulumi-aws": "7.51.1"}
    assert list(found.locks) == ["requirements/development.lock"]


def test_the_base_image_is_read_from_the_dockerfile() -> None:
    assert repository.base_image_of("ARG BASE_NAME=debian:x\nARG BASE_DIGEST=sha256:00\nFROM x\n") == "debian:x@sha256:00"
    assert repository.base_image_of("FROM x\n") == ""


def test_a_folder_without_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RepositoryMistake, match="no git repository with a commit"):
        repository.read(tmp_path)
