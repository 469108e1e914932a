"""Whether AWS itself can be worked with from here: Pulumi's plugins and credentials that answer, or what lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from infra.aws.session import client, session
from infra.settings import Settings
from tools.cache import Report
from tools.pulumi import plugins
from tools.pulumi.errors import InstallError

STANDINS = Path("tests") / "providers"
DECLARED = "ASSISTANT_TEST_PROVIDERS"  # without it a stand-in ends at once
DOWNLOADS = ("https://get.pulumi.com", "https://api.github.com")  # where the engine gets plugins from
PROBE_SECONDS = 3.0
NO_CREDENTIALS = (
    "AWS credentials: none found. Log in (aws sso login, aws configure) and name the profile: AWS_PROFILE=…, or for this stack "
    "the setting aws.profile"
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who the credentials are, as STS says."""

    account: str
    arn: str

    @property
    def is_root(self) -> bool:
        return self.arn.endswith(":root")


@dataclass(frozen=True, kw_only=True)
class Means:
    """``lacking``: what the real thing lacks, a sentence each; empty where all is there. ``standins``: the engine would run
    stand-ins, because somebody has put them on its PATH and says so."""

    identity: Identity | None = None
    lacking: tuple[str, ...] = ()
    standins: bool = False


def wanted_plugins(settings: Settings) -> tuple[str, ...]:
    builds = settings.images.gateway is None or settings.images.inference is None
    return ("aws", *(["docker-build"] if builds else []), *(["kubernetes"] if settings.target == "eks" else []))


def find(settings: Settings, environment: Mapping[str, str], say: Report) -> Means:
    """What there is. A missing plugin is installed only where credentials answer and its source does too, for its own
    retries take minutes without a network."""
    wanted = wanted_plugins(settings)
    located = {name: plugins.locate(name, plugins.version_of(name), environment) for name in wanted}
    played = [name for name, path in located.items() if path and is_standin(path)]
    if played and environment.get(DECLARED) == "1":
        return Means(standins=True, lacking=(f"the plugins {', '.join(played)} are stand-ins",))
    identity, problem = whoami(settings)
    lacking = [problem] if problem else []
    for name, path in located.items():
        if path is None or name in played:
            lacking.extend(_plugin_problem(name, environment, say, may_install=identity is not None))
    return Means(identity=identity, lacking=tuple(lacking))


def is_standin(plugin: Path) -> bool:
    """By where it is: every checkout has its stand-ins in the same folder."""
    return plugin.resolve().parent.parent.parts[-2:] == STANDINS.parts


def whoami(settings: Settings) -> tuple[Identity | None, str | None]:
    """Whose credentials there are, or why none answers."""
    try:
        opened = session(settings.aws.region, settings.aws.profile)
        answer = client(opened, "sts").get_caller_identity()
    except NoCredentialsError:
        return None, NO_CREDENTIALS
    except (BotoCoreError, ClientError) as error:
        return None, f"AWS credentials: {error}"
    return Identity(account=answer["Account"], arn=answer["Arn"]), None


def _plugin_problem(name: str, environment: Mapping[str, str], say: Report, *, may_install: bool) -> list[str]:
    """Nothing where the plugin is there after all."""
    version = plugins.version_of(name)
    missing = f"Pulumi's plugin {name} {version}: . tools/activate && pulumi plugin install resource {name} {version}"
    if not may_install:
        return [missing]
    if not any(_answers(url) for url in DOWNLOADS):
        return [f"{missing} (neither {' nor '.join(DOWNLOADS)} answers from here)"]
    try:
        plugins.ensure(name, environment, say)
    except InstallError as error:
        return [str(error)]
    return []


def _answers(url: str) -> bool:
    try:
        return httpx2.head(url, timeout=PROBE_SECONDS).status_code > 0
    except httpx2.HTTPError:
        return False
