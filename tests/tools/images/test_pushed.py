"""A pushed tag changes with everything that makes Pulumi build again, since a registry takes no tag twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools.images import inputs, pushed

CHECKOUT = Path(__file__).resolve().parents[3]
PLATFORM = "linux/amd64"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("app", "requirements", "tools/images"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", ".env"))
    return tmp_path


@pytest.mark.parametrize(
    "file",
    [
        "requirements/development.lock",  # of no image
        "requirements/gateway.lock",  # of another image
        "app/nginx.conf",
        "app/settings.py",
        "app/Dockerfile",
        "tools/images/install.sh",
    ],
)
def test_whatever_is_sent_to_the_builder_changes_the_tag_of_every_image(checkout: Path, file: str) -> None:
    before = pushed.tag("inference-cpu", PLATFORM, checkout)
    with (checkout / file).open("a") as opened:
        opened.write("\n")
    assert pushed.tag("inference-cpu", PLATFORM, checkout) != before


def test_so_do_a_files_mode_the_target_and_the_platform(checkout: Path) -> None:
    before = pushed.tag("gateway", PLATFORM, checkout)
    (checkout / "app/settings.py").chmod(0o664)
    others = {
        pushed.tag("gateway", PLATFORM, checkout),
        pushed.tag("inference-cpu", PLATFORM, checkout),
        pushed.tag("gateway", "linux/arm64", checkout),
    }
    assert len({before, *others}) == 4


def test_what_stays_behind_changes_nothing(checkout: Path) -> None:
    before = pushed.tag("gateway", PLATFORM, checkout)
    (checkout / "app" / "__pycache__").mkdir(exist_ok=True)
    for file in ("app/__pycache__/settings.pyc", "app/.env", "app/compose.yaml", "README.md", "tools/images/build.py"):
        (checkout / file).write_text("other")
    assert pushed.tag("gateway", PLATFORM, checkout) == before


def test_the_ignore_file_says_the_same() -> None:
    lines = (CHECKOUT / inputs.IGNORE_FILE).read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert tuple(rule[1:] for rule in rules if rule.startswith("!")) == pushed.SENT
    kept_back = [rule for rule in rules if not rule.startswith("!")]
    assert kept_back == ["*", "app/Dockerfile*", "app/compose*", "app/.env*", "**/__pycache__", "**/*.pyc", "**/.*"]
