"""The programs of a cluster of our own that come as Go modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tools.kubernetes.golang_build import GoProgram

MODULES = Path(__file__).with_name("modules")
KUBERNETES_VERSION = "v1.33.1"
COREDNS_VERSION = "v1.11.3"
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
NODE = ("kubelet", "kube-proxy")
COMMIT = "8adc0f041b8e7ad1d30e29cc59c6ae7a15e19828"  # of the tag v1.33.1, as the module proxy names its origin


def version_variables(version: str = KUBERNETES_VERSION) -> Mapping[str, str]:
    """What an official build says of itself, set where the official build sets it."""
    major, minor, _ = version.removeprefix("v").split(".")
    said = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitCommit": COMMIT, "gitTreeState": "clean"}
    places = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return {f"{place}.{name}": value for place in places for name, value in said.items()}


def _kubernetes(name: str, commands: tuple[str, ...]) -> GoProgram:
    packages = tuple(f"k8s.io/kubernetes/cmd/{command}" for command in commands)
    return GoProgram(name, KUBERNETES_VERSION, MODULES / "kubernetes", packages, version_variables())


def control_plane() -> GoProgram:
    return _kubernetes("control-plane", CONTROL_PLANE)


def node() -> GoProgram:
    return _kubernetes("node", NODE)


def kubectl() -> GoProgram:
    return _kubernetes("kubectl", ("kubectl",))


def coredns() -> GoProgram:
    return GoProgram("coredns", COREDNS_VERSION, MODULES / "coredns", ("github.com/coredns/coredns",))


def pause() -> GoProgram:
    return GoProgram("pause", "1", MODULES / "pause", ("assistant-stack/tools/kubernetes/modules/pause",))
