"""Runs the enforcer of network policies (`addons/policy`) beside a cluster of our own, as one of its processes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from tools.cache import Report
from tools.kubernetes import packages
from tools.kubernetes.addons.policy.netfilter import in_place
from tools.kubernetes.address import API_PORT, HOST_ADDRESS
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.layout import CHECKOUT
from tools.kubernetes.network import save_rules
from tools.kubernetes.processes import Program, Supervisor

NAME = "network-policies"  # `down` ends it by the record of this name, and removes its chains by their prefix
PATIENCE = 20.0


def start(cluster: Cluster, report: Report) -> None:
    """Start it if it does not run, and wait for its rules. Raises `ClusterError` with the last lines of its log."""
    supervisor = Supervisor(cluster.layout.processes, cluster.layout.logs)
    if supervisor.find(NAME) is None:
        path = packages.search_path(os.environ)
        record = supervisor.start(program(cluster), {**os.environ, "PATH": path, "PYTHONPATH": str(CHECKOUT)})
        report(f"started {NAME} (process {record.pid})")
    _wait(lambda: supervisor.find(NAME) is not None, lambda: in_place(save_rules("iptables")), supervisor)
    report("network policies are enforced, by netfilter on this machine")


def program(cluster: Cluster) -> Program:
    server = f"https://{HOST_ADDRESS}:{API_PORT}"
    module = "tools.kubernetes.addons.policy"
    return Program(name=NAME, command=(sys.executable, "-m", module, server, str(cluster.layout.pki)))


def _wait(alive: Callable[[], bool], done: Callable[[], bool], supervisor: Supervisor) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        if not alive() or time.monotonic() > end:
            raise ClusterError(
                f"{NAME}: its rules did not come; the end of {supervisor.log(NAME)}:\n{supervisor.last_lines(NAME)}"
            )
        time.sleep(0.1)
