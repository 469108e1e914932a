"""Installs the addons into a cluster that `up` made; what stands already is left as it is."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tools.cache import Report
from tools.kubernetes import golang_build, images
from tools.kubernetes.addons import certificates, enforcement, keda, metrics_server, releases, sources
from tools.kubernetes.addons.certificates import Pair
from tools.kubernetes.addons.releases import NAMES, Name
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.errors import ClusterError

USER = "1000"  # upstream's pods demand a user other than root
PATIENCE = 120.0  # seconds
DEPLOYMENTS: Mapping[Name, tuple[str, tuple[str, ...]]] = {
    "metrics-server": (metrics_server.NAMESPACE, (metrics_server.NAME,)),
    "keda": (keda.NAMESPACE, keda.DEPLOYMENTS),
}
API_SERVICES: Mapping[Name, str] = {"metrics-server": metrics_server.API_SERVICE, "keda": keda.API_SERVICE}


def wanted(names: Iterable[str] | None) -> tuple[Name, ...]:
    """The addons to install, in their order. Raises `ClusterError` for one that there is not."""
    asked = set(NAMES if names is None else names)
    if unknown := sorted(asked - set(NAMES)):
        raise ClusterError(f"no such addon: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if "keda" in asked:
        asked.add("kinds")  # its own are among them
    return tuple(name for name in NAMES if name in asked)


def install(cluster: Cluster, report: Report, names: Iterable[str] | None = None) -> None:
    """All of the addons, or those of `names`. Without a node the kinds alone: nothing else could run. Raises `ClusterError`."""
    Installation(cluster, report).install(wanted(names))


class Installation:
    """One `install`."""

    def __init__(self, cluster: Cluster, report: Report) -> None:
        self._cluster, self._report = cluster, report
        self._folder = cluster.layout.root / "addons"
        self._begin = time.monotonic()

    def install(self, names: Sequence[Name]) -> None:
        if self._cluster.kind == "own-api":
            left = [name for name in names if name != "kinds"]
            names = [name for name in names if name == "kinds"]
            if left:
                self._report(f"no node runs, so these addons are left out: {', '.join(left)}")
        steps: dict[Name, Callable[[], None]] = {
            "kinds": self._kinds,
            "metrics-server": self._metrics_server,
            "keda": self._keda,
            "network-policies": self._network_policies,
        }
        self._build(names)
        for name in names:
            steps[name]()
        for name in names:  # after all have been started, so that they start side by side
            self._await(name)

    def _say(self, text: str) -> None:
        self._report(f"[addons {time.monotonic() - self._begin:4.1f} s] {text}")

    def _build(self, names: Sequence[Name]) -> None:
        """First of all, and once: what takes minutes is not to happen in the middle."""
        for name, program in (("keda", releases.keda), ("metrics-server", releases.metrics_server)):
            if name in names:
                golang_build.binaries(program(), self._report)
        self._begin = time.monotonic()

    def _kinds(self) -> None:
        paths = [path for folder in releases.KINDS for path in sources.files(folder, self._report)]
        text = "\n---\n".join(path.read_text(encoding="utf-8") for path in paths)
        digest = hashlib.sha256(text.encode()).hexdigest()
        record = self._folder / "kinds"
        known = record.read_text(encoding="ascii") if record.exists() else ""
        if known != digest or len(self._cluster.run("get", "crd", "--output=name").split()) < len(paths):
            self._cluster.apply(text)
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(digest, encoding="ascii")
        self._say(f"{len(paths)} custom kinds: KEDA's, ServiceMonitor, PrometheusRule, Gateway API")

    def _metrics_server(self) -> None:
        program = golang_build.binaries(releases.metrics_server(), self._report)["metrics-server"]
        image = self._image("metrics-server", releases.METRICS_SERVER_VERSION, program)
        upstream = sources.documents(sources.files(releases.METRICS_SERVER_MANIFESTS, self._report))
        pair = self._pair(metrics_server.NAME, metrics_server.NAMESPACE, (metrics_server.NAME,))
        trusts = self._cluster.kind != "kind"
        self._cluster.apply(metrics_server.objects(upstream, image, pair, kubelet_authority=trusts))
        self._say(f"metrics-server {releases.METRICS_SERVER_VERSION} is starting")

    def _keda(self) -> None:
        programs = golang_build.binaries(releases.keda(), self._report)
        pictures = {
            keda.OPERATOR: self._image("keda-operator", releases.KEDA_VERSION, programs["operator"]),
            keda.ADAPTER: self._image("keda-adapter", releases.KEDA_VERSION, programs["adapter"]),
        }
        upstream = sources.documents(path for folder in releases.KEDA_MANIFESTS for path in sources.files(folder, self._report))
        pair = self._pair("keda", keda.NAMESPACE, keda.DEPLOYMENTS)
        self._cluster.apply(keda.objects(upstream, pictures, pair))
        self._say(f"KEDA {releases.KEDA_VERSION} is starting")

    def _network_policies(self) -> None:
        if self._cluster.kind == "own":
            enforcement.start(self._cluster, self._say)
        else:
            self._say(f"network policies are for the network plugin of '{self._cluster.context}' to enforce, if it does")

    def _pair(self, name: str, namespace: str, services: Sequence[str]) -> Pair:
        now = datetime.datetime.now(datetime.UTC)
        return certificates.ensure(self._folder / "pki", name, certificates.service_names(namespace, services), now)

    def _image(self, name: str, version: str, program: Path) -> str:
        """Hand the program to the node as an image, once for each cluster; the image's name."""
        image = f"localhost/assistant/{name}:{version.removeprefix('v')}-{_digest(program)}"
        record = self._folder / "images.json"
        loaded: list[str] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else []
        if image not in loaded:
            self._folder.mkdir(parents=True, exist_ok=True)
            archive = self._folder / f"{name}.tar"
            images.write_archive(archive, image, program, user=USER)
            self._cluster.load(archive, self._say)
            archive.unlink()
            record.write_text(json.dumps([*loaded, image]), encoding="utf-8")
        return image

    def _await(self, name: Name) -> None:
        namespace, deployments = DEPLOYMENTS.get(name, ("", ()))
        for deployment in deployments:
            place = (f"deployment/{deployment}", f"--namespace={namespace}")
            done = self._cluster.try_run("rollout", "status", *place, f"--timeout={PATIENCE:.0f}s")
            if done.returncode:
                log = self._cluster.try_run("logs", *place, "--tail=8")
                raise ClusterError(f"{name} does not become ready: {done.stderr.strip()}\n{(log.stdout or log.stderr).strip()}")
        if name in API_SERVICES:
            self._cluster.run(
                "wait", "--for=condition=Available", f"apiservice/{API_SERVICES[name]}", f"--timeout={PATIENCE:.0f}s"
            )
            self._say(f"{name} answers")


def _digest(program: Path) -> str:
    with program.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
