"""An image's tag stands for its content: what goes in changes it, and nothing else does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tools.images import inputs
from tools.images.errors import ImageError

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the images are made of, in a checkout of the test's own."""
    for folder in ("app", "requirements", "tools/images"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", ".env"))
    return tmp_path


def tags(checkout: Path) -> dict[str, str]:
    return {target: inputs.reference(target, checkout) for target in inputs.TARGETS}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {target for target in before if before[target] != after[target]}


def test_a_name_has_the_repository_the_target_and_sixteen_digits() -> None:
    assert re.fullmatch(r"localhost/assistant/gateway:[0-9a-f]{16}", inputs.reference("gateway", CHECKOUT))


@pytest.mark.parametrize(
    ("file", "concerned"),
    [
        ("app/Dockerfile", set(inputs.TARGETS)),
        ("requirements/pip.lock", set(inputs.TARGETS)),
        ("requirements/gateway.lock", {"gateway"}),
        ("requirements/transport.lock", {"transport"}),
        ("requirements/inference-cpu.lock", {"inference-cpu"}),
        ("requirements/inference-gpu.lock", {"inference-gpu"}),
        ("app/nginx.conf", {"reverse-proxy"}),
        ("app/certificate.sh", {"reverse-proxy"}),
        ("app/settings.py", {"gateway", "transport", "inference-cpu", "inference-gpu"}),
        ("app/pipeline/scripts/claim.lua", {"gateway", "transport", "inference-cpu", "inference-gpu"}),
        ("app/compose.yaml", set()),
        ("app/.env", set()),
        ("app/__pycache__/settings.cpython-311.pyc", set()),
        ("requirements/development.lock", set()),
    ],
)
def test_a_changed_file_renames_the_images_it_goes_into_and_no_other(checkout: Path, file: str, concerned: set[str]) -> None:
    before = tags(checkout)
    (checkout / file).parent.mkdir(exist_ok=True)
    with (checkout / file).open("a", encoding="utf-8") as stream:
        stream.write("\n# changed\n")
    assert changed(before, tags(checkout)) == concerned


def test_a_renamed_file_renames_the_image(checkout: Path) -> None:
    before = tags(checkout)
    (checkout / "app/tasks/dates.py").rename(checkout / "app/tasks/days.py")
    assert "gateway" in changed(before, tags(checkout))


def test_every_module_of_the_application_goes_into_the_gateway() -> None:
    modules = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "app").rglob("*.py")}
    assert modules <= set(inputs.files("gateway", CHECKOUT))


def test_the_base_is_pinned_by_digest() -> None:
    base = inputs.pinned_base(CHECKOUT)
    assert re.fullmatch(r"docker\.io/library/debian:bookworm-slim@sha256:[0-9a-f]{64}", base.reference)


def test_an_unknown_image_is_refused_with_those_there_are() -> None:
    with pytest.raises(ImageError, match=r"no image 'worker'; the images are gateway, transport, inference-cpu"):
        inputs.reference("worker", CHECKOUT)
