"""Whether AWS itself can be worked with, decided in a second where it cannot."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tools.aws import means
from tools.pulumi import plugins

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def nowhere(tmp_path):
    """No plugin on PATH, none in the cache."""
    return {"PATH": str(tmp_path), "HOME": str(tmp_path)}


def quiet(_line):
    return


@pytest.fixture
def with_plugins(tmp_path):
    def make(*names):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / plugins.executable(name)).write_text("#!/bin/sh\n")
            (folder / plugins.executable(name)).chmod(0o755)
        return {"PATH": str(folder), "HOME": str(tmp_path)}

    return make


def test_without_an_account_all_that_lacks_is_told_at_once(no_account, settings_with, nowhere):
    start = time.monotonic()
    found = means.find(settings_with(), nowhere, quiet)
    assert time.monotonic() - start < 3
    assert found.identity is None and not found.standins
    assert [line.split(":")[0] for line in found.lacking] == [
        "AWS credentials",
        f"Pulumi's plugin aws {plugins.version_of('aws')}",
        f"Pulumi's plugin docker-build {plugins.version_of('docker-build')}",
        f"Pulumi's plugin kubernetes {plugins.version_of('kubernetes')}",
    ]


def test_fargate_needs_no_kubernetes_and_published_images_no_builder(settings_with):
    assert means.wanted_plugins(settings_with("serverless")) == ("aws", "docker-build")
    image = "registry.acme.dev/team/image@sha256:" + "a" * 64
    assert means.wanted_plugins(settings_with(images={"gateway": image, "inference": image})) == ("aws", "kubernetes")


def test_with_plugins_and_credentials_that_answer_nothing_lacks(account, settings_with, with_plugins):
    found = means.find(settings_with(), with_plugins("aws", "docker-build", "kubernetes"), quiet)
    assert found.lacking == ()
    assert found.identity is not None and found.identity.account == "123456789012"


def test_a_profile_that_is_not_there_is_told(account, settings_with):
    identity, problem = means.whoami(settings_with(aws={"profile": "elsewhere"}))
    assert identity is None and "elsewhere" in (problem or "")


def test_a_plugin_whose_source_does_not_answer_is_not_waited_for(account, settings_with, nowhere, monkeypatch):
    monkeypatch.setattr(means, "DOWNLOADS", ("http://127.0.0.1:1",))
    monkeypatch.setattr(plugins, "ensure", lambda *_: pytest.fail("the engine was asked to install"))
    found = means.find(settings_with(), nowhere, quiet)
    assert found.identity is not None
    assert all("http://127.0.0.1:1 answers from here" in line for line in found.lacking)


def standins(tmp_path):
    folders = [str(CHECKOUT / means.STANDINS / name) for name in ("aws", "docker_build", "kubernetes")]
    return {"PATH": ":".join(folders), "HOME": str(tmp_path)}


def test_stand_ins_are_known_by_where_they_are_and_count_only_when_declared(no_account, settings_with, tmp_path):
    declared = means.find(settings_with(), standins(tmp_path) | {means.DECLARED: "1"}, quiet)
    assert declared.standins and declared.lacking == ("the plugins aws, docker-build, kubernetes are stand-ins",)
    found = means.find(settings_with(), standins(tmp_path), quiet)
    assert not found.standins and len(found.lacking) == 4
