"""Command lines and configuration files of a cluster of our own."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import tomllib
from pathlib import Path

import pytest
import yaml

from tools.kubernetes import control_plane, manifests, node, pki, volumes
from tools.kubernetes.address import DNS_SERVICE_ADDRESS, HOST_ADDRESS, LOOPBACK, POD_NETWORK, SERVICE_NETWORK
from tools.kubernetes.control_plane import Plane
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.kubeconfig import kubeconfig
from tools.kubernetes.layout import Layout

LAYOUT = Layout(Path("/checkout/.state/kubernetes"))
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "containerd", "kubelet", "kube-proxy")
BINARIES = {name: Path("/bin") / name for name in NAMES}


def flags(command: tuple[str, ...]) -> dict[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in command[1:])  # type: ignore[misc]


def plane(*, with_node: bool = True) -> Plane:
    return Plane(layout=LAYOUT, binaries=BINARIES, node=with_node)


def machine(*, sandboxed: bool = False) -> node.Machine:
    return node.Machine(
        apparmor=not sandboxed,
        adjustable_oom_score=not sandboxed,
        overlay=not sandboxed,
        resolver=Path("/etc/resolv.conf"),
        plugins=Path("/usr/lib/cni"),
    )


@pytest.mark.parametrize("with_node", [True, False])
def test_nothing_listens_where_other_machines_reach_it(with_node: bool) -> None:
    there = plane(with_node=with_node)
    expected = HOST_ADDRESS if with_node else LOOPBACK
    assert flags(control_plane.api_server(there).command)["bind-address"] == expected
    assert flags(control_plane.scheduler(there).command)["bind-address"] == LOOPBACK
    assert flags(control_plane.controller_manager(there).command)["bind-address"] == LOOPBACK
    listening = [value for name, value in flags(control_plane.etcd(there).command).items() if name.startswith("listen")]
    assert all(f"https://{LOOPBACK}:" in value for value in listening)
    kubelet = yaml.safe_load(node.kubelet_configuration(LAYOUT, machine()))
    assert (kubelet["address"], kubelet["healthzBindAddress"]) == (HOST_ADDRESS, LOOPBACK)
    proxy = yaml.safe_load(node.proxy_configuration(Path("/k")))
    assert proxy["nodePortAddresses"] == ["primary"]
    assert proxy["healthzBindAddress"].startswith(LOOPBACK) and proxy["metricsBindAddress"].startswith(LOOPBACK)


def test_nobody_enters_without_a_certificate_or_a_role() -> None:
    api = flags(control_plane.api_server(plane()).command)
    assert api["authorization-mode"] == "Node,RBAC"
    assert "NodeRestriction" in api["enable-admission-plugins"]
    assert flags(control_plane.etcd(plane()).command)["client-cert-auth"] == "true"
    kubelet = yaml.safe_load(node.kubelet_configuration(LAYOUT, machine()))
    assert kubelet["authentication"]["anonymous"] == {"enabled": False}
    assert kubelet["authorization"] == {"mode": "Webhook"}


def test_servers_of_aggregated_apis_can_tell_who_asks() -> None:
    api = flags(control_plane.api_server(plane()).command)
    assert api["requestheader-client-ca-file"].endswith("front-proxy-ca.crt")
    assert api["proxy-client-cert-file"].endswith(f"{api['requestheader-allowed-names']}.crt")
    assert api["enable-aggregator-routing"] == "true"


def test_containerd_keeps_to_the_folder_of_the_cluster() -> None:
    content = tomllib.loads(node.containerd(LAYOUT, machine(), Path("/usr/sbin/runc")))
    cri = content["plugins"]["io.containerd.grpc.v1.cri"]
    places = [content["root"], content["state"], content["grpc"]["address"], cri["cni"]["conf_dir"]]
    places.append(cri["containerd"]["runtimes"]["runc"]["options"]["Root"])
    assert all(Path(place).is_relative_to(LAYOUT.root) for place in places)
    assert cri["netns_mounts_under_state_dir"] is True
    assert cri["sandbox_image"] == node.PAUSE_IMAGE


def test_a_sandbox_that_forbids_things_is_borne_and_an_ordinary_machine_keeps_its_defences() -> None:
    ordinary, confined = (
        tomllib.loads(node.containerd(LAYOUT, machine(sandboxed=sandboxed), Path("/r")))["plugins"]["io.containerd.grpc.v1.cri"]
        for sandboxed in (False, True)
    )
    assert (ordinary["disable_apparmor"], ordinary["restrict_oom_score_adj"]) == (False, False)
    assert (confined["disable_apparmor"], confined["restrict_oom_score_adj"]) == (True, True)
    assert (ordinary["containerd"]["snapshotter"], confined["containerd"]["snapshotter"]) == ("overlayfs", "native")
    assert "featureGates" not in yaml.safe_load(node.kubelet_configuration(LAYOUT, machine()))
    assert yaml.safe_load(node.kubelet_configuration(LAYOUT, machine(sandboxed=True)))["featureGates"]["KubeletInUserNamespace"]


def test_pods_have_addresses_that_neither_the_host_nor_a_service_has() -> None:
    plugins = json.loads(node.network(LAYOUT))["plugins"]
    (addresses,) = plugins[0]["ipam"]["ranges"][0]
    pods, services = ipaddress.ip_network(POD_NETWORK), ipaddress.ip_network(SERVICE_NETWORK)
    first, last = (ipaddress.ip_address(addresses[key]) for key in ("rangeStart", "rangeEnd"))
    assert first in pods and last in pods
    assert not first <= ipaddress.ip_address(HOST_ADDRESS) <= last
    assert ipaddress.ip_address(DNS_SERVICE_ADDRESS) in services and not pods.overlaps(services)
    assert addresses["gateway"] == HOST_ADDRESS


def test_no_image_is_collected_for_no_registry_would_give_it_back() -> None:
    assert yaml.safe_load(node.kubelet_configuration(LAYOUT, machine()))["imageGCHighThresholdPercent"] == 100


def test_a_checkout_whose_path_is_too_long_for_a_socket_is_refused() -> None:
    LAYOUT.require_short_sockets()
    with pytest.raises(ClusterError, match="shorter path"):
        Layout(Path("/") / ("long" * 30) / "kubernetes").require_short_sockets()


def test_the_kubeconfig_holds_all_that_it_needs(tmp_path: Path) -> None:
    pki.ensure(tmp_path, datetime.datetime.now(datetime.UTC))
    content = yaml.safe_load(kubeconfig("https://192.0.2.1:6443", tmp_path, "admin"))
    assert content["current-context"] == "assistant"
    authority = content["clusters"][0]["cluster"]["certificate-authority-data"]
    assert base64.b64decode(authority) == (tmp_path / "ca.crt").read_bytes()


def test_the_dns_service_leads_to_pods_that_network_policies_find_by_the_usual_label() -> None:
    objects = {item["kind"]: item for item in manifests.dns()}
    selector = objects["Service"]["spec"]["selector"]
    assert selector == {"k8s-app": "kube-dns"}
    assert objects["Deployment"]["spec"]["template"]["metadata"]["labels"].items() >= selector.items()
    assert objects["Service"]["spec"]["clusterIP"] == DNS_SERVICE_ADDRESS


def test_the_default_class_is_served_by_our_provisioner_which_may_do_what_it_must() -> None:
    objects = {item["kind"]: item for item in manifests.storage()}
    assert objects["StorageClass"]["provisioner"] == volumes.NAME
    assert objects["StorageClass"]["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"
    subject = objects["ClusterRoleBinding"]["subjects"][0]
    assert subject["name"] == pki.LEAVES[volumes.CERTIFICATE].common_name
