"""Which process the doctor stands beside, told by the settings that are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from app.settings import GatewaySettings, InferenceSettings, ProcessSettings, SettingsError, WorkerSettings, load

Service = Literal["gateway", "worker", "inference", "transport"]
SERVICES: Final[tuple[Service, ...]] = ("gateway", "worker", "inference", "transport")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """``settings`` None: they are wrong, as ``mistakes`` says, and the process does not start with them either.
    ``environment`` is as secret as what it holds."""

    service: Service
    environment: Mapping[str, str] = field(repr=False)
    settings: ProcessSettings | None = None
    mistakes: tuple[str, ...] = ()

    @property
    def entry(self) -> str:
        """The module that the process runs."""
        if self.service == "transport":
            slack = _has(self.environment, "SLACK_APP_TOKEN")
            return "app.platforms.slack.socket_mode" if slack else "app.platforms.feishu.long_connection"
        return {"gateway": "app.gateway", "worker": "app.pipeline", "inference": "app.inference"}[self.service]

    @property
    def secrets(self) -> frozenset[str]:
        """What no finding may hold."""
        return frozenset(_secrets(self.settings)) if self.settings is not None else frozenset()


def service_in(environment: Mapping[str, str]) -> Service | None:
    """Whose settings these are; None where they are nobody's. Each of the four needs what no other has."""
    if _has(environment, "MODEL_PATH"):
        return "inference"
    if _has(environment, "INFERENCE_API_KEY"):
        return "gateway" if _has(environment, "API_KEY") else "worker"
    transports = ("SLACK_APP_TOKEN", "FEISHU_APP_SECRET")
    return "transport" if any(_has(environment, name) for name in transports) else None


def place_of(service: Service, environment: Mapping[str, str]) -> Place:
    try:
        settings = load(_model(service, environment), environment)
    except SettingsError as error:
        return Place(service=service, environment=environment, mistakes=tuple(str(error).splitlines()))
    return Place(service=service, environment=environment, settings=settings)


def _model(service: Service, environment: Mapping[str, str]) -> type[ProcessSettings]:
    if service == "gateway":
        return GatewaySettings
    if service == "worker":
        return WorkerSettings
    if service == "inference":
        return InferenceSettings
    if _has(environment, "SLACK_APP_TOKEN"):
        from app.platforms.slack.socket_mode import SocketModeSettings

        return SocketModeSettings
    from app.platforms.feishu.long_connection import LongConnectionSettings

    return LongConnectionSettings


def _has(environment: Mapping[str, str], name: str) -> bool:
    return name in environment or f"{name}_FILE" in environment


def _secrets(settings: ProcessSettings) -> Iterator[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
            yield from value.get_secret_value().split()
        elif isinstance(value, str) and "@" in value and "://" in value:
            yield urlsplit(value).password or ""
