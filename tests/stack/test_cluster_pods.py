"""The pods seen from within, through pytest-testinfra's kubectl backend: who they run as, what they hold, whom they reach."""

from __future__ import annotations

import json

import pytest
from cluster_deployment import ClusterDeployment

from infra.kubernetes.redis import CONFIGURATION_DIRECTORY, DATA_DIRECTORY
from infra.redis_configuration import CONFIGURATION_FILE

APPLICATION = ("gateway", "worker", "inference")

ASK_THE_MODEL = """
import json, pathlib, urllib.request
key = pathlib.Path("/run/secrets/assistant/inference_api_key").read_text().strip()
body = json.dumps({"prompt": "Question: What is the capital of France?\\nAnswer:"}).encode()
headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
request = urllib.request.Request("http://ai-service:8080/predict", body, headers)
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""


@pytest.mark.parametrize("part", [*APPLICATION, "redis"])
def test_runs_as_a_user_without_rights_on_a_read_only_root(deployed: ClusterDeployment, part: str) -> None:
    host = deployed.inside(part)
    assert int(host.check_output("id -u")) >= 10_000
    assert host.run("touch /written").rc != 0
    status = host.check_output("cat /proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


@pytest.mark.parametrize("part", [*APPLICATION, "redis"])
def test_holds_no_token_for_the_cluster(deployed: ClusterDeployment, part: str) -> None:
    assert not deployed.inside(part).file("/var/run/secrets/kubernetes.io").exists


def test_gives_each_part_the_secrets_that_it_reads_and_no_others(deployed: ClusterDeployment) -> None:
    held = {part: set(deployed.inside(part).file("/run/secrets/assistant").listdir()) for part in APPLICATION}
    shown = {part: {name for name in names if not name.startswith(".")} for part, names in held.items()}
    assert shown == {
        "gateway": {"api_key", "inference_api_key", "redis_password", "generic_webhook_secret", "token_key"},
        "worker": {"inference_api_key", "redis_password", "generic_webhook_secret", "generic_client_secret", "token_key"},
        "inference": {"inference_api_key"},
    }


def test_keeps_secrets_out_of_the_environment(deployed: ClusterDeployment) -> None:
    values = deployed.secrets().values()
    for part in (*APPLICATION, "redis"):
        environment = deployed.inside(part).check_output("cat /proc/1/environ /proc/1/cmdline | tr '\\0' '\\n'")
        assert [value for value in values if value in environment] == []


def test_answers_a_pod_with_the_real_model_by_the_name_of_the_service(deployed: ClusterDeployment) -> None:
    answer = deployed.inside("worker").check_output(f"/opt/assistant/bin/python -c '{ASK_THE_MODEL}'")
    assert "Paris" in json.loads(answer)["prediction"]


def test_has_no_tools_to_build_with(deployed: ClusterDeployment) -> None:
    for part in APPLICATION:
        host = deployed.inside(part)
        assert [tool for tool in ("gcc", "make", "curl", "wget", "git", "podman") if host.exists(tool)] == []


def test_keeps_the_events_on_disk_before_it_takes_them(deployed: ClusterDeployment) -> None:
    """An acknowledged event survives the end of Redis' pod: the append-only file is written through for each command."""
    inside = deployed.inside("redis")
    lines = inside.file(str(CONFIGURATION_DIRECTORY / CONFIGURATION_FILE)).content_string.splitlines()
    assert {"appendonly yes", "appendfsync always", "maxmemory-policy noeviction"} <= set(lines)
    assert inside.file(str(DATA_DIRECTORY / "appendonlydir")).is_directory


def test_serves_metrics_on_a_port_of_their_own(deployed: ClusterDeployment) -> None:
    read = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9090/metrics', timeout=5).read().decode())"
    said = {part: deployed.inside(part).check_output(f'/opt/assistant/bin/python -c "{read}"') for part in APPLICATION}
    assert "assistant_http_request_duration_seconds_bucket" in said["gateway"]
    assert "assistant_queue_backlog" in said["worker"]
    assert "gen_ai_server_time_to_first_token_seconds" in said["inference"]
