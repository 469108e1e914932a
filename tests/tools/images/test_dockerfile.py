"""What the Dockerfile promises, read from its text: no engine is needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.images.inputs import TARGETS

CHECKOUT = Path(__file__).resolve().parents[3]
TEXT = (CHECKOUT / "app/Dockerfile").read_text(encoding="utf-8")
LINES = re.sub(r"\\\n", " ", TEXT).splitlines()


def stage(name: str) -> list[str]:
    """The instructions of a stage."""
    start = next(number for number, line in enumerate(LINES) if re.fullmatch(rf"FROM \S+ AS {name}", line))
    following = [number for number, line in enumerate(LINES) if number > start and line.startswith("FROM ")]
    return LINES[start : following[0] if following else None]


@pytest.mark.parametrize("target", TARGETS)
def test_every_image_runs_as_a_user_above_ten_thousand_and_says_what_it_is(target: str) -> None:
    instructions = stage(target)
    assert "USER 10001:10001" in instructions
    (labels,) = (line for line in instructions if line.startswith("LABEL "))
    for label in ("title", "description"):
        assert f"org.opencontainers.image.{label}=" in labels
    assert any("/usr/share/sbom/" in line for line in instructions)


@pytest.mark.parametrize("target", TARGETS)
def test_no_image_stands_on_a_stage_that_builds(target: str) -> None:
    parents, name = [], target
    while name != "${BASE}":
        name = stage(name)[0].split()[1]
        parents.append(name)
    assert parents[-1] == "${BASE}"
    assert not set(parents) & {"builder", "sbom-tools"}


def test_python_packages_come_from_hashed_locks_as_wheels_alone() -> None:
    script = (CHECKOUT / "tools/images/install.sh").read_text(encoding="utf-8")
    assert "--require-hashes" in script
    assert "--only-binary :all:" in script
    assert not re.search(r"pip3? install\s|curl|wget", TEXT)


def test_secrets_of_the_build_are_mounted_where_they_are_used_and_copied_nowhere() -> None:
    assert "/run/secrets" not in TEXT
    for line in LINES:
        if "--mount=type=secret" in line:
            assert "install-locked" in line
