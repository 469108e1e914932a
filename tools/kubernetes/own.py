"""Brings up a cluster of our own, and mends one of which a part has died: each step asks first whether it is done."""

from __future__ import annotations

import datetime
import http.client
import shutil
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.cache import Report
from tools.kubernetes import (
    control_plane,
    golang_build,
    host,
    images,
    manifests,
    netfilter,
    network,
    node,
    packages,
    pki,
    programs,
)
from tools.kubernetes.address import API_PORT, CONTEXT, NODE_NAME
from tools.kubernetes.cluster import Cluster, find_kubectl, save
from tools.kubernetes.control_plane import Plane
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.host import Tier
from tools.kubernetes.kubeconfig import kubeconfig
from tools.kubernetes.layout import CHECKOUT, Layout
from tools.kubernetes.processes import Program, Supervisor, boot_id, run

COMPONENTS = {"controller-manager": "controller-manager", "scheduler": "scheduler", "kubelet": "kubelet", "proxy": "proxy"}
WAIT_SECONDS = 120.0


class Bringing:
    """One `up`: the steps in their order share what was found on the way."""

    def __init__(self, layout: Layout, tier: Tier, environ: Mapping[str, str], report: Report) -> None:
        self._layout, self._report = layout, report
        self._node = tier == "node"
        # Ours in Python are found from any folder.
        self._environ = {**environ, "PATH": packages.search_path(environ), "PYTHONPATH": str(CHECKOUT)}
        self._supervisor = Supervisor(layout.processes, layout.logs)
        self._begin = time.monotonic()

    def up(self) -> Cluster:
        """Raises `ClusterError` with the last lines of the log of what failed."""
        self._layout.require_short_sockets()
        found = packages.ensure(self._environ, self._report, node=self._node)
        binaries = {**found.programs, **self._build()}
        kubectl = find_kubectl(self._report, self._environ)
        self._begin = time.monotonic()
        self._make_folders()
        if self._node:
            self._prepare_machine()
        plane = Plane(layout=self._layout, binaries=binaries, node=self._node)
        self._write_credentials(plane)
        cluster = Cluster(
            kind="own" if self._node else "own-api",
            context=CONTEXT,
            kubeconfig=self._layout.kubeconfig,
            kubectl=kubectl,
            made=True,
            layout=self._layout,
        )
        save(cluster)
        self._start(control_plane.etcd(plane))
        self._start(control_plane.api_server(plane))
        runtime: tuple[Program, ...] = ()
        if self._node and found.plugins:
            self._write_node_configuration(plane, found.plugins, binaries["runc"])
            containerd, *runtime_rest = node.programs(self._layout, binaries)
            runtime = tuple(runtime_rest)
            self._start(containerd)
            self._import_images(binaries)
        self._wait("kube-apiserver", "the API server to be ready", lambda: self._api_ready(plane))
        for program in (
            control_plane.controller_manager(plane),
            control_plane.scheduler(plane),
            control_plane.volumes(plane),
            *runtime,
        ):
            self._start(program)
        self._fill(cluster)
        return cluster

    def _say(self, text: str) -> None:
        self._report(f"[{time.monotonic() - self._begin:4.1f} s] {text}")

    def _build(self) -> dict[str, Path]:
        wanted = [programs.control_plane()]
        if self._node:
            wanted += [programs.node(), programs.coredns(), programs.pause()]
        result: dict[str, Path] = {}
        for program in wanted:
            result |= golang_build.binaries(program, self._report, self._environ)
        return result

    def _make_folders(self) -> None:
        self._layout.root.mkdir(parents=True, exist_ok=True)
        self._layout.root.chmod(0o755)
        for folder in (self._layout.etcd, self._layout.configuration, self._layout.processes, self._layout.volumes):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        boot = self._layout.root / "boot"
        if boot.exists() and boot.read_text(encoding="ascii") != boot_id() and self._layout.run.exists():
            shutil.rmtree(self._layout.run)  # as a tmpfs would have been emptied
        boot.write_text(boot_id(), encoding="ascii")
        self._layout.run.mkdir(exist_ok=True)

    def _prepare_machine(self) -> None:
        first = not self._layout.before.exists()
        before = network.remember(self._layout, [root / "kubepods" for root in host.cgroup_roots()])
        if first and any(netfilter.foreign_cluster(rules) for rules in before.rules.values()):
            self._layout.before.unlink()
            raise ClusterError(
                "another Kubernetes runs on this machine (its chain KUBE-SERVICES is in netfilter), and two would undo each "
                "other's rules. Use that one by its kube-context (--context), or take `up --tier api`, which runs no pods."
            )
        network.prepare()

    def _write_credentials(self, plane: Plane) -> None:
        pki.ensure(self._layout.pki, datetime.datetime.now(datetime.UTC))
        for name, certificate in COMPONENTS.items():
            pki.write_private(plane.kubeconfig(name), kubeconfig(plane.url, self._layout.pki, certificate).encode())
        pki.write_private(self._layout.kubeconfig, kubeconfig(plane.url, self._layout.pki, "admin").encode())

    def _write_node_configuration(self, plane: Plane, plugins: Path, runc: Path) -> None:
        resolver, reachable = host.resolver()
        if not reachable:
            self._say(f"{resolver} names servers on loopback only: pods will resolve the cluster's names, but no others")
        machine = node.Machine(
            apparmor=host.apparmor(self._environ),
            adjustable_oom_score=host.may_lower_oom_score(),
            overlay=host.supports_overlay(self._layout.root, Path("/proc/mounts").read_text(encoding="utf-8")),
            resolver=resolver,
            plugins=plugins,
        )
        configuration = self._layout.configuration
        (self._layout.cni / "conf").mkdir(parents=True, exist_ok=True)
        for path, text in {
            configuration / "containerd.toml": node.containerd(self._layout, machine, runc),
            configuration / "kubelet.yaml": node.kubelet_configuration(self._layout, machine),
            configuration / "kube-proxy.yaml": node.proxy_configuration(plane.kubeconfig("proxy")),
            self._layout.cni / "conf" / "10-assistant.conflist": node.network(self._layout),
        }.items():
            if not path.exists() or path.read_text(encoding="utf-8") != text:  # kube-proxy ends when its file is touched
                path.write_text(text, encoding="utf-8")

    def _start(self, program: Program) -> None:
        if self._supervisor.find(program.name) is None:
            record = self._supervisor.start(program, self._environ)
            self._say(f"started {program.name} (process {record.pid})")

    def _wait(self, name: str, what: str, done: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Until `done`; not longer than the process `name` lives."""
        end = time.monotonic() + seconds
        while not done():
            dead = bool(name) and self._supervisor.find(name) is None
            if dead or time.monotonic() > end:
                reason = "it ended" if dead else f"waited {seconds:.0f} s"
                log = f"; the end of {self._supervisor.log(name)}:\n{self._supervisor.last_lines(name)}" if name else ""
                raise ClusterError(f"{name or CONTEXT}: waited in vain for {what} ({reason}){log}")
            time.sleep(0.1)

    def _api_ready(self, plane: Plane) -> bool:
        trust = ssl.create_default_context(cafile=self._layout.pki / "ca.crt")
        connection = http.client.HTTPSConnection(plane.address, API_PORT, timeout=5, context=trust)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _import_images(self, binaries: Mapping[str, Path]) -> None:
        control = [str(binaries["ctr"]), "--address", str(self._layout.containerd_socket), "--namespace", "k8s.io", "images"]
        self._wait("containerd", "containerd to answer", lambda: run([*control, "list", "--quiet"]).returncode == 0)
        there = run([*control, "list", "--quiet"]).stdout.split()
        self._layout.images.mkdir(exist_ok=True)
        for name, program in {node.PAUSE_IMAGE: binaries["pause"], manifests.DNS_IMAGE: binaries["coredns"]}.items():
            if name not in there:
                archive = self._layout.images / f"{program.name}.tar"
                images.write_archive(archive, name, program)
                done = run([*control, "import", str(archive)])
                archive.unlink()
                if done.returncode:
                    raise ClusterError(f"the image {name} could not be imported: {done.stderr.strip()}")

    def _fill(self, cluster: Cluster) -> None:
        self._wait("", "the namespace kube-system", lambda: cluster.try_run("get", "namespace", "kube-system").returncode == 0)
        cluster.apply([*manifests.storage(), *(manifests.dns() if self._node else [])])
        account = ("get", "serviceaccount", "default", "--namespace=default")  # no pod is admitted without one
        self._wait("kube-controller-manager", "the default service account", lambda: cluster.try_run(*account).returncode == 0)
        if self._node:
            ready = '--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}'
            self._wait(
                "kubelet", "the node to be ready", lambda: cluster.try_run("get", "node", NODE_NAME, ready).stdout == "True"
            )
            self._say(f"node {NODE_NAME} is ready")
            cluster.run("rollout", "status", "deployment/coredns", "--namespace=kube-system", f"--timeout={WAIT_SECONDS:.0f}s")
            self._say("DNS answers")
