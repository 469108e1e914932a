"""The files of tenants and roles: checked before anything happens, and carried to machines that do not see this one's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.access import AccessFiles, checked
from infra.errors import DeploymentError
from infra.settings import Settings
from infra.settings_reader import settings_from

TENANTS = """\
- name: acme
  teams: [slack:T1]
  tasks: libraries/acme
- name: other
  teams: ["*"]
"""


def settings(**access: str) -> Settings:
    return settings_from({"assistant:access": json.dumps(access)}, "local")


def laid_out(folder: Path) -> None:
    (folder / "people" / "libraries" / "acme").mkdir(parents=True)
    (folder / "people" / "team.yaml").write_text(TENANTS)
    shipped = Path(__file__).resolve().parents[2] / "app" / "tasks" / "library"
    for template in shipped.glob("*.yaml"):
        (folder / "people" / "libraries" / "acme" / template.name).write_bytes(template.read_bytes())


def test_a_stack_that_names_no_file_has_none(tmp_path: Path) -> None:
    files = checked(settings(), tmp_path)
    assert files == AccessFiles()
    assert not files.environment()
    assert not files.carried()


def test_relative_paths_start_at_the_checkout_and_libraries_are_carried_beside_their_file(tmp_path: Path) -> None:
    laid_out(tmp_path)
    files = checked(settings(tenants="people/team.yaml"), tmp_path)
    assert files.environment() == {"TENANTS_FILE": str(tmp_path / "people" / "team.yaml")}
    assert files.environment_in("/run/access") == {"TENANTS_FILE": "/run/access/tenants.yaml"}
    carried = files.carried()
    assert carried["tenants.yaml"] == TENANTS
    assert [name for name in carried if name.startswith("libraries/acme/")]


def test_a_mistake_is_told_before_anything_happens(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("- name: acme\n  teems: [slack:T1]\n")
    with pytest.raises(DeploymentError, match=r"(?s)access.tenants .*team.yaml: not as it must be. Nothing was changed.*teems"):
        checked(settings(tenants="team.yaml"), tmp_path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=r"absent\.yaml"):
        checked(settings(roles="absent.yaml"), tmp_path)


def test_a_library_elsewhere_cannot_be_carried(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("- name: acme\n  teams: ['*']\n  tasks: ../elsewhere\n")
    with pytest.raises(DeploymentError, match="Put it beside the file"):
        AccessFiles(tenants=tmp_path / "team.yaml").carried()
