"""The real engine with the Kubernetes plugin that this machine has: Pulumi's own must pass the same tests as the stand-in."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.api import Api
from kubernetes.choice import FOLDER, PERMISSION, with_plugin
from kubernetes.naming import Reference

pytestmark = [pytest.mark.engine, pytest.mark.cluster]

PROGRAM = """
    import os
    import pulumi
    import pulumi_kubernetes as k8s

    config = pulumi.Config()
    name = config.require("name")
    provider = k8s.Provider("cluster", namespace=name)
    space = k8s.core.v1.Namespace("space", metadata={"name": name}, opts=pulumi.ResourceOptions(provider=provider))
    inside = pulumi.ResourceOptions(provider=provider, depends_on=[space])
    settings = k8s.core.v1.ConfigMap("settings", data={"a": config.get("a") or "1"}, opts=inside)
    secret = k8s.core.v1.Secret("secret", metadata={"name": "secret"},
        string_data={"key": pulumi.Output.secret(config.get("key") or "canary-1"), "of": "trial"}, opts=inside)
    quota = k8s.core.v1.ResourceQuota("quota", metadata={"name": "quota"},
        spec={"hard": {"limits.cpu": "0.5", "requests.memory": "1024Mi"}}, opts=inside)
    web = k8s.core.v1.Service("web", metadata={"name": "web"},
        spec={"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}, opts=inside)
    if config.get("misspelt"):
        k8s.core.v1.ConfigMap("wrong", metadata={"name": "wrong", "labls": {}}, data={"a": "1"}, opts=inside)
    pulumi.export("settings", settings.metadata["name"])
    pulumi.export("key", secret.data["key"])
"""


def changed(screen: str) -> set[str]:
    """The lines of the closing table: ``7 created``, ``1 to update``."""
    table = screen.rpartition("Resources:")[2].partition("\n\n")[0]
    return {line.strip().lstrip("+-~ ") for line in table.splitlines() if line.strip()}


@pytest.fixture
def trial(project, api: Api) -> Iterator[str]:
    """The name of a namespace that the program makes; it is gone afterwards, whatever the test did."""
    name = f"stand-in-{secrets.token_hex(4)}"
    project.program(PROGRAM)
    project.pulumi("config", "set", "name", name)
    yield name
    api.delete(Reference(api_version="v1", kind="Namespace", namespace="", name=name))


@pytest.mark.timeout(600)
def test_a_stack_lives_from_preview_to_destroy(project, trial, kubeconfig, api: Api) -> None:
    settings = {"KUBECONFIG": str(kubeconfig)}

    def pulumi(*arguments: str) -> subprocess.CompletedProcess[str]:
        return project.pulumi(*arguments, **settings)

    def config_map(name: str) -> Reference:
        return Reference(api_version="v1", kind="ConfigMap", namespace=trial, name=name)

    done = pulumi("preview")
    assert (done.returncode, changed(done.stdout)) == (0, {"7 to create"}), done.stdout
    assert api.get(Reference(api_version="v1", kind="Namespace", namespace="", name=trial)) is None

    done = pulumi("up", "--yes", "--skip-preview")
    assert (done.returncode, changed(done.stdout)) == (0, {"7 created"}), done.stdout
    name = json.loads(pulumi("stack", "output", "--json").stdout)["settings"]
    assert name.startswith("settings-")
    assert (api.get(config_map(name)) or {})["data"] == {"a": "1"}
    exported = pulumi("stack", "export").stdout
    assert "canary-1" not in exported
    assert "Y2FuYXJ5LTE" not in exported  # the same in base64

    done = pulumi("up", "--yes", "--skip-preview", "--refresh")
    assert (done.returncode, changed(done.stdout)) == (0, {"7 unchanged"}), done.stdout

    # Drift: one object changed, another removed by hand.
    api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": trial}, "data": {"a": "9"}},
              manager="kubectl", force=True)  # fmt: skip
    api.delete(Reference(api_version="v1", kind="Service", namespace=trial, name="web"))
    done = pulumi("refresh", "--yes", "--skip-preview")
    assert {"1 updated", "1 deleted"} <= changed(done.stdout), done.stdout
    done = pulumi("up", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout
    assert api.get(Reference(api_version="v1", kind="Service", namespace=trial, name="web"))
    assert (api.get(config_map(json.loads(pulumi("stack", "output", "--json").stdout)["settings"])) or {})["data"] == {"a": "1"}

    # A changed secret is a new object of the same name, deleted first; what was not touched stays.
    before = api.get(Reference(api_version="v1", kind="Secret", namespace=trial, name="secret")) or {}
    pulumi("config", "set", "--secret", "key", "canary-2")
    done = pulumi("up", "--yes", "--skip-preview")
    assert (done.returncode, changed(done.stdout)) == (0, {"1 replaced", "6 unchanged"}), done.stdout
    after = api.get(Reference(api_version="v1", kind="Secret", namespace=trial, name="secret")) or {}
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    assert "canary" not in done.stdout

    pulumi("config", "set", "misspelt", "true")
    done = pulumi("preview")
    assert done.returncode != 0
    assert "labls" in done.stdout

    done = pulumi("destroy", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout
    assert "7 deleted" in changed(done.stdout)
    assert api.get(Reference(api_version="v1", kind="Namespace", namespace="", name=trial)) is None


def test_a_preview_shows_what_would_be_where_there_is_no_cluster_and_an_up_refuses(project) -> None:
    project.program(PROGRAM)
    project.pulumi("config", "set", "name", "nowhere")
    done = project.pulumi("preview")
    assert (done.returncode, changed(done.stdout)) == (0, {"7 to create"}), done.stdout
    assert "canary" not in done.stdout
    done = project.up()
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert "no cluster is reachable" in done.stdout or "unreachable" in done.stdout


def test_the_stand_in_says_on_each_run_that_it_is_one(project) -> None:
    if project.environment.get(PERMISSION) != "1":
        pytest.skip("this machine has Pulumi's own plugin")
    project.program(PROGRAM)
    project.pulumi("config", "set", "name", "nowhere")
    done = project.pulumi("preview")
    assert "stand-in for Pulumi's Kubernetes plugin" in done.stdout


def test_the_stand_in_ends_at_once_outside_a_test() -> None:
    environment = {name: value for name, value in os.environ.items() if name != PERMISSION}
    done = subprocess.run(
        [FOLDER / "pulumi-resource-kubernetes", "127.0.0.1:1"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "stand-in for tests" in done.stderr
    assert "pulumi plugin install resource kubernetes" in done.stderr
    assert done.stdout == ""


def test_a_machine_s_own_plugin_goes_before_the_stand_in(tmp_path: Path) -> None:
    bare = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert with_plugin(bare)["PATH"].startswith(str(FOLDER))
    assert with_plugin(bare)[PERMISSION] == "1"
    assert with_plugin(with_plugin(bare)) == with_plugin(bare)
    real = tmp_path / "pulumi-resource-kubernetes"
    real.write_text("#!/bin/sh\n")
    real.chmod(0o755)
    assert with_plugin(bare) == bare
    assert with_plugin({**bare, "PATH": f"{FOLDER}:{bare['PATH']}"}) == bare
