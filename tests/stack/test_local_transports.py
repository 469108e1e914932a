"""What an up changes where a credential or a transport is another: the processes that read it, and no others."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest
from connected_deployment import ConnectedDeployment
from feishu.emulator import Emulator as Feishu
from slack_workspace.emulator import Emulator as Slack

SECONDS = 60.0
PROCESSES = ("redis", "inference", "gateway", "worker")


@pytest.fixture
def as_before(connected: ConnectedDeployment) -> Iterator[None]:
    secret = connected.slack.delivery.signing_secret
    yield
    connected.credentials.write("slack_signing_secret", secret)
    connected.slack.delivery.signing_secret = secret
    connected.connect()
    run = connected.up()
    assert run.code == 0, run.screen
    connected.introduce()


def test_a_replaced_credential_restarts_what_reads_it_and_a_transport_feeds_the_same_pipeline(
    connected: ConnectedDeployment, as_before: None, slack: Slack, feishu: Feishu
) -> None:
    old, new = slack.delivery.signing_secret, "f" * 32
    before = pids(connected)
    connected.credentials.write("slack_signing_secret", f"{new} {old}")
    run = connected.up()
    assert (run.code, run.changed) == (0, {"gateway": "update"}), run.screen
    assert [name for name, pid in pids(connected).items() if pid != before[name]] == ["gateway"]
    for secret in (old, new):  # the one that is being replaced is taken too
        slack.delivery.signing_secret = secret
        assert slack.challenge()

    connected.connect(outbound=True)
    run = connected.up()
    assert run.code == 0, run.screen
    # The gateway lets go of the webhooks' secrets; worker, model and Redis are as they were.
    assert run.changed == {
        "slack-transport": "create",
        "feishu-transport": "create",
        "gateway": "update",
        "ports": "update",
        "default": "update",  # the engine's own: its provider keeps a copy of the settings
    }
    assert {name: pid for name, pid in pids(connected).items() if name != "gateway"} == {
        name: pid for name, pid in before.items() if name != "gateway"
    }
    assert connected.outputs()["webhookUrls"].keys() == {"generic"}

    slack.delivery.request_url = None
    thread = slack.write("@assistant help", channel="C0GENERAL")
    assert feishu.connected().wait_connected(SECONDS)
    event = feishu.event("help", chat="oc_outbound")
    assert feishu.connected().deliver(event) == 200
    message = event["event"]["message"]["message_id"]
    assert slack.wait_for(lambda it: any(one.get("thread_ts") == thread for one in it.answers), SECONDS), slack.record()
    assert feishu.wait_for(lambda it: any(one["parent_id"] == message for one in it.messages.sent), SECONDS), feishu.record()


def pids(connected: ConnectedDeployment) -> dict[str, int]:
    found: dict[str, psutil.Process] = {name: connected.process(name) for name in PROCESSES}
    return {name: process.pid for name, process in found.items()}
