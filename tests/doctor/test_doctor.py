"""The doctor itself: whose place it is, what it prints and exits with, and that it gives no secret away."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.doctor import report
from app.doctor.examine import CHECKS, chosen, examine
from app.doctor.finding import Examination, Severity, error, exit_status, from_json, note, ok, warning, without
from app.doctor.place import Place, place_of, service_in
from infra.local.supervisor_client import ProgramState
from tools.doctor import inside, local, pods

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("environment", "service"),
    [
        ({"MODEL_PATH": "/models/a", "API_KEY_FILE": "/k"}, "inference"),
        ({"API_KEY_FILE": "/k", "INFERENCE_API_KEY_FILE": "/k"}, "gateway"),
        ({"INFERENCE_API_KEY": "k"}, "worker"),
        ({"SLACK_APP_TOKEN_FILE": "/k"}, "transport"),
        ({"FEISHU_APP_SECRET": "k"}, "transport"),
        ({"PATH": "/bin"}, None),
    ],
)
def test_tells_by_the_settings_whose_place_it_is(environment: dict[str, str], service: str | None) -> None:
    assert service_in(environment) == service


@pytest.mark.parametrize(
    ("findings", "unseen", "status"),
    [
        ([ok("a", "b"), note("a", "b")], {}, 0),
        ([ok("a", "b"), warning("a", "b")], {}, 1),
        ([warning("a", "b"), error("a", "b")], {}, 2),
        ([warning("a", "b")], {"x": "y"}, 3),
        ([error("a", "b")], {"x": "y"}, 2),
    ],
)
def test_exits_by_the_gravest_finding(findings: list[Any], unseen: dict[str, str], status: int) -> None:
    assert exit_status([Examination(place="gateway", findings=tuple(findings), unseen=unseen)]) == status


def test_says_that_it_could_not_look_where_nothing_was() -> None:
    assert exit_status([]) == 3


def test_exits_with_3_where_nobodys_settings_are() -> None:
    done = _run({})
    assert done.returncode == 3
    assert "--service" in done.stderr


def test_looks_at_what_needs_no_settings_where_they_are_wrong() -> None:
    done = _run({"INFERENCE_API_KEY": "k" * 20, "PORT": "none"}, "--json")
    (place,) = json.loads(done.stdout)["places"]
    assert done.returncode == 2
    assert {finding["check"] for finding in place["findings"]} == {"settings", "clock", "disk", "versions"}
    assert any("PORT" in finding["what"] for finding in place["findings"])


def test_shows_neither_secrets_nor_what_a_server_puts_into_its_errors(doctor: Any, canary: str, private_redis: Any) -> None:
    secret = {name: f"{canary}{number}" for number, name in enumerate(("API_KEY", "INFERENCE_API_KEY", "REDIS_PASSWORD"))}
    more = {
        "SLACK_SIGNING_SECRET": f"{canary}signing {canary}previous",
        "FEISHU_ENCRYPT_KEY": f"{canary}encrypt",
        "FEISHU_VERIFICATION_TOKEN": f"{canary}token",
        "FEISHU_APP_SECRET": f"{canary}app",
        "FEISHU_APP_ID": "cli_a1",
        "FEISHU_URL": "http://127.0.0.1:9",
        "SLACK_CLIENT_SECRET": f"{canary}client",
        "TOKEN_KEY": f"{canary}key",
        "GENERIC_WEBHOOK_SECRET": f"whsec_{canary}",
        "REDIS_URL": private_redis.url.replace("redis://", f"redis://user:{canary}url@"),
    }
    environment = secret | more
    for arguments in (("--json",), ("--all",)):
        done = _run(environment, *arguments)
        assert done.stdout
        assert canary not in done.stdout + done.stderr


def test_takes_secrets_out_of_what_others_say() -> None:
    found = without(["the-password"], error("redis", "no the-password", "the-password", "the-password!"))
    assert "the-password" not in found.what + found.evidence + found.remedy
    assert found.evidence == "[secret]"


def test_a_check_that_breaks_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.doctor.checks import disk, versions

    async def broken(_place: Place) -> list[Any]:
        raise RuntimeError("what it says may be anything")

    async def without_library(_place: Place) -> list[Any]:
        raise ModuleNotFoundError("no", name="cryptography.x509")

    monkeypatch.setattr(disk, "look", broken)
    monkeypatch.setattr(versions, "look", without_library)
    place = place_of("worker", {"INFERENCE_API_KEY": "k" * 20})
    found = asyncio.run(examine(place, ("disk", "versions", "settings")))
    assert found.unseen == {"disk": "RuntimeError in the doctor itself"}
    assert found.left_out == {"versions": "no cryptography.x509 here"}
    assert [finding.check for finding in found.findings] == ["settings"]


def test_leaves_out_what_the_process_would_be_asked_where_it_is_not(tmp_path: Path) -> None:
    place = place_of("inference", {"MODEL_PATH": str(tmp_path), "API_KEY": "k" * 20})
    names = {check.name for check in chosen(place, alone=True)}
    assert names == {"settings", "model", "clock", "disk", "versions"}


def test_imports_in_the_inference_image_nothing_that_is_not_there(tmp_path: Path) -> None:
    """Neither Redis' client nor cryptography is installed beside the model."""
    code = (
        "import sys\n"
        "for name in ('redis', 'cryptography', 'jwt', 'markdown_it', 're2', 'psutil'): sys.modules[name] = None\n"
        "from app.doctor.__main__ import main\nimport os\nsys.exit(main(['--json'], os.environ))\n"
    )
    environment = {"PATH": os.environ["PATH"], "MODEL_PATH": str(tmp_path), "API_KEY": "k" * 20}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    (place,) = json.loads(done.stdout)["places"]
    assert place["unseen"] == {}
    assert place["left_out"] == {}


def test_every_check_is_listed_and_documented() -> None:
    listed = _run({}, "--list").stdout
    page = (CHECKOUT / "docs" / "doctor.md").read_text(encoding="utf-8")
    for check in CHECKS:
        assert check.name in listed
        assert f"`{check.name}`" in page


def test_tells_what_is_wrong_in_several_places_once() -> None:
    shared = error("redis", "Redis hangs", "seen here", "end it")
    gateway = Examination(place="gateway", findings=(ok("disk", "room", "much"), shared))
    worker = Examination(place="worker", findings=(shared,))
    text = report.as_text([gateway, worker])
    assert text.count("Redis hangs") == 1
    assert "Redis hangs (also worker)." in text
    assert "much" not in text
    assert "much" in report.as_text([gateway, worker], everything=True)
    assert text.endswith("1 error.")


def test_moves_no_terminal() -> None:
    found = report.as_text([Examination(place="gateway", findings=(error("tokens", "bad \x1b[31m", "\x07\r\n", "x"),))])
    assert not {"\x1b", "\x07", "\r"} & set(found)


def test_reads_what_another_doctor_has_printed() -> None:
    one = Examination(place="gateway", findings=(error("a", "b", "c", "d"),), unseen={"x": "y"}, left_out={})
    document = report.as_json([one])
    assert from_json(json.loads(document)["places"][0]) == one
    assert inside.read("gateway", document, "") == one


@pytest.mark.parametrize("output", ["", "Traceback", "{}", '{"places": []}', '{"places": [{"findings": [{}]}]}'])
def test_says_so_where_the_other_doctor_did_not_look(output: str) -> None:
    found = inside.read("gateway", output, "first line\nkubectl: no such pod\n")
    assert found.unseen == {"doctor": "kubectl: no such pod"}
    assert exit_status([found]) == 3


@pytest.mark.parametrize(
    ("state", "severity"),
    [
        (ProgramState("RUNNING", 7, ""), Severity.OK),
        (ProgramState("STARTING", 7, ""), Severity.WARNING),
        (ProgramState("BACKOFF", 0, "Exited too quickly"), Severity.ERROR),
        (ProgramState("FATAL", 0, ""), Severity.ERROR),
        (None, Severity.ERROR),
    ],
)
def test_judges_a_local_process(state: ProgramState | None, severity: Severity) -> None:
    assert local.judge_program("worker", state).severity is severity


def test_is_content_with_pods_that_are_ready() -> None:
    assert [finding.severity for finding in pods.judge_pods([_pod(), _pod(phase="Succeeded", ready="False")])] == [Severity.OK]


@pytest.mark.parametrize(
    ("pod", "severity", "words"),
    [
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "ready": "False"}, Severity.ERROR, "CrashLoopBackOff"),
        ({"state": {"waiting": {"reason": "ImagePullBackOff"}}, "ready": "False"}, Severity.ERROR, "ImagePullBackOff"),
        ({"restarts": 1, "last": {"reason": "OOMKilled", "exitCode": 137}}, Severity.WARNING, "memory"),
        ({"restarts": 3, "last": {"reason": "Error", "exitCode": 1}}, Severity.WARNING, "again and again"),
        ({"restarts": 1, "last": {"reason": "Completed", "exitCode": 0}}, Severity.NOTE, "was restarted"),
        ({"ready": "False"}, Severity.ERROR, "not ready"),
        ({"scheduled": "False", "ready": "False"}, Severity.ERROR, "no node"),
    ],
)
def test_names_the_pod_that_is_not_well(pod: dict[str, Any], severity: Severity, words: str) -> None:
    (found,) = pods.judge_pods([_pod(**pod)])
    assert found.severity is severity
    assert found.what.startswith("gateway-1")
    assert words in found.what


def _pod(
    *,
    phase: str = "Running",
    state: dict[str, Any] | None = None,
    restarts: int = 0,
    last: dict[str, Any] | None = None,
    ready: str = "True",
    scheduled: str = "True",
) -> dict[str, Any]:
    container = {"name": "gateway", "state": state or {"running": {}}, "restartCount": restarts}
    container |= {"lastState": {"terminated": last}} if last else {}
    conditions = [
        {"type": "PodScheduled", "status": scheduled, "message": "0/3 nodes are available"},
        {"type": "Ready", "status": ready, "message": "containers with unready status"},
    ]
    return {
        "metadata": {"name": "gateway-1"},
        "status": {"phase": phase, "containerStatuses": [container], "conditions": conditions},
    }


def _run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.doctor", *arguments],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
