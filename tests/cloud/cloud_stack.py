"""An AWS stack of one test run: the real engine, AWS as the stand-in plays it, its APIs by moto, Kubernetes recorded."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws.failing import VARIABLE as FAILURES
from aws.world import Record, orphans
from deployment import CHECKOUT, Deployment, Run, engine_of
from ecs_stand_in import pointer
from plugin.choice import PERMISSION, folder_of

from infra.aws.naming import secret_name
from infra.profiles import Profile, merged
from tools.pulumi.environment import with_folders
from tools.rehearsal.standing_in import resources

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
Rules = Sequence[Mapping[str, Any]]


@dataclass(kw_only=True)
class CloudStack(Deployment):
    """``world``: what exists at the stand-in. ``api``: moto. ``failures``: rules of :mod:`aws.failing`. ``sources``: as if the
    images' had changed, another value."""

    world: Path
    api: Any
    failures: Rules = ()
    sources: str = ""

    def begin(self, profile: Profile, **groups: Any) -> None:
        """Its configuration, with ``groups`` over what is needed, and the stack itself."""
        self.configure(**merged(NEEDED[profile], groups))
        self.engine.prepare()

    def pulumi(self, command: str, *arguments: str) -> Run:
        before = self.engine
        self.engine = dataclasses.replace(before, environment=self._environment())
        try:
            return super().pulumi(command, *arguments)
        finally:
            self.engine = before

    def down(self) -> subprocess.CompletedProcess[str]:
        """``make down``."""
        done = subprocess.run(
            [sys.executable, "-m", "tools.stack", "--stack", self.engine.stack, "down"],
            cwd=CHECKOUT,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=self.up_seconds,
        )
        self.screens.append(done.stdout)
        return done

    def _environment(self) -> dict[str, str]:
        asked = {FAILURES: json.dumps(self.failures), "ASSISTANT_DOCKER_BUILD_VERSION": self.sources}
        return {**self.engine.environment, **asked}

    def records(self) -> list[Record]:
        return orphans(self.world)

    def there(self) -> list[Mapping[str, Any]]:
        """The records, as :mod:`tools.rehearsal.observed` looks at them."""
        return resources(self.world)

    def objects(self) -> list[str]:
        """Kind and name of what is recorded for Kubernetes."""
        file = self.folder / "objects.json"
        found: list[str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        return found

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

    def misremembered(self, let_go: Collection[str] = ()) -> list[str]:
        """Where the state and the world disagree on what of AWS there is. ``let_go``: what a destroy leaves on purpose."""
        exported = json.loads(self.engine.read("stack", "export"))["deployment"]
        known = [
            f"{it['type']} {it['id']}"
            for it in exported.get("resources") or ()
            if it.get("custom") and it["type"].startswith("aws:") and not it.get("external")
        ]
        exist = self.leftovers()
        begun = [f"begun and not ended: {it['resource']['urn']}" for it in exported.get("pending_operations") or ()]
        twice = [f"twice in the state: {it}" for it in sorted(set(known)) if known.count(it) > 1]
        unknown = [f"unknown to the state: {it}" for it in sorted(set(exist) - set(known) - set(let_go))]
        return [*begun, *twice, *unknown, *(f"in the state alone: {it}" for it in sorted(set(known) - set(exist)))]


def make_cloud(folder: Path, api: Any, profile: Profile, elsewhere: Mapping[str, str] | None = None) -> CloudStack:
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
    return CloudStack(
        engine=dataclasses.replace(engine, environment=environment),
        folder=folder,
        platform_host="",
        platform_port=0,
        world=world,
        api=api,
    )


__all__ = ["CHECKOUT", "CloudStack", "Rules", "make_cloud"]
