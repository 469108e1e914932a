"""What every target's assistant does, seen from outside through its stack's outputs alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from deployment import Deployment
from generic.emulator import Emulator

from tools.stack.assistant import Assistant

CONTRACT = {
    "target",
    "url",
    "consoleUrl",
    "webhookUrls",
    "redirectUris",
    "egressAddresses",
    "inferenceUrl",
    "caCertificate",
    "apiKey",
    "webhookSecrets",
    "modelName",
    "modelDigest",
    "alarms",
    "estimatedMonthlyCost",
}
Send = Callable[..., httpx2.Response]


def test_exports_the_names_of_the_contract_and_no_others(outputs: dict[str, Any]) -> None:
    assert outputs.keys() <= CONTRACT
    assert {
        "target",
        "url",
        "webhookUrls",
        "inferenceUrl",
        "apiKey",
        "webhookSecrets",
        "modelName",
        "modelDigest",
    } <= outputs.keys()


def test_hides_the_secret_outputs_unless_asked(deployed: Deployment) -> None:
    hidden = deployed.outputs(show_secrets=False)
    assert hidden["apiKey"] == "[secret]"
    assert hidden["webhookSecrets"] in ("[secret]", {"generic": "[secret]"})


def test_answers_a_question_with_a_real_model(assistant: Assistant) -> None:
    assert "Paris" in assistant.ask("What is the capital of France?")


def test_refuses_a_question_without_the_key(outputs: dict[str, Any], assistant: Assistant) -> None:
    with assistant.client() as client:
        for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}):
            response = client.post("/api/v1/answer", json={"question": "Who are you?"}, headers=headers)
            assert response.status_code == 401
            assert response.json()["error"]["code"] == "invalid_api_key"


def test_answers_a_message_on_the_platform(send: Send, platform: Emulator) -> None:
    key = send("What is the capital of France?").json()
    assert key["status"] == "accepted"
    assert platform.wait_for(lambda it: len(it.messages) == 1, 30)
    assert "Paris" in platform.messages[0]["text"]


def test_carries_out_the_chinese_task(send: Send, platform: Emulator) -> None:
    assert send("创建一个周会的日程在2026-12-01").status_code == 200
    assert platform.wait_for(lambda it: len(it.calendar) == 1 and len(it.messages) == 1, 30)
    assert (platform.calendar[0]["summary"], platform.calendar[0]["start"]) == ("周会", "2026-12-01")
    assert "周会" in platform.messages[0]["text"]


def test_gives_a_repeated_event_one_effect(send: Send, platform: Emulator) -> None:
    number = f"msg_{uuid.uuid4().hex}"
    first, *others = [send("创建一个站会的日程在2026-12-02", event_id=number) for _ in range(5)]
    assert [first.status_code, first.json()["status"]] == [200, "accepted"]
    assert {(other.status_code, other.json()["status"]) for other in others} == {(200, "duplicate")}
    # A later event of the same conversation is answered after all that came before it.
    send("What is the capital of Italy?")
    assert platform.wait_for(lambda it: len(it.messages) >= 2, 30)
    assert len(platform.calendar) == 1
    assert len(platform.messages) == 2


def test_tells_the_way_of_an_event(send: Send, platform: Emulator, assistant: Assistant) -> None:
    key = send("help").json()["event"]
    assert platform.wait_for(lambda it: bool(it.messages), 30)
    trace = assistant.trace(key)
    assert trace["event"] == key
    assert [step["stage"] for step in trace["timeline"]][:2] == ["accepted", "leased"]
    assert all(datetime.fromisoformat(step["at"]).utcoffset() == timedelta(0) for step in trace["timeline"])


def test_refuses_a_forged_and_a_stale_event(send: Send, outputs: dict[str, Any], assistant: Assistant) -> None:
    with assistant.client() as client:
        forged = client.post(
            "/events", content=b"{}", headers={"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,AA=="}
        )
    assert forged.status_code == 401
    assert send("hello", at=datetime.now(UTC) - timedelta(minutes=6)).status_code == 401
    assert send("hello", at=datetime.now(UTC) + timedelta(minutes=6)).status_code == 401


def test_refuses_hostile_bodies_in_json(assistant: Assistant) -> None:
    with assistant.client() as client:
        big = client.post("/api/v1/answer", content=b"x" * 10_000_000)
        broken = client.post("/api/v1/answer", content=b'{"question": "\xff"}')
        unfinished = client.post("/api/v1/answer", content=b'{"question": ')
        big_event = client.post("/events", content=b"x" * 10_000_000)
    assert [response.status_code for response in (big, broken, unfinished, big_event)] == [413, 400, 400, 413]
    assert all("message" in response.json()["error"] for response in (big, broken, unfinished, big_event))
