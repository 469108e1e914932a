"""What is changed in the manifests of others, and what is left alone."""

from __future__ import annotations

import base64
import copy
import datetime
from typing import Any

from tools.kubernetes.addons import keda, metrics_server
from tools.kubernetes.addons.certificates import self_signed

PAIR = self_signed("test", ["a.b.svc"], datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))


def deployment(name: str) -> dict[str, Any]:
    container = {
        "name": name,
        "image": "ghcr.io/upstream:latest",
        "imagePullPolicy": "Always",
        "command": ["/upstream"],
        "args": ["--enable-cert-rotation=true"],
        "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1000Mi"}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8081}, "initialDelaySeconds": 20},
        "securityContext": {"runAsNonRoot": True},
        "volumeMounts": [{"name": "x", "mountPath": "/x"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "x", "emptyDir": {}}]}
    return {"kind": "Deployment", "metadata": {"name": name}, "spec": {"template": {"spec": pod}}}


def api_service(name: str) -> dict[str, Any]:
    return {"kind": "APIService", "metadata": {"name": name}, "spec": {"insecureSkipTLSVerify": True, "group": "g"}}


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


UPSTREAM = [
    deployment("metrics-server"),
    {"kind": "Service", "metadata": {"name": "metrics-server"}, "spec": {"ports": []}},
    api_service(metrics_server.API_SERVICE),
]


def test_the_api_server_checks_whom_it_asks() -> None:
    for objects in (
        metrics_server.objects(UPSTREAM, "image", PAIR, kubelet_authority=True),
        keda.objects([api_service(keda.API_SERVICE)], {}, PAIR),
    ):
        spec = of_kind(objects, "APIService")["spec"]
        assert base64.b64decode(spec["caBundle"]) == PAIR.certificate
        assert "insecureSkipTLSVerify" not in spec


def test_metrics_server_trusts_kubelets_by_the_clusters_authority_where_that_signs_them() -> None:
    assert "--kubelet-insecure-tls" not in metrics_server.arguments(kubelet_authority=True)
    assert "--kubelet-insecure-tls" in metrics_server.arguments(kubelet_authority=False)


def test_the_program_is_ours_and_everything_else_of_the_pod_stays() -> None:
    changed = of_kind(metrics_server.objects(UPSTREAM, "image:1", PAIR, kubelet_authority=True), "Deployment")
    (container,) = changed["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("image:1", "Never")
    assert "command" not in container
    assert container["securityContext"] == {"runAsNonRoot": True}
    assert container["resources"]["limits"] == {"memory": "1000Mi"}
    assert {"name": "x", "mountPath": "/x"} in container["volumeMounts"]
    assert container["readinessProbe"]["initialDelaySeconds"] == 0


def test_the_manifests_that_were_given_are_not_touched() -> None:
    before = copy.deepcopy(UPSTREAM)
    metrics_server.objects(UPSTREAM, "image", PAIR, kubelet_authority=True)
    assert before == UPSTREAM


def test_a_new_certificate_rolls_the_pods_that_serve_with_it() -> None:
    other = self_signed("test", ["a.b.svc"], datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))

    def template(pair: Any) -> Any:
        images = {keda.OPERATOR: "image"}
        return of_kind(keda.objects([deployment(keda.OPERATOR)], images, pair), "Deployment")["spec"]["template"]

    assert template(PAIR) == template(PAIR) != template(other)


def test_kedas_namespace_comes_before_what_lies_in_it() -> None:
    given = [deployment(keda.OPERATOR), {"kind": "Kustomization"}, {"kind": "Namespace", "metadata": {"name": "keda"}}]
    kinds = [each["kind"] for each in keda.objects(given, {keda.OPERATOR: "image"}, PAIR)]
    assert kinds == ["Namespace", "Secret", "Deployment"]
