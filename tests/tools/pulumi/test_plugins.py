"""A provider's plugin: taken where it is, installed where it is not, and refused with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.pulumi import plugins
from tools.pulumi.errors import InstallError

VERSION = plugins.version_of("kubernetes")


def program(file: Path, text: str = "exit 0") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def bare(folder: Path) -> dict[str, str]:
    return {"HOME": str(folder), "PATH": f"{folder / 'bin'}:/usr/bin:/bin"}


def cached(folder: Path, version: str = VERSION) -> Path:
    return folder / ".pulumi" / "plugins" / f"resource-kubernetes-v{version}" / "pulumi-resource-kubernetes"


def test_the_sdk_names_the_version():
    assert VERSION.split(".")[0] == "4"


def test_a_plugin_on_path_is_taken_as_the_engine_takes_it(tmp_path):
    found = program(tmp_path / "bin" / "pulumi-resource-kubernetes")
    program(cached(tmp_path))
    assert plugins.locate("kubernetes", VERSION, bare(tmp_path)) == found
    ignoring = bare(tmp_path) | {"PULUMI_IGNORE_AMBIENT_PLUGINS": "true"}
    assert plugins.locate("kubernetes", VERSION, ignoring) == cached(tmp_path)


def test_a_plugin_of_another_version_in_the_cache_is_not_taken(tmp_path):
    program(cached(tmp_path, "4.0.0"))
    assert plugins.locate("kubernetes", VERSION, bare(tmp_path)) is None
    elsewhere = bare(tmp_path) | {"PULUMI_HOME": str(tmp_path / ".pulumi")}
    program(cached(tmp_path))
    assert plugins.locate("kubernetes", VERSION, elsewhere) == cached(tmp_path)


def test_a_missing_plugin_is_installed_in_the_sdk_s_version(tmp_path):
    target = cached(tmp_path)
    program(
        tmp_path / "bin" / "pulumi",
        f'echo "$@" > {tmp_path}/asked\nmkdir -p {target.parent} && cp /bin/true {target}',
    )
    said: list[str] = []
    assert plugins.ensure("kubernetes", bare(tmp_path), said.append) == target
    assert (tmp_path / "asked").read_text().split() == ["plugin", "install", "resource", "kubernetes", VERSION]
    assert VERSION in said[0]
    program(tmp_path / "bin" / "pulumi", "exit 1")
    assert plugins.ensure("kubernetes", bare(tmp_path), said.append) == target  # and not asked for again
    assert len(said) == 1


def test_a_plugin_that_cannot_be_had_is_refused_with_the_reason_and_the_ways(tmp_path):
    words = 'warning: Error downloading plugin: Get "https://get.pulumi.com/x": dial tcp: no such host'
    program(tmp_path / "bin" / "pulumi", f"echo '{words}' >&2; echo 'Will retry in 1s [1/5]'; echo 'error: all failed'; exit 1")
    with pytest.raises(InstallError) as refused:
        plugins.ensure("kubernetes", bare(tmp_path), lambda line: None)
    text = str(refused.value)
    assert "no such host" in text
    assert "Nothing was changed" in text
    assert f"pulumi plugin install resource kubernetes {VERSION}\n" in text
    assert f"--file pulumi-resource-kubernetes-v{VERSION}-" in text
    assert "Will retry" not in text


@pytest.mark.parametrize(
    ("screen", "reason"),
    [
        ("error: [resource plugin x] 404 HTTP error fetching plugin", "[resource plugin x] 404 HTTP error fetching plugin"),
        ("", "pulumi plugin install failed and said nothing"),
        ("something else\n\n", "something else"),
    ],
)
def test_the_reason_is_the_engine_s_own(screen, reason):
    assert plugins.reason(screen) == reason
