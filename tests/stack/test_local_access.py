"""Who may use the local stack and whose things are whose: installation, tenants, the answer cache, what is set aside, the audit
log. Bearer tokens, and each kind of bad one, are shown with a running gateway in tests/gateway/test_access.py.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
from connected_deployment import FEISHU_TEAM, Browser, ConnectedDeployment, install
from deployment import CHECKOUT
from feishu.emulator import Emulator as Feishu
from slack_workspace.emulator import Emulator as Slack
from slack_workspace.workspace import TEAM

SECONDS = 60.0
LETTERS = "/api/v1/admin/dead-letters"


# --- installation -----------------------------------------------------------------------------------------------------------


def test_the_outputs_say_what_to_enter_in_the_consoles(connected: ConnectedDeployment, outputs: dict[str, Any]) -> None:
    url = f"https://localhost:{connected.ports['gateway']}"
    assert outputs["webhookUrls"] == {
        "generic": f"{url}/events",
        "slack": f"{url}/events/slack",
        "feishu": f"{url}/events/feishu",
    }
    assert outputs["redirectUris"] == {
        "slack": f"{url}/oauth/slack/callback",
        "feishu": f"{url}/oauth/feishu/callback",
    }


def test_a_listed_team_s_token_is_stored_and_then_used(slack: Slack, outputs: dict[str, Any]) -> None:
    issued = slack.workspace.tokens_issued
    assert install(Browser(outputs), "slack").status_code == 200
    assert slack.workspace.tokens_issued == issued + 1
    # What was issued before is gone: only the one just stored can be the one that answers.
    for token in list(slack.workspace.tokens.values())[:-1]:
        token.revoked = True
    calls = len(slack.refused)
    asked = slack.write("@assistant help", channel="C0GENERAL")
    assert slack.wait_for(lambda it: any(one.get("thread_ts") == asked for one in it.answers), SECONDS), slack.record()
    assert {refusal["error"] for refusal in slack.refused[calls:]} <= {"account_inactive"}


def test_what_a_team_s_installation_brings_is_kept_in_redis_sealed_and_stands_nowhere_in_plain(
    connected: ConnectedDeployment, slack: Slack
) -> None:
    written = connected.written()
    assert any(f"{{assistant}}:token:slack:{TEAM}" in text for text in written.values())  # so this is where to look
    tokens = [*slack.workspace.tokens, *slack.workspace.refresh_tokens]
    assert len(tokens) > 2
    assert {"token_key", "slack_client_secret", "feishu_encrypt_key"} <= connected.secrets().keys()  # what the canary looks for
    assert [place for place, text in written.items() if any(token in text for token in tokens)] == []


def test_feishu_is_installed_by_consent_too(feishu: Feishu, outputs: dict[str, Any]) -> None:
    installed = install(Browser(outputs), "feishu")
    assert (installed.status_code, FEISHU_TEAM in installed.text) == (200, True)


def test_a_team_that_no_tenant_lists_cannot_install(slack: Slack, outputs: dict[str, Any]) -> None:
    refused = install(Browser(outputs), "slack", team="T0STRANGER")
    assert (refused.status_code, "T0STRANGER" in refused.text) == (403, True)


def test_another_redirect_uri_a_wrong_state_and_a_used_code_are_refused(slack: Slack, outputs: dict[str, Any]) -> None:
    browser, issued = Browser(outputs), slack.workspace.tokens_issued
    elsewhere = browser.get("/oauth/slack/start", params={"redirect_uri": "https://evil.example/callback"})
    assert (elsewhere.status_code, outputs["redirectUris"]["slack"] in elsewhere.text) == (400, True)
    asked = httpx2.URL(browser.get("/oauth/slack/start").headers["location"])
    changed = browser.get(asked.copy_set_param("redirect_uri", "https://evil.example/callback"))
    assert changed.status_code != 302  # the platform itself sends nobody there

    back = httpx2.URL(browser.consent(browser.get("/oauth/slack/start")))
    assert browser.get(back.copy_set_param("state", "of-my-own")).status_code == 400
    back = httpx2.URL(browser.consent(browser.get("/oauth/slack/start")))
    assert Browser(outputs).get(back).status_code == 400  # a state that another browser began
    assert slack.workspace.tokens_issued == issued

    back = httpx2.URL(browser.consent(browser.get("/oauth/slack/start")))
    assert browser.get(back).status_code == 200
    again = httpx2.URL(browser.consent(browser.get("/oauth/slack/start"))).copy_set_param("code", back.params["code"])
    refused = browser.get(again)
    assert (refused.status_code, "code_already_used" in refused.text) == (400, True)
    assert slack.workspace.tokens_issued == issued + 1


# --- tenants ----------------------------------------------------------------------------------------------------------------


def test_fifty_at_once_with_one_question_cost_one_inference_and_another_tenant_its_own(
    connected: ConnectedDeployment, outputs: dict[str, Any]
) -> None:
    question = f"Which number comes after {uuid.uuid4().int % 10**6}?"

    async def ask(tenant: str, times: int) -> set[tuple[int, str]]:
        context = ssl.create_default_context(cadata=outputs["caCertificate"])
        headers = {"Authorization": f"Bearer {connected.keys[tenant]}"}
        async with httpx2.AsyncClient(
            base_url=outputs["url"], verify=context, headers=headers, timeout=SECONDS, trust_env=False
        ) as client:
            asking = [client.post("/api/v1/answer", json={"question": question}) for _ in range(times)]
            return {(answer.status_code, answer.text) for answer in await asyncio.gather(*asking)}

    before = inferences(connected)
    ((status, answer),) = asyncio.run(ask("acme", 50))
    assert (status, inferences(connected) - before) == (200, 1), answer
    assert asyncio.run(ask("acme", 1)) == {(200, answer)}
    assert inferences(connected) - before == 1
    assert {status for status, _ in asyncio.run(ask("beta", 1))} == {200}
    assert inferences(connected) - before == 2


def inferences(connected: ConnectedDeployment) -> int:
    """How often the model was asked: a line of its log each."""
    lines = connected.layout.log("inference").read_text().splitlines()
    return sum(json.loads(line).get("event") == "request" for line in lines if line.startswith("{"))


def test_a_tenant_sees_its_own_dead_letters_and_events_and_no_other_s(
    connected: ConnectedDeployment, slack: Slack, feishu: Feishu, outputs: dict[str, Any]
) -> None:
    of_acme, of_beta = lose_one_each(connected, slack, feishu, outputs)
    own, others = {"acme": of_acme, "beta": of_beta}, {"acme": of_beta, "beta": of_acme}
    for tenant, key in connected.keys.items():
        with Browser(outputs) as client:
            client.headers["Authorization"] = f"Bearer {key}"
            listed = {letter["event"] for letter in client.get(LETTERS).json()["dead_letters"]}
            assert own[tenant] in listed and others[tenant] not in listed
            for path in ("/api/v1/events", LETTERS):
                assert client.get(f"{path}/{own[tenant]}").status_code == 200
                assert client.get(f"{path}/{others[tenant]}").status_code == 404
            assert client.post(f"{LETTERS}/{others[tenant]}/replay").status_code == 404
            assert client.delete(f"{LETTERS}/{others[tenant]}").status_code == 404
    for key in (of_acme, of_beta):
        assert operate(connected, "dead-letters", "--discard", key).returncode == 0


def test_a_command_lists_what_is_set_aside_and_a_replay_answers_it_once(
    connected: ConnectedDeployment, slack: Slack, feishu: Feishu, outputs: dict[str, Any]
) -> None:
    lost, also = lose_one_each(connected, slack, feishu, outputs)
    shown = json.loads(operate(connected, "dead-letters", "--json").stdout)["dead_letters"]
    assert {lost, also} <= {letter["event"] for letter in shown}
    slack.heal()
    feishu.heal()
    for key in (lost, also):
        assert operate(connected, "dead-letters", "--replay", key).returncode == 0
    thread, message = lost.rpartition(":")[2], also.rpartition(":")[2]
    assert slack.wait_for(lambda it: any(one.get("thread_ts") == thread for one in it.answers), SECONDS)
    assert feishu.wait_for(lambda it: any(one["parent_id"] == message for one in it.messages.sent), SECONDS)
    assert eventually(lambda: not {lost, also} & set(waiting(connected)))
    assert len([one for one in slack.answers if one.get("thread_ts") == thread]) == 1
    assert len([one for one in feishu.messages.sent if one["parent_id"] == message]) == 1


def test_tenants_change_without_a_restart_and_what_is_wrong_changes_nothing(
    connected: ConnectedDeployment, slack: Slack, outputs: dict[str, Any]
) -> None:
    before = {process.pid for process in connected.processes()}
    both = {connected.process(name).pid for name in ("gateway", "worker")}
    new_key = f"{uuid.uuid4().hex}{uuid.uuid4().hex}"
    (connected.folder / "acme.key").write_text(f"{new_key} {connected.keys['acme']}")
    changed = [tenant | {"instructions": "Be brief."} if tenant["name"] == "acme" else tenant for tenant in connected.tenants()]
    connected.write_tenants([tenant for tenant in changed if tenant["name"] != "others"])
    try:
        assert eventually(lambda: writers(connected, "tenants.changed", removed="others") == both)
        assert asked_with(outputs, new_key) == asked_with(outputs, connected.keys["acme"]) == 200

        connected.tenants_file.write_text("- name: acme\n  team: [oops]\n")
        assert eventually(lambda: writers(connected, "tenants.changed", outcome="refused") == both)
        assert asked_with(outputs, new_key) == 200
        thread = slack.write("@assistant help", channel="C0GENERAL")
        assert slack.wait_for(lambda it: any(one.get("thread_ts") == thread for one in it.answers), SECONDS)
    finally:
        (connected.folder / "acme.key").write_text(connected.keys["acme"])
        connected.write_tenants(connected.tenants())
    assert eventually(lambda: writers(connected, "tenants.changed", added="others") == both)
    assert asked_with(outputs, new_key) == 401
    assert {process.pid for process in connected.processes()} == before


def asked_with(outputs: dict[str, Any], key: str) -> int:
    with Browser(outputs) as client:
        headers = {"Authorization": f"Bearer {key}"}
        return client.post("/api/v1/answer", json={"question": "Who are you?"}, headers=headers).status_code


def lose_one_each(connected: ConnectedDeployment, slack: Slack, feishu: Feishu, outputs: dict[str, Any]) -> tuple[str, str]:
    """The keys of an event of each platform that could not be answered and waits for a person."""
    slack.fail("chat.postMessage", "error", error="is_archived", times=100)
    feishu.fail("/reply$", 230002, times=100)
    thread = slack.write("@assistant help", channel="C0GENERAL")
    event = feishu.event("help", chat=f"oc_{uuid.uuid4().hex}")
    context = ssl.create_default_context(cadata=outputs["caCertificate"])
    assert feishu.deliver(outputs["webhookUrls"]["feishu"], event, context=context).wait().taken
    keys = f"slack:{TEAM}:C0GENERAL:{thread}", f"feishu:{FEISHU_TEAM}:{event['event']['message']['message_id']}"
    assert eventually(lambda: set(keys) <= set(waiting(connected))), waiting(connected)
    return keys


def waiting(connected: ConnectedDeployment) -> list[str]:
    outputs = connected.outputs()
    with Browser(outputs) as client:
        found = client.get(LETTERS, headers={"Authorization": f"Bearer {outputs['apiKey']}"}).json()
    return [letter["event"] for letter in found["dead_letters"]]


# --- the audit log ----------------------------------------------------------------------------------------------------------


def test_the_audit_log_is_whole_and_a_changed_record_is_named(connected: ConnectedDeployment, outputs: dict[str, Any]) -> None:
    Browser(outputs).get(LETTERS, headers={"Authorization": "Bearer a-key-that-nobody-has"})
    whole = operate(connected, "audit-verify")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    file = max(connected.audit.rglob("*.jsonl"), key=lambda path: path.stat().st_size)
    content = file.read_bytes()
    place = content.index(b'"outcome":"') + len(b'"outcome":"')
    try:
        with file.open("r+b") as written:
            written.seek(place)
            written.write(b"X")
        changed = operate(connected, "audit-verify")
    finally:
        with file.open("r+b") as written:
            written.seek(place)
            written.write(content[place : place + 1])
    assert changed.returncode == 1
    assert file.name in changed.stdout + changed.stderr


def writers(connected: ConnectedDeployment, action: str, **values: str) -> set[int]:
    """The processes that have recorded ``action`` with these values."""
    lines = [line for file in connected.audit.rglob("*.jsonl") for line in file.read_text().splitlines()]
    found = [record | record["details"] for record in map(json.loads, lines) if record["action"] == action]
    return {int(record["writer"].split("-")[-2]) for record in found if values.items() <= record.items()}


def operate(connected: ConnectedDeployment, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `make dead-letters` and `make audit-verify` call; the canary sees all that it shows."""
    command = [sys.executable, "-m", "tools.operate", "--stack", connected.engine.stack, *arguments]
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env=dict(connected.engine.environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    connected.screens.append(done.stdout + done.stderr)
    return done


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
