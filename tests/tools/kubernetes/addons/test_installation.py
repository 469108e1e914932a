"""Which addons are installed, and where their manifests come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.cache import cache_root
from tools.kubernetes.addons import releases, sources
from tools.kubernetes.addons.installation import wanted
from tools.kubernetes.addons.releases import Folder
from tools.kubernetes.errors import ClusterError


def silent(_line: str) -> None:
    return None


def test_all_are_wanted_where_none_is_named() -> None:
    assert wanted(None) == releases.NAMES


def test_keda_brings_its_kinds_first() -> None:
    assert wanted(["keda"]) == ("kinds", "keda")


def test_an_addon_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ClusterError, match=r"no such addon: istio; there are kinds, metrics-server, keda, network-policies"):
        wanted(["keda", "istio"])


@pytest.mark.parametrize("program", [releases.keda(), releases.metrics_server(), releases.kube_score()])
def test_the_version_that_is_built_is_the_one_that_go_mod_pins(program: releases.GoProgram) -> None:
    module = program.packages[0].partition("/cmd/")[0]
    assert f"{module} {program.version}" in (program.folder / "go.mod").read_text(encoding="ascii")
    assert f"{module} {program.version} h1:" in (program.folder / "go.sum").read_text(encoding="ascii")


@pytest.fixture
def cached(tmp_path: Path) -> tuple[Folder, dict[str, str]]:
    """A folder of manifests as an earlier run left it: neither Go nor a network is asked."""
    environ = {"XDG_CACHE_HOME": str(tmp_path), "PATH": ""}
    place = cache_root(environ) / "kubernetes" / "manifests" / "example.org+m@v1+config"
    place.mkdir(parents=True)
    (place / "b.yaml").write_text("---\nkind: B\n---\n---\nkind: C\n", encoding="utf-8")
    (place / "a.yaml").write_text("kind: A\n", encoding="utf-8")
    (place / "kustomization.yaml").write_text("kind: Kustomization\n", encoding="utf-8")
    return Folder("example.org/m", "v1", "config"), environ


def test_manifests_come_from_the_cache_in_order_without_the_kustomization(cached: tuple[Folder, dict[str, str]]) -> None:
    folder, environ = cached
    found = sources.files(folder, silent, environ)
    assert [path.name for path in found] == ["a.yaml", "b.yaml"]
    assert [document["kind"] for document in sources.documents(found)] == ["A", "B", "C"]


def test_a_manifest_that_the_sources_lack_is_named(cached: tuple[Folder, dict[str, str]]) -> None:
    folder, environ = cached
    with pytest.raises(ClusterError, match=r"example.org/m v1 has no missing.yaml in config"):
        sources.files(Folder(folder.module, folder.version, folder.path, ("missing.yaml",)), silent, environ)
