"""What a cluster of our own holds from the start: a default storage class, and DNS as kubeadm installs it."""

from __future__ import annotations

from typing import Any

from tools.kubernetes import volumes
from tools.kubernetes.address import CLUSTER_DOMAIN, DNS_SERVICE_ADDRESS

DNS_IMAGE = "localhost/assistant/coredns:1.11.3"
DNS_LABELS = {"k8s-app": "kube-dns"}
COREFILE = f""".:53 {{
    errors
    health {{
        lameduck 5s
    }}
    ready
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }}
    prometheus :9153
    forward . /etc/resolv.conf
    cache 30 {{
        disable success {CLUSTER_DOMAIN}
        disable denial {CLUSTER_DOMAIN}
    }}
    loop
    reload
    loadbalance
}}
"""

Manifest = dict[str, Any]


def storage() -> list[Manifest]:
    """A default class with dynamic provisioning, and what its provisioner may do (see volumes.py)."""
    rbac, name = {"apiVersion": "rbac.authorization.k8s.io/v1"}, volumes.NAME.replace("/", ":")
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    rules = [
        {"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": ["list", "watch", "create", "delete"]},
        {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["list", "watch"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["list", "watch"]},
    ]
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}
    return [
        {**rbac, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        {**rbac, "kind": "ClusterRoleBinding", "metadata": {"name": name}, "roleRef": role, "subjects": [user]},
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": volumes.NAME,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
        },
    ]


def dns() -> list[Manifest]:
    """CoreDNS as a Deployment of kube-system, so that network policies find it by its usual labels."""
    name, namespace = "coredns", "kube-system"
    account = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
    rules = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
    ]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kube-dns",
            "namespace": namespace,
            "labels": {**DNS_LABELS, "kubernetes.io/cluster-service": "true"},
        },
        "spec": {"clusterIP": DNS_SERVICE_ADDRESS, "selector": DNS_LABELS, "ports": ports},
    }
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}},
        {**rbac, "kind": "ClusterRole", "metadata": {"name": role["name"]}, "rules": rules},
        {**rbac, "kind": "ClusterRoleBinding", "metadata": {"name": role["name"]}, "roleRef": role, "subjects": [account]},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace},
            "data": {"Corefile": COREFILE},
        },
        service,
        _dns_deployment(name, namespace),
    ]


def _dns_deployment(name: str, namespace: str) -> Manifest:
    container = {
        "name": name,
        "image": DNS_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "170Mi"}},
        "ports": [
            {"containerPort": 53, "name": "dns", "protocol": "UDP"},
            {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"},
            {"containerPort": 9153, "name": "metrics", "protocol": "TCP"},
        ],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "failureThreshold": 5, "timeoutSeconds": 5},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 2},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
        },
    }
    template = {
        "metadata": {"labels": DNS_LABELS},
        "spec": {
            "serviceAccountName": name,
            "priorityClassName": "system-cluster-critical",
            "dnsPolicy": "Default",  # the host's servers; its own would be a loop
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [{"name": "config", "configMap": {"name": name}}],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": DNS_LABELS},
        "spec": {"replicas": 1, "selector": {"matchLabels": DNS_LABELS}, "template": template},
    }
