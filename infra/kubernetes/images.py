"""The images: published ones by their digest as they are, the others built from this checkout and brought to the cluster."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from infra import processes
from infra.dynamic import DynamicProvider, Props, changed_inputs, inputs_of, present, update_or_replace
from infra.errors import DeploymentError
from infra.kubernetes.connection import Connection
from infra.settings import Settings

if TYPE_CHECKING:
    from tools.kubernetes.cluster import Cluster

CHECKOUT = Path(__file__).resolve().parents[2]
GONE = "gone"


class ImageProvider(DynamicProvider):
    """Inputs: ``target`` (of app/Dockerfile), ``reference`` (the image's local name, which holds a digest of all that goes
    into it), ``registry`` (or null), ``context``, ``kubeconfig``. Outputs besides: ``image``, as a pod names it, and ``status``
    (there, or gone from a node into which it was loaded).

    Deleting leaves registry and nodes alone: others may use the image, and nodes remove what nobody uses.
    """

    def create(self, props: Props) -> CreateResult:
        outputs = provide(props)
        return CreateResult(str(outputs["image"]), outputs)

    def read(self, id_: str, props: Props) -> ReadResult:
        return present(id_, {**inputs_of(props), "status": "there" if props.get("registry") else status(props)})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = changed_inputs(olds, news)
        if olds.get("status") == GONE:
            changed.append("status")
        return update_or_replace(changed, replaced_by=frozenset())

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(provide(news))


def status(props: Props) -> str:
    """Of an image that was loaded. A cluster that does not answer leaves it as it was: the next ``up`` will say so."""
    from tools.kubernetes.errors import ClusterError

    try:
        nodes = cluster_at(props["context"], props.get("kubeconfig")).get("nodes")
    except ClusterError:
        return str(props.get("status"))
    return "there" if on_every_node(nodes, props["reference"]) else GONE


def on_every_node(nodes: Mapping[str, Any], reference: str) -> bool:
    """Of those that say what images they have, some of which have lost their names. Pure."""
    known = [node.get("status", {}).get("images") for node in nodes.get("items", [])]
    names = [{name for image in images for name in image.get("names") or []} for images in known if images]
    return bool(names) and all(reference in held for held in names)


def provide(props: Props) -> Props:
    """Build the image if it is not there, and push or load it; the resource's outputs. Raises :class:`DeploymentError`."""
    from tools.images.build import archive, build, push
    from tools.images.errors import ImageError
    from tools.kubernetes.errors import ClusterError

    try:
        built = build(props["target"], CHECKOUT, say)
        if props.get("registry"):
            image = push(built, props["registry"])
        else:
            image = props["reference"]
            cluster = cluster_at(props["context"], props.get("kubeconfig"))
            if not on_every_node(cluster.get("nodes"), image):  # its name is a digest over all that goes in
                with tempfile.TemporaryDirectory(prefix="assistant-image-") as folder:
                    file = Path(folder) / f"{props['target']}.tar"
                    archive(built, file)
                    cluster.load(file, say)
    except (ImageError, ClusterError) as error:
        raise DeploymentError(str(error)) from error
    return {**inputs_of(props), "image": image, "status": "there"}


def cluster_at(context: str, kubeconfig: str | None) -> Cluster:
    """The cluster behind a context, with the kubectl that reaches it."""
    from tools.kubernetes.cluster import Cluster, current, find_kubectl, kind_of
    from tools.kubernetes.layout import Layout

    recorded = current()
    if recorded is not None and recorded.context == context:
        return recorded
    return Cluster(
        kind=kind_of(context),
        context=context,
        kubeconfig=Path(kubeconfig) if kubeconfig else None,
        kubectl=Path(found) if (found := shutil.which("kubectl")) else find_kubectl(say),  # the user's: it fits their cluster
        made=False,
        layout=Layout.of(CHECKOUT),
    )


def say(line: str) -> None:
    print(line, flush=True)  # the engine shows a provider's output as it comes


class Image(Resource, module="cluster", name="Image"):
    """``image``: its name for a pod, by digest where a registry has it."""

    image: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        target: str,
        reference: str,
        registry: str | None,
        connection: Connection,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties: dict[str, Any] = {
            "target": target,
            "reference": reference,
            "registry": registry,
            # A registry serves every cluster; what was loaded is in this one alone.
            "context": None if registry else connection.context,
            "kubeconfig": None if registry else connection.kubeconfig,
            "image": None if registry else reference,  # so that a preview knows it
            "status": None,
        }
        super().__init__(ImageProvider(), name, properties, opts)


@dataclass(frozen=True, kw_only=True)
class ImagesArgs:
    settings: Settings
    connection: Connection


class Images(pulumi.ComponentResource):
    """``gateway`` (gateway and worker), ``inference`` (and the model Job), ``transport`` where one is chosen, and ``redis``
    unless that is an external one."""

    gateway: pulumi.Output[str]
    transport: pulumi.Output[str] | None
    inference: pulumi.Output[str]
    redis: pulumi.Output[str] | None

    def __init__(self, name: str, args: ImagesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Images", name, {}, opts)
        self._args = args
        settings, given = args.settings, args.settings.images
        inference = "inference-gpu" if settings.inference.device == "cuda" else "inference-cpu"
        self.gateway = self._image("gateway", given.gateway)
        self.transport = self._image("transport", given.transport) if processes.transports(settings) else None
        self.inference = self._image(inference, given.inference)
        self.redis = self._image("redis", given.redis) if settings.redis.url is None else None
        self.register_outputs({"gateway": self.gateway, "inference": self.inference, "redis": self.redis})

    def _image(self, target: str, published: str | None) -> pulumi.Output[str]:
        if published:
            return pulumi.Output.from_input(published)
        from tools.images.build import reference

        return Image(
            target,
            target=target,
            reference=reference(target, CHECKOUT),
            registry=self._args.settings.images.registry,
            connection=self._args.connection,
            opts=pulumi.ResourceOptions(parent=self),
        ).image
