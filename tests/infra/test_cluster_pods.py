"""Every pod of a cluster's stack: what it may do, what it reads, where it goes and how it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from rendering import environment, registered, settings_of

from app.settings import GatewaySettings, InferenceSettings, WorkerSettings, load
from infra.kubernetes import names
from infra.kubernetes.quantities import cores, size

PLATFORM = {"platforms": {"generic": {"url": "https://platform.example.com"}}}
GPU = {"inference": {"device": "cuda"}}
PROCESSES = {"gateway": GatewaySettings, "worker": WorkerSettings, "inference": InferenceSettings}


def containers(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from pod["spec"].get("initContainers", [])
    yield from pod["spec"]["containers"]


def in_this_process(pod: dict[str, Any], tmp_path: Any) -> dict[str, str]:
    """The environment with the mounted secrets in place of files."""
    found = {}
    for name, value in environment(pod).items():
        if value.startswith(names.SECRETS_DIRECTORY):
            (tmp_path / "secret").write_text("a secret")
            value = str(tmp_path / "secret")
        found[name] = value
    return found


@pytest.mark.parametrize("config", [PLATFORM, GPU, {"storage": {"modelAccess": "ReadWriteMany"}}])
async def test_every_container_is_as_restricted_as_pod_security_wants_and_more(config: dict[str, Any]) -> None:
    rendered = await registered(settings_of(config))
    pods = rendered.pods()
    assert set(pods) == set(names.PARTS)
    for part, pod in pods.items():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == names.USER_ID > 10_000
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["serviceAccountName"] == part
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert all(
            volume.keys() & {"emptyDir", "projected", "secret", "configMap", "persistentVolumeClaim"}
            for volume in spec["volumes"]
        )
        for container in containers(pod):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["privileged"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["runAsGroup"] == names.USER_ID


async def test_the_namespace_enforces_the_restricted_standard() -> None:
    labels = (await registered(settings_of())).find("Namespace", "assistant")["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}


async def test_every_container_is_bounded_in_cpu_memory_and_disk_and_so_is_its_tmp() -> None:
    for pod in (await registered(settings_of())).pods().values():
        for container in containers(pod):
            requests, limits = container["resources"]["requests"], container["resources"]["limits"]
            assert set(requests) == set(limits) == {"cpu", "memory", "ephemeral-storage"}
            assert cores(requests["cpu"]) <= cores(limits["cpu"])
            assert requests["memory"] == limits["memory"]
            (temporary,) = (volume["emptyDir"] for volume in pod["spec"]["volumes"] if "emptyDir" in volume)
            assert size(temporary["sizeLimit"]) < size(limits["ephemeral-storage"])


async def test_nothing_is_written_but_tmp_and_the_volumes_of_those_that_own_them() -> None:
    written = {
        (part, mount["mountPath"])
        for part, pod in (await registered(settings_of())).pods().items()
        for container in containers(pod)
        for mount in container["volumeMounts"]
        if not mount.get("readOnly") and mount["mountPath"] != "/tmp"
    }
    assert written == {("model", "/models"), ("redis", "/data")}


async def test_no_secret_stands_in_an_environment_a_command_or_anything_but_a_secret() -> None:
    rendered = await registered(settings_of(PLATFORM))
    (secrets,) = (item for item in rendered.registered if item.name == "secrets")
    values = rendered.secret_values()
    assert len(values) == len(secrets.inputs["versions"]) == 6
    certificate = rendered.certificate_key()
    for item in rendered.objects:
        if item["kind"] != "Secret":
            shown = repr(item)
            assert not any(value in shown for value in [*values.values(), certificate])
    for pod in rendered.pods().values():
        for name, value in environment(pod).items():
            assert not re.search(r"(KEY|PASSWORD|SECRET|TOKEN)$", name) or value.startswith(names.CERTIFICATE_DIRECTORY)


@pytest.mark.parametrize(
    "config", [{}, PLATFORM, {"redis": {"url": "redis://store.example.com:6379", "passwordSecret": "mine"}}]
)
async def test_each_part_has_a_secret_with_what_its_files_are_and_nothing_else(config: dict[str, Any]) -> None:
    rendered = await registered(settings_of(config))
    for part in ("gateway", "worker", "inference"):
        pod = rendered.pods()[part]
        read = {value.rpartition("/")[2] for value in environment(pod).values() if value.startswith(names.SECRETS_DIRECTORY)}
        (volume,) = (volume["projected"] for volume in pod["spec"]["volumes"] if volume["name"] == "secrets")
        assert volume["defaultMode"] == 0o440
        theirs = {item["path"] for source in volume["sources"] for item in source["secret"].get("items", [])}
        assert read == set(rendered.find("Secret", part)["data"]) | theirs
        assert volume["sources"][0]["secret"] == {"name": part}
    assert "generic_client_secret" not in rendered.find("Secret", "gateway")["data"]
    assert set(rendered.find("Secret", "inference")["data"]) == {"inference_api_key"}


async def test_an_external_redis_is_opened_by_the_users_own_secret_and_no_server_of_ours_is_made() -> None:
    config = {"redis": {"url": "rediss://store.example.com:6380", "passwordSecret": "mine", "cluster": True}}
    rendered = await registered(settings_of(config))
    assert not rendered.kinds("StatefulSet")
    assert "redis_password" not in rendered.find("Secret", "gateway")["data"]
    for part in ("gateway", "worker"):
        found = environment(rendered.pods()[part])
        assert found["REDIS_URL"] == "rediss://store.example.com:6380/0"
        assert found["REDIS_CLUSTER"] == "true"
        assert found["REDIS_PASSWORD_FILE"] == f"{names.SECRETS_DIRECTORY}/redis_password"
        assert {"secret": {"name": "mine", "items": [{"key": "password", "path": "redis_password"}]}} in [
            source
            for volume in rendered.pods()[part]["spec"]["volumes"]
            for source in volume.get("projected", {}).get("sources", [])
        ]


@pytest.mark.parametrize("name", PROCESSES)
async def test_the_environment_of_each_process_is_one_that_it_accepts_and_has_no_word_that_it_does_not_know(
    name: str, tmp_path: Any
) -> None:
    rendered = await registered(settings_of(PLATFORM))
    model: type[BaseModel] = PROCESSES[name]
    found = in_this_process(rendered.pods()[name], tmp_path)
    load(model, found)
    assert {variable.removesuffix("_FILE") for variable in found} <= {field.upper() for field in model.model_fields}


async def test_a_cluster_without_a_platform_knows_nothing_of_one() -> None:
    rendered = await registered(settings_of())
    for part in ("gateway", "worker"):
        assert not [name for name in environment(rendered.pods()[part]) if name.startswith("GENERIC")]
        assert not [name for name in rendered.find("Secret", part)["data"] if name.startswith("generic")]
    assert rendered.outputs.webhook_urls is None
    assert rendered.outputs.webhook_secrets is None


async def test_a_pod_is_given_more_time_to_end_than_it_takes_for_everything() -> None:
    for part in PROCESSES:
        pod = (await registered(settings_of())).pods()[part]
        found = environment(pod)
        pre_stop = pod["spec"]["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        taken = pre_stop + float(found["NOTICE_SECONDS"]) + float(found["DRAIN_SECONDS"])
        assert pod["spec"]["terminationGracePeriodSeconds"] > taken
        # Whoever is sent requests goes on for a while after it was taken out of the Service.
        assert (pre_stop > 0) is (part != "worker")
        if "INFERENCE_TIMEOUT_SECONDS" in found:
            assert float(found["DRAIN_SECONDS"]) > float(found["INFERENCE_TIMEOUT_SECONDS"])


async def test_starting_readiness_and_life_are_asked_apart() -> None:
    rendered = await registered(settings_of())
    for part in PROCESSES:
        container = rendered.pods()[part]["spec"]["containers"][0]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        probed = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
        assert {kind: get["path"] for kind, get in probed.items()} == {
            # Gateway and worker are ready when Redis is: a restart would not bring it.
            "startup": "/readyz" if part == "inference" else "/healthz",
            "readiness": "/readyz",
            "liveness": "/healthz",
        }
        assert {ports[get["port"]] for get in probed.values()} == {
            {"gateway": names.GATEWAY_PORT, "worker": names.WORKER_PORT, "inference": names.INFERENCE_PORT}[part]
        }
        # A restart takes longer to be decided than a stop of the traffic.
        patience = {
            kind: container[f"{kind}Probe"]["periodSeconds"] * container[f"{kind}Probe"]["failureThreshold"] for kind in probed
        }
        assert patience["liveness"] > 5 * patience["readiness"]
    assert rendered.pods()["gateway"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"


async def test_the_number_of_replicas_is_left_to_the_autoscaler() -> None:
    for deployment in (await registered(settings_of())).kinds("Deployment"):
        assert "replicas" not in deployment["spec"]


async def test_inference_starts_when_the_model_is_proved_to_be_the_one_of_its_recipe() -> None:
    spec = (await registered(settings_of())).pods()["inference"]["spec"]
    (waiting,) = spec["initContainers"]
    path = environment({"spec": spec})["MODEL_PATH"]
    assert path.startswith("/models/.recipes/")
    assert waiting["command"] == ["python", "-m", "app.models.wait", path, "--seconds", "1800"]


async def test_pull_secret_authorities_and_platform_reach_those_that_need_them() -> None:
    config = {**PLATFORM, "images": {"pullSecret": "registry", **settings_of().images.model_dump(exclude_none=True)}}
    rendered = await registered(settings_of(config), authorities="PEM")
    assert rendered.find("ConfigMap", "authorities")["data"] == {"ca-certificates.crt": "PEM"}
    for part, pod in rendered.pods().items():
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
        trusts = {name for name, value in environment(pod).items() if value == names.AUTHORITIES_FILE}
        assert trusts == {
            "gateway": {"SSL_CERT_FILE"},
            "worker": {"SSL_CERT_FILE"},
            "model": {"SSL_CERT_FILE", "PIP_CERT"},
        }.get(part, set())


async def test_redis_keeps_what_it_acknowledged_evicts_nothing_and_fits_into_its_memory() -> None:
    rendered = await registered(settings_of({"resources": {"redis": {"memory": "512Mi"}}}))
    lines = rendered.find("ConfigMap", "redis")["data"]["redis.conf"].splitlines()
    assert {"appendonly yes", "appendfsync always", "maxmemory-policy noeviction"} <= set(lines)
    (bound,) = (int(line.split()[1]) for line in lines if line.startswith("maxmemory "))
    assert bound == size("512Mi") // 2
    (volume,) = (v for v in rendered.pods()["redis"]["spec"]["volumes"] if "persistentVolumeClaim" in v)
    claim = rendered.find("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"


async def test_the_services_lead_to_ports_that_the_pods_have() -> None:
    rendered = await registered(settings_of())
    pods = rendered.pods()
    led = {}
    for service in rendered.kinds("Service"):
        selector = service["spec"]["selector"]
        (pod,) = (pod for pod in pods.values() if selector.items() <= pod["metadata"]["labels"].items())
        ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
        (port,) = service["spec"]["ports"]
        led[service["metadata"]["name"]] = (port["port"], ports.get(port["targetPort"], port["targetPort"]))
    assert led == {
        "gateway": (443, 8443),
        "ai-service": (8080, 8080),
        "redis": (6379, 6379),
        "redis-nodes": (6379, 6379),
        **{names.metrics_service(part): (9090, 9090) for part in ("gateway", "worker", "inference")},
    }


@pytest.mark.parametrize(("access", "inference"), [("ReadWriteMany", 1), ("ReadWriteOnce", "100%")])
async def test_nodes_can_be_emptied_pod_by_pod(access: str, inference: int | str) -> None:
    """Inference pods that share a volume on one node leave together: none could start elsewhere while another stays."""
    rendered = await registered(settings_of({"storage": {"modelAccess": access}}))
    budgets = {item["metadata"]["name"]: item["spec"]["maxUnavailable"] for item in rendered.kinds("PodDisruptionBudget")}
    assert budgets == {"gateway": 1, "worker": 1, "inference": inference, "redis": 1}


async def test_another_class_or_access_makes_another_volume_for_models_and_never_another_queue() -> None:
    settings = ({}, {"storageClass": "fast"}, {"modelAccess": "ReadWriteMany"})
    claims = []
    for storage in settings:
        rendered = await registered(settings_of({"storage": storage}))
        (models,) = {
            volume["persistentVolumeClaim"]["claimName"]
            for part in ("inference", "model")
            for volume in rendered.pods()[part]["spec"]["volumes"]
            if "persistentVolumeClaim" in volume
        }
        made = {item["metadata"]["name"] for item in rendered.kinds("PersistentVolumeClaim")}
        assert made == {models, "redis"}
        (job,) = rendered.kinds("Job")
        claims.append((models, job["metadata"]["name"]))
    assert len({models for models, _ in claims}) == len({job for _, job in claims}) == len(settings)
