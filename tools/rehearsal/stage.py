"""What a rehearsal stands on: the cluster, the images on its node, AWS as it is played here. All is taken down again."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from app.models.store import Store, default_root
from infra.aws.naming import secret_name
from infra.aws.session import client, session
from infra.recipe import recipe
from infra.settings import Settings
from tools.aws.standins import settings_alone
from tools.kubernetes.cluster import Cluster, require
from tools.kubernetes.errors import ClusterError
from tools.pulumi.environment import engine_environment, with_folders
from tools.rehearsal import authority, configuration
from tools.rehearsal.addresses import API, API_URL, EDGE, QUEUE, REGION_KEYS
from tools.rehearsal.errors import RehearsalError
from tools.rehearsal.layout import CHECKOUT, Layout
from tools.rehearsal.node_images import NodeImages
from tools.rehearsal.programs import Programs
from tools.rehearsal.queue import Queue, server_program
from tools.rehearsal.standing_in import Background, Seed
from tools.stack.engine import Engine

MODELS_PREFIX = "models"
PLATFORM_PORT = 18090
PROVIDERS = CHECKOUT / "tests" / "providers"
PLUGINS = ("aws", "docker_build", "kubernetes")
# What would lead to an account, or to a cluster, that the rehearsal must not know of.
AMBIENT = ("AWS_", "PULUMI_", "KUBE", "ASSISTANT_")
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """``engine`` runs on a project folder that links to the checkout. ``own``: the stack's settings before the rehearsal's."""

    layout: Layout
    cluster: Cluster
    images: NodeImages
    programs: Programs
    engine: Engine
    own: Settings
    overrides: Mapping[str, Any]
    certificates: authority.Certificates
    background: Background
    seeded: bool

    @property
    def namespace(self) -> str:
        return configuration.namespace(self.layout.stack)

    def settings(self) -> Settings:
        return self.engine.settings()

    def set(self, over: Mapping[str, Any]) -> None:
        """Change settings of the stack."""
        file = self.engine.configuration
        document = configuration.changed(yaml.safe_load(file.read_text(encoding="utf-8")), over)
        file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")

    def with_environment(self, **more: str) -> Engine:
        return replace(self.engine, environment={**self.engine.environment, **more})


@contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """Rehearsals share the addresses that they play AWS on. Raises :class:`RehearsalError` where another one runs."""
    layout.root.mkdir(parents=True, exist_ok=True)
    with layout.lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RehearsalError("another rehearsal is running in this checkout") from None
        yield


@contextmanager
def staged(layout: Layout, report: Report, *, cold: bool) -> Iterator[Stage]:
    """Set up, and take down whatever came of it. ``cold``: the model is converted on the stage, as in an account."""
    programs = Programs.of(layout.processes, layout.logs)
    try:
        cluster = require()
    except ClusterError as error:
        raise RehearsalError(str(error)) from None
    images = NodeImages(cluster=cluster, folder=layout.images)
    programs.stop_all(report)
    shutil.rmtree(layout.folder, ignore_errors=True)
    layout.backend.mkdir(parents=True)
    stage = None
    try:
        images.prepare(report)
        stage = _set_up(layout, cluster, images, programs, cold=cold)
        yield stage
    finally:
        if stage is not None:
            stage.background.stop()
        programs.stop_all()
        images.forget()


def _set_up(layout: Layout, cluster: Cluster, images: NodeImages, programs: Programs, *, cold: bool) -> Stage:
    given = _given(layout)
    own = _settings_of(layout, given, {})
    if own.target != "eks":
        raise RehearsalError(
            f"The stack {layout.stack} is of the target {own.target}, and what is rehearsed is eks: make rehearse STACK=prod"
        )
    if own.edge.domain is None:
        raise RehearsalError(f"The stack {layout.stack} names no edge.domain, so nobody could reach it")
    certificates = authority.issue(layout.certificates, (own.edge.domain, QUEUE[0]))
    platform = f"http://{API[0]}:{PLATFORM_PORT}"
    over = configuration.overrides(layout.stack, platform_url=platform, authorities=certificates.bundle)
    engine = _engine(layout, images, certificates)
    _write(engine.configuration, configuration.document(given, over))
    settings = engine.settings()
    os.environ.update({**REGION_KEYS, "AWS_ENDPOINT_URL": API_URL, "AWS_REGION": settings.aws.region})
    line = [sys.executable, "-m", "tools.rehearsal.api", "-H", API[0], "-p", str(API[1])]
    programs.start("aws-api", line, API, {**os.environ, "PYTHONPATH": str(CHECKOUT)})
    queue = Queue(layout.queue, certificates)
    programs.start("memorydb", [str(server_program()), str(queue.configuration)], QUEUE)
    queue.make_whole()
    opened = session(settings.aws.region)
    _account(opened, settings)
    seed = None if cold else _converted(settings)
    background = Background(
        layout.world, client(opened, "secretsmanager"), queue, secret_name(layout.stack, "redis_password"), seed
    )
    background.start()
    engine.prepare()
    return Stage(
        layout=layout,
        cluster=cluster,
        images=images,
        programs=programs,
        engine=engine,
        own=own,
        overrides=over,
        certificates=certificates,
        background=background,
        seeded=seed is not None,
    )


def _given(layout: Layout) -> dict[str, Any]:
    """The stack's own file, else the example; without what the engine wrote into it."""
    folder = CHECKOUT / "stacks"
    for file in (folder / f"Pulumi.{layout.stack}.yaml", folder / f"{layout.stack}.example.yaml"):
        if file.exists():
            return dict(yaml.safe_load(settings_alone(file)) or {})
    raise RehearsalError(f"there is neither stacks/Pulumi.{layout.stack}.yaml nor stacks/{layout.stack}.example.yaml")


def _settings_of(layout: Layout, given: Mapping[str, Any], over: Mapping[str, Any]) -> Settings:
    folder = layout.folder / "given"
    (folder / "stacks").mkdir(parents=True)
    engine = Engine(checkout=folder, stack=layout.stack, environment={})
    _write(engine.configuration, configuration.document(given, over))
    return engine.settings()


def _write(file: Path, document: Mapping[str, Any]) -> None:
    file.write_text(yaml.safe_dump(dict(document), allow_unicode=True), encoding="utf-8")


def _engine(layout: Layout, images: NodeImages, certificates: authority.Certificates) -> Engine:
    project = layout.project
    (project / "stacks").mkdir(parents=True)
    shutil.copyfile(CHECKOUT / "Pulumi.yaml", project / "Pulumi.yaml")
    for linked in ("infra", "policies"):
        (project / linked).symlink_to(CHECKOUT / linked, target_is_directory=True)
    layout.passphrase.touch(mode=0o600)
    layout.passphrase.write_text(secrets.token_hex(32), encoding="ascii")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(AMBIENT)}
    environment = engine_environment(CHECKOUT, environment=inherited)
    return Engine(
        checkout=project,
        stack=layout.stack,
        environment={
            **environment,
            **REGION_KEYS,
            "PATH": with_folders(environment["PATH"], [PROVIDERS / plugin for plugin in PLUGINS]),
            "PULUMI_BACKEND_URL": f"file://{layout.backend}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(layout.passphrase),
            "PULUMI_DEBUG_COMMANDS": "true",  # brings --event-log
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "AWS_ENDPOINT_URL": API_URL,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "ASSISTANT_TEST_PROVIDERS": "1",
            "ASSISTANT_AWS_WORLD": str(layout.world),
            "ASSISTANT_AWS_MIRROR": API_URL,
            "ASSISTANT_AWS_OVERRIDES": json.dumps(_overridden()),
            "ASSISTANT_DOCKER_BUILD_HOOK": str(images.hook),
            "ASSISTANT_TEST_KUBECONFIG": str(images.cluster.kubeconfig),
        },
    )


def _overridden() -> dict[str, Any]:
    """What the stand-in must answer so that pods find what is played here."""
    host, port = QUEUE
    return {
        "aws:memorydb/cluster:Cluster": {"clusterEndpoints": [{"address": host, "port": port}]},
        "aws:lb/loadBalancer:LoadBalancer": {"dnsName": EDGE},
    }


def _account(opened: Any, settings: Settings) -> None:
    """What an account has before the stack: its zone, and the role by which it scales."""
    if settings.target == "eks":
        client(opened, "iam").create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    if zone := settings.edge.zone:
        client(opened, "route53").create_hosted_zone(Name=zone, CallerReference=zone)


def _converted(settings: Settings) -> Seed | None:
    """The model, if this machine has made it already by the same recipe."""
    key = recipe(settings).key
    found = Store(default_root(os.environ)).find(key)
    return Seed(recipe=key, directory=found[0], manifest=found[1], prefix=MODELS_PREFIX) if found else None
