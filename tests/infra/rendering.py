"""The Kubernetes objects of a stack as the API server would be sent them, with no engine and no cluster.

``python tests/infra/rendering.py [file.yaml …]`` prints them as YAML; each file holds settings as a stack file does. Secrets
are freshly generated and the images are example digests, but all else is what ``pulumi up`` applies.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml
from collector import collector_off
from pulumi.runtime import mocks, rpc

from infra.generated.certificate import CertificateProvider
from infra.generated.values import digest, generate
from infra.kubernetes.connection import Connection
from infra.outputs import Outputs
from infra.settings import Settings
from infra.settings_reader import settings_from
from infra.targets.cluster import ClusterAssistant

DIGEST = f"sha256:{'a' * 64}"
IMAGES = {
    "gateway": f"registry.example.com/assistant/gateway@{DIGEST}",
    "inference": f"registry.example.com/assistant/inference-cpu@{DIGEST}",
    "redis": f"registry.example.com/assistant/redis@{DIGEST}",
}
CONNECTION = Connection(context="test", kubeconfig=None)
KUBERNETES = "kubernetes:"
SIGNATURE = rpc._special_sig_key  # what marks a wrapped value


@dataclass(frozen=True)
class Registration:
    """One resource as the program registers it, by its Pulumi type and name."""

    type: str
    name: str
    inputs: dict[str, Any]


class Recorder(mocks.Mocks):
    """Keeps what is registered; generated resources come from their real providers, objects as they were sent."""

    def __init__(self) -> None:
        self.registered: list[Registration] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        inputs = {key: _plain(value) for key, value in args.inputs.items() if key != "__provider"}
        self.registered.append(Registration(args.typ, args.name, inputs))
        return args.name, {**inputs, **_computed(args.typ, inputs)}

    def call(self, args: mocks.MockCallArgs) -> dict[Any, Any]:
        raise AssertionError(f"unexpected call {args.token}")


@dataclass(frozen=True)
class Rendered:
    settings: Settings
    outputs: Outputs
    registered: list[Registration]

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The manifests, in the order of their registration."""
        return [item.inputs for item in self.registered if item.type.startswith(KUBERNETES) and "kind" in item.inputs]

    def find(self, kind: str, name: str) -> dict[str, Any]:
        found = [item for item in self.objects if (item["kind"], item["metadata"]["name"]) == (kind, name)]
        assert len(found) == 1, f"{len(found)} of {kind} {name}"
        return found[0]

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        return [item for item in self.objects if item["kind"] == kind]

    def pods(self) -> dict[str, dict[str, Any]]:
        """The pod templates, by the name of what has them; the Job's as ``model``."""
        templates = {}
        for item in self.objects:
            if item["kind"] in {"Deployment", "StatefulSet", "Job"}:
                name = "model" if item["kind"] == "Job" else item["metadata"]["name"]
                templates[name] = item["spec"]["template"]
        return templates

    def secret_values(self) -> dict[str, str]:
        """The generated secrets by name."""
        (secrets,) = (item for item in self.registered if item.name == "secrets")
        return dict(_computed(secrets.type, secrets.inputs)["values"])

    def certificate_key(self) -> str:
        (certificate,) = (item for item in self.registered if item.name == "certificate")
        return str(_computed(certificate.type, certificate.inputs)["key"])


def environment(pod: Mapping[str, Any]) -> dict[str, str]:
    """Of the first container of a pod template."""
    return {variable["name"]: variable["value"] for variable in pod["spec"]["containers"][0].get("env", [])}


def settings_of(config: Mapping[str, Any] | None = None, *, published: bool = True) -> Settings:
    """``config``: settings by key without the project's name. ``published``: images by example digests, not built ones."""
    values = {**({"images": IMAGES} if published else {}), **(config or {})}
    text = {f"assistant:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return settings_from(text, "cluster")


async def registered(settings: Settings, authorities: str | None = None) -> Rendered:
    """Run the program within a test's event loop."""
    recorder = Recorder()
    mocks.set_mocks(recorder, project="assistant", stack="cluster")
    with collector_off():
        outputs = ClusterAssistant("assistant", settings, CONNECTION, authorities).outputs()
        await pulumi.runtime.stack.wait_for_rpcs()
    return Rendered(settings, outputs, recorder.registered)


def render(settings: Settings) -> list[dict[str, Any]]:
    """Every Kubernetes manifest of the stack. Not from within an event loop: see :func:`registered`."""
    return asyncio.run(registered(settings)).objects


def _plain(value: Any) -> Any:
    """As the API server is sent it: on the way, every number is a float, and a secret is wrapped."""
    if isinstance(value, dict):
        if SIGNATURE in value:
            return _plain(value["value"])
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _computed(type_: str, inputs: dict[str, Any]) -> dict[str, Any]:
    kind = type_.removeprefix("pulumi-python:dynamic/")
    if kind == "generated:Secrets":
        values = {name: _secret(name, version) for name, version in inputs["versions"].items()}
        return {"values": values, "digests": {name: digest(value) for name, value in values.items()}}
    if kind == "generated:Certificate":
        return _certificate(json.dumps(inputs, sort_keys=True))
    if kind == "cluster:Image":
        return {"image": inputs["reference"]}
    if kind == "cluster:ModelReport":
        return {"modelName": "a-model", "modelDigest": "d" * 64}
    return {}


# Once a process, so that two renderings differ in what the settings change and in nothing else.
@functools.cache
def _secret(name: str, _version: int) -> str:
    return generate(name)


@functools.cache
def _certificate(inputs: str) -> dict[str, Any]:
    return CertificateProvider().create(json.loads(inputs)).outs or {}


def main(files: list[str]) -> None:
    config: dict[str, Any] = {}
    for file in files:
        document = yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
        config |= {key.removeprefix("assistant:"): value for key, value in (document.get("config") or {}).items()}
    print(f"# {datetime.datetime.now(datetime.UTC):%Y-%m-%d} rendered for looking at; secrets are new at each run")
    print(yaml.safe_dump_all(render(settings_of(config)), sort_keys=False, allow_unicode=True))


if __name__ == "__main__":
    main(sys.argv[1:])
