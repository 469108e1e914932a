"""The target ``local``: supervised processes on this machine; no account, no container engine, no root."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
from pydantic.alias_generators import to_camel

from infra import processes
from infra.access import AccessFiles, checked
from infra.credentials import Credentials, digest
from infra.local.certificate import CERTIFICATE, KEY, Certificate
from infra.local.code_digest import CodeTree
from infra.local.health import Check
from infra.local.layout import AUDIT, Layout
from infra.local.model import Model
from infra.local.ports import Ports
from infra.local.process import Process
from infra.local.provider import LocalError
from infra.local.secrets import Secrets
from infra.local.supervisor import Supervisor
from infra.outputs import Outputs
from infra.processes import TransportPart
from infra.redis_configuration import ACCESS_FILE, CONFIGURATION_FILE, access_text, configuration_text
from infra.settings import LOCAL_PLATFORM, Settings
from tools.redis import MissingRedisError, find_redis_server

CHECKOUT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
# Every process of the application; nothing of the caller's environment reaches it.
BASE_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONUNBUFFERED": "1"}
# Above the application's own DRAIN_SECONDS (app/settings.py), so that it is never killed while it finishes its work.
STOP_SECONDS = 25
TRANSPORT_PORTS: Mapping[TransportPart, str] = {"slack-transport": "transport_slack", "feishu-transport": "transport_feishu"}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a stack finds on this machine. ``credentials``: where those of its platforms lie, ``given`` their values by name."""

    redis_server: Path
    credentials: Credentials
    given: Mapping[str, str] = field(default_factory=dict)
    access: AccessFiles = field(default_factory=AccessFiles)


class LocalAssistant(pulumi.ComponentResource):
    """Redis, inference, gateway and worker under one supervisor, all on 127.0.0.1."""

    def __init__(self, name: str, settings: Settings, machine: Machine, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:local:Assistant", name, {}, opts)
        self.settings = settings
        self.machine = machine
        self.code = CodeTree(CHECKOUT)
        self.layout = Layout(CHECKOUT / settings.state_directory)
        root, ports = self.layout.root, settings.ports
        child = pulumi.ResourceOptions(parent=self)

        free = Ports("ports", state_directory=root, ports=listeners(settings), opts=child)
        after_ports = pulumi.ResourceOptions(parent=self, depends_on=[free])
        self.secrets = Secrets("secrets", state_directory=root, versions=settings.secret_versions.generated(), opts=after_ports)
        self.certificate = Certificate(
            "certificate", state_directory=root, **settings.certificate.model_dump(), opts=after_ports
        )
        self.model = Model(
            "model",
            settings=settings.model.model_dump(by_alias=True),
            code=self.code.digest("app.models"),
            opts=after_ports,
        )
        self.supervisor = Supervisor("supervisor", state_directory=root, opts=after_ports)
        self.redis = self._redis()
        self.inference = self._inference()
        self.url = f"https://localhost:{ports.gateway}"
        self.public_url = processes.public_url_of(settings, self.url)
        self.gateway = self._gateway()
        self.worker = self._worker()
        self.transports = [self._transport(part) for part in processes.transports(settings)]

        self.inference_url = f"http://{HOST}:{ports.inference}"
        self.register_outputs({"url": self.url})

    def outputs(self) -> Outputs:
        reached = self.settings.public_url or self.url
        return Outputs(
            target="local",
            url=self.url,
            webhook_urls={
                "generic": f"{self.url}/events",
                **processes.webhook_urls(self.settings, reached),
            },
            redirect_uris=processes.redirect_uris(self.settings, reached),
            inference_url=self.inference_url,
            ca_certificate=self.certificate.ca_certificate,
            api_key=self.secrets.values["api_key"],
            webhook_secrets={"generic": self.secrets.values["generic_webhook_secret"]},
            model_name=self.model.model_name,
            model_digest=self.model.digest,
        )

    def _redis(self) -> Process:
        directory = self.layout.data("redis")
        port = self.settings.ports.redis
        return Process(
            "redis",
            state_directory=self.layout.root,
            command=[str(self.machine.redis_server), str(directory / CONFIGURATION_FILE)],
            environment=BASE_ENVIRONMENT,
            configuration_files={
                CONFIGURATION_FILE: configuration_text(port=port, directory=directory),
                ACCESS_FILE: self.secrets.digests["redis_password"].apply(access_text),
            },
            check=Check(kind="redis", port=port, file=str(self.layout.secrets / "redis_password"), ready_within=30),
            opts=self._after(self.supervisor),
        )

    def _inference(self) -> Process:
        inference, ports = self.settings.inference, self.settings.ports
        environment: dict[str, pulumi.Input[str]] = {
            "PORT": str(ports.inference),
            "MODEL_PATH": self.model.path,
            "INFERENCE_DEVICE": inference.device,
            "INFERENCE_SLOTS": str(inference.slots),
            "INFERENCE_CONTEXT": str(inference.context_length),
            **({"INFERENCE_THREADS": str(inference.threads)} if inference.threads else {}),
        }
        return self._application(
            "inference",
            entry="app.inference",
            lock="inference-gpu.lock" if inference.device == "cuda" else "inference-cpu.lock",
            environment=environment,
            secrets={"API_KEY": "inference_api_key"},
            digests={"model": self.model.digest},
            check=Check(kind="http", port=ports.inference, ready_within=300),
            after=[self.supervisor],
        )

    def _gateway(self) -> Process:
        ports = self.settings.ports
        directory = self.layout.certificate
        told = processes.gateway(self.settings, self.public_url, self.machine.given.keys())
        environment = {
            "PORT": str(ports.gateway),
            "TLS_CERTIFICATE": str(directory / CERTIFICATE),
            "TLS_PRIVATE_KEY": str(directory / KEY),
            **self._neighbours(),
            **self._people(),
            **told.environment,
        }
        return self._application(
            "gateway",
            entry="app.gateway",
            lock="gateway.lock",
            environment=environment,
            secrets={
                "API_KEY": "api_key",
                "INFERENCE_API_KEY": "inference_api_key",
                "REDIS_PASSWORD": "redis_password",
                "GENERIC_WEBHOOK_SECRET": "generic_webhook_secret",
                **told.secrets,
            },
            digests={"certificate": self.certificate.fingerprint},
            check=Check(kind="https", port=ports.gateway, file=str(directory / "ca.pem")),
            after=[self.redis, self.inference],
        )

    def _worker(self) -> Process:
        worker, generic = self.settings.worker, self.settings.platforms.generic
        told = processes.worker(self.settings, self.machine.given.keys())
        environment = {
            "PORT": str(self.settings.ports.worker),
            "WORKER_CONCURRENCY": str(worker.concurrency),
            "LEASE_SECONDS": f"{worker.lease_seconds:g}",
            "MAX_ATTEMPTS": str(worker.max_attempts),
            "GENERIC_URL": generic.url or LOCAL_PLATFORM,
            "GENERIC_CLIENT_ID": generic.client_id,
            **self._neighbours(),
            **self._people(),
            **told.environment,
        }
        return self._application(
            "worker",
            entry="app.pipeline",
            lock="gateway.lock",
            environment=environment,
            secrets={
                "INFERENCE_API_KEY": "inference_api_key",
                "REDIS_PASSWORD": "redis_password",
                "GENERIC_CLIENT_SECRET": "generic_client_secret",
                "GENERIC_WEBHOOK_SECRET": "generic_webhook_secret",
                **told.secrets,
            },
            digests={},
            check=Check(kind="http", port=self.settings.ports.worker),
            after=[self.redis, self.inference],
        )

    def _transport(self, part: TransportPart) -> Process:
        """Events by a connection that goes out: no public address is needed."""
        port: int = getattr(self.settings.ports, TRANSPORT_PORTS[part])
        told = processes.transport(self.settings, part)
        return self._application(
            part,
            entry=processes.ENTRIES[part],
            lock="transport.lock",
            environment={
                "PORT": str(port),
                "REDIS_URL": self._neighbours()["REDIS_URL"],
                "AUDIT_DIRECTORY": self._people()["AUDIT_DIRECTORY"],
                **told.environment,
            },
            secrets={"REDIS_PASSWORD": "redis_password", **told.secrets},
            digests={},
            check=Check(kind="http", port=port),
            after=[self.redis],
        )

    def _application(
        self,
        name: str,
        *,
        entry: str,
        lock: str,
        environment: Mapping[str, pulumi.Input[str]],
        secrets: Mapping[str, str],
        digests: Mapping[str, pulumi.Input[str]],
        check: Check,
        after: list[pulumi.Resource],
    ) -> Process:
        """A process of the application. ``secrets``: by variable, the name of the secret whose file it reads."""
        outside = self.machine
        files = {
            f"{variable}_FILE": str(
                outside.credentials.path(secret) if secret in outside.given else self.layout.secrets / secret
            )
            for variable, secret in secrets.items()
        }
        secret_digests: dict[str, pulumi.Input[str]] = {
            secret: digest(secret, outside.given[secret]) if secret in outside.given else self.secrets.digests[secret]
            for secret in secrets.values()
        }
        return Process(
            name,
            state_directory=self.layout.root,
            command=[sys.executable, "-m", entry],
            environment={
                **BASE_ENVIRONMENT,
                "HOST": HOST,
                "LOG_LEVEL": self.settings.log_level,
                **environment,
                **files,
            },
            check=check,
            digests={
                "code": self.code.digest(entry, [CHECKOUT / "requirements" / lock]),
                **secret_digests,
                **digests,
            },
            stop_seconds=STOP_SECONDS,
            opts=self._after(*after),
        )

    def _neighbours(self) -> dict[str, str]:
        ports = self.settings.ports
        return {
            "REDIS_URL": f"redis://{HOST}:{ports.redis}/0",
            "INFERENCE_URL": f"http://{HOST}:{ports.inference}",
        }

    def _people(self) -> dict[str, str]:
        """Who may do what, and where it is written down."""
        machine = self.machine
        return {"AUDIT_DIRECTORY": str(CHECKOUT / AUDIT / machine.credentials.stack), **machine.access.environment()}

    def _after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(resources))


def listeners(settings: Settings) -> dict[str, int]:
    """The ports that the stack listens on, by their settings' names."""
    idle = {name for part, name in TRANSPORT_PORTS.items() if part not in processes.transports(settings)}
    return {to_camel(name): port for name, port in settings.ports if name not in idle}


def deploy(settings: Settings) -> Outputs:
    """Raises :class:`infra.errors.DeploymentError` where this machine lacks something, or a file is not as it must be."""
    layout = Layout(CHECKOUT / settings.state_directory)
    if foreign := layout.foreign_entries():
        some = ", ".join(foreign[:3])
        raise LocalError(
            f"stateDirectory {layout.root} holds other things ({some}), and `make down` removes that directory. "
            "Name one that is new or empty: make set KEY=stateDirectory VALUE=<path>"
        )
    try:
        redis_server = find_redis_server()
    except MissingRedisError as error:
        raise LocalError(str(error)) from error
    credentials = Credentials(pulumi.get_stack())
    machine = Machine(
        redis_server=redis_server,
        credentials=credentials,
        given=credentials.given(settings.platforms),
        access=checked(settings),
    )
    return LocalAssistant("assistant", settings, machine).outputs()
