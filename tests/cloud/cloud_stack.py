"""An AWS stack of one test run: the real engine, AWS as the stand-in plays it, its APIs by moto, Kubernetes recorded."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aws.world import Record, orphans
from deployment import CHECKOUT, Deployment, Run, engine_of
from ecs_stand_in import pointer
from plugin.choice import PERMISSION, folder_of

from infra.aws.naming import secret_name
from infra.profiles import Profile
from tools.pulumi.environment import with_folders

PLUGINS = ("aws", "docker-build")
RECORDED = folder_of("kubernetes").parent / "recorded"
# What a stack file must say, in names and addresses that are nobody's.
NEEDED: Mapping[Profile, Mapping[str, Any]] = {
    profile: {
        "profile": profile,
        "edge": {"domain": "assistant.example.com", "zone": "example.com"},
        **({"eks": {"deployerCidrs": ["203.0.113.0/24"]}} if profile != "serverless" else {}),
        "notifications": {"emails": ["oncall@example.com"]},
        "platforms": {"generic": {"url": "https://platform.example.com/api"}},
    }
    for profile in ("dev", "staging", "prod", "serverless")
}
GROUPS = ("eks", "notifications", "network")  # whose parts a profile sets as well


@dataclass(kw_only=True)
class CloudStack(Deployment):
    """``world``: what exists at the stand-in. ``api``: moto. ``sources``: as if the images' had changed, another value."""

    world: Path
    api: Any
    failures: list[dict[str, Any]] = field(default_factory=list)
    sources: str = ""

    def pulumi(self, command: str, *arguments: str) -> Run:
        """With ``failures`` of :mod:`aws.failing` on demand."""
        before = self.engine
        asked = {"ASSISTANT_AWS_FAILURES": json.dumps(self.failures), "ASSISTANT_DOCKER_BUILD_VERSION": self.sources}
        environment = {**before.environment, **asked}
        self.engine = dataclasses.replace(before, environment=environment)
        try:
            return super().pulumi(command, *arguments)
        finally:
            self.engine = before

    def records(self) -> list[Record]:
        return orphans(self.world)

    def of(self, token: str) -> list[Record]:
        return [record for record in self.records() if record.token == token]

    def secrets(self) -> dict[str, str]:
        client, found = self.api.client("secretsmanager"), {}
        for secret in client.list_secrets()["SecretList"]:
            found[secret["Name"].rpartition("/")[2]] = client.get_secret_value(SecretId=secret["Name"])["SecretString"]
        return found

    def written(self) -> dict[str, str]:
        return {"the world": self.world.read_text(encoding="utf-8")}

    def leftovers(self) -> list[str]:
        return [f"{record.token} {record.id}" for record in self.records()]

    def secret_place(self, name: str) -> str:
        return secret_name(self.engine.stack, name)


def make_cloud(
    folder: Path, api: Any, profile: Profile, elsewhere: Mapping[str, str] | None = None, **groups: Any
) -> CloudStack:
    """``elsewhere``: by service, in boto3's words, the address of what answers in moto's place."""
    world = folder / "world.json"
    (folder / "manifest.json").write_bytes(pointer())
    given = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_", "KUBE"))}
    engine = engine_of(folder, f"cloud-{profile}", given)
    folders = [*(folder_of(plugin) for plugin in PLUGINS), RECORDED]
    environment = {
        **engine.environment,
        **{name: value for name, value in api.environment.items() if name != "PATH"},
        "PATH": with_folders(engine.environment["PATH"], folders),
        PERMISSION: "1",
        "ASSISTANT_AWS_WORLD": str(world),
        "ASSISTANT_AWS_MIRROR": api.url,
        **{f"AWS_ENDPOINT_URL_{service}": url for service, url in (elsewhere or {}).items()},
        "ASSISTANT_KUBERNETES_WORLD": str(folder / "objects.json"),
        "ASSISTANT_KUBERNETES_PUBLISHES": str(folder / "manifest.json"),
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "HOME": str(folder),  # no credentials and no kubeconfig of whoever runs this
        "PULUMI_HOME": str(folder / "pulumi-home"),
    }
    environment.pop("AWS_DEFAULT_REGION", None)
    stack = CloudStack(
        engine=dataclasses.replace(engine, environment=environment),
        folder=folder,
        platform_host="",
        platform_port=0,
        world=world,
        api=api,
    )
    stack.configure(**merged(NEEDED[profile], groups))
    stack.engine.prepare()
    return stack


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    from infra.profiles import merged as over_

    return over_(under, over)


def replaced(run: Run) -> set[str]:
    """The names of what a run has replaced or deleted."""
    return {name for name, operation in run.changed.items() if "replace" in operation or operation == "delete"}


def of_types(run: Run, types: Iterable[str]) -> list[str]:
    """URNs of the given types that a run has changed."""
    wanted = tuple(types)
    urns = [
        event["resOutputsEvent"]["metadata"]["urn"]
        for event in run.events
        if "resOutputsEvent" in event and event["resOutputsEvent"]["metadata"]["op"] not in ("same", "read")
    ]
    return [urn for urn in urns if urn.split("::")[2].rpartition("$")[2] in wanted]


__all__ = ["CHECKOUT", "CloudStack", "make_cloud", "of_types", "replaced"]
