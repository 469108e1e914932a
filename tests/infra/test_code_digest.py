"""Which files make a process restart, on a small package and on the application itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.code_digest import CodeTree

CHECKOUT = Path(__file__).resolve().parents[2]
TREE = {
    "app/__init__.py": "",
    "app/settings.py": "import os\n",
    "app/gateway/__init__.py": "",
    "app/gateway/__main__.py": "from app.gateway.server import serve\n",
    "app/gateway/server.py": "def serve():\n    from app.shared import lazy\n",
    "app/gateway/unused.py": "",
    "app/gateway/page.html": "<html>",
    "app/gateway/__pycache__/server.pyc": "",
    "app/shared/__init__.py": "from . import relative\n",
    "app/shared/relative.py": "import app.settings\n",
    "app/shared/lazy.py": "",
    "app/shared/scripts/lease.lua": "return 1",
    "app/worker/__init__.py": "",
    "app/worker/__main__.py": "import importlib\nfor name in ():\n    importlib.import_module(name)\n",
    "app/worker/found_by_name.py": "import app.shared.lazy\n",
    "requirements/gateway.lock": "fastapi==1\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, content in TREE.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return tmp_path


def names(root: Path, entry: str) -> set[str]:
    return {file.relative_to(root).as_posix() for file in CodeTree(root).files(entry)}


def test_the_files_are_what_is_imported_however_deep_and_the_data_beside_it(tree: Path) -> None:
    assert names(tree, "app.gateway") == {
        "app/__init__.py",
        "app/settings.py",
        "app/gateway/__init__.py",
        "app/gateway/__main__.py",
        "app/gateway/server.py",
        "app/gateway/page.html",
        "app/shared/__init__.py",
        "app/shared/relative.py",
        "app/shared/lazy.py",
        "app/shared/scripts/lease.lua",
    }


def test_a_package_that_imports_by_computed_names_counts_as_a_whole(tree: Path) -> None:
    assert {"app/worker/found_by_name.py", "app/shared/lazy.py"} <= names(tree, "app.worker")


@pytest.mark.parametrize(
    ("changed", "restarts"),
    [
        ("app/gateway/server.py", True),
        ("app/shared/relative.py", True),
        ("app/shared/scripts/lease.lua", True),
        ("requirements/gateway.lock", True),
        ("app/gateway/unused.py", False),
        ("app/worker/__main__.py", False),
        ("app/gateway/__pycache__/server.pyc", False),
    ],
)
def test_the_digest_changes_with_what_the_process_runs_and_with_nothing_else(tree: Path, changed: str, restarts: bool) -> None:
    locks = [tree / "requirements" / "gateway.lock"]
    before = CodeTree(tree).digest("app.gateway", locks)
    (tree / changed).write_text("# changed\n")
    assert (CodeTree(tree).digest("app.gateway", locks) != before) is restarts


def test_a_file_that_is_moved_changes_the_digest_though_no_content_does(tree: Path) -> None:
    before = CodeTree(tree).digest("app.gateway")
    (tree / "app/gateway/page.html").rename(tree / "app/gateway/other.html")
    assert CodeTree(tree).digest("app.gateway") != before


def test_the_digest_is_the_same_in_another_checkout(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("elsewhere")
    for name, content in TREE.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(content)
    locks = Path("requirements/gateway.lock")
    assert CodeTree(tree).digest("app.gateway", [tree / locks]) == CodeTree(other).digest("app.gateway", [other / locks])


def test_of_the_application_each_process_has_what_it_needs_and_not_its_neighbours() -> None:
    files = {entry: names(CHECKOUT, entry) for entry in ("app.gateway", "app.inference", "app.pipeline", "app.models")}
    assert all(f"{entry.replace('.', '/')}/__main__.py" in found for entry, found in files.items())
    assert not any(name.startswith(("app/gateway/", "app/pipeline/")) for name in files["app.inference"])
    assert not any(name.startswith(("app/inference/", "app/gateway/")) for name in files["app.pipeline"])
    assert {"app/settings.py", "app/telemetry/logs.py"} <= files["app.gateway"] & files["app.pipeline"] & files["app.inference"]
    assert any(name.startswith("app/tasks/library/") for name in files["app.pipeline"])
    assert any(name.endswith(".lua") for name in files["app.pipeline"])
