"""The way to a gateway that only the cluster's network reaches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tools.stack.assistant import AssistantError
from tools.stack.cluster import Cluster
from tools.stack.reach import START_SECONDS, explained, forwarded, needs_forward, with_port

OUTPUTS = {
    "target": "cluster",
    "url": "https://localhost:8443",
    "webhookUrls": {"generic": "https://localhost:8443/events"},
    "inferenceUrl": "http://ai-service.assistant:8080",
    "modelName": "https://localhost:84430/not-ours",
    "apiKey": "key",
}


def cluster(path: str) -> Cluster:
    environment = {"PATH": path, "HOME": "/nonexistent"}
    return Cluster(context="c", server="https://s", namespace="assistant", environment=environment)


def test_only_an_address_of_this_machine_is_forwarded_to(make_engine):
    engine = make_engine()
    assert needs_forward(engine, OUTPUTS)
    assert not needs_forward(engine, OUTPUTS | {"url": "https://assistant.example.com"})
    assert not needs_forward(engine, OUTPUTS | {"url": None})
    assert not needs_forward(make_engine(target="local"), OUTPUTS)


def test_the_gateway_s_addresses_move_to_the_port_and_nothing_else_does():
    moved = with_port(OUTPUTS, 40123)
    assert moved["url"] == "https://localhost:40123"
    assert moved["webhookUrls"] == {"generic": "https://localhost:40123/events"}
    assert {name: moved[name] for name in ("inferenceUrl", "modelName", "apiKey")} == {
        name: OUTPUTS[name] for name in ("inferenceUrl", "modelName", "apiKey")
    }


def test_the_port_that_kubectl_opened_is_given_and_kubectl_ended_after(program, tmp_path):
    # It writes a line a connection, as kubectl does: more than a pipe holds.
    path = program(
        "kubectl",
        f"""echo $$ > {tmp_path}/pid; echo "$@" > {tmp_path}/asked
        echo 'Forwarding from 127.0.0.1:40123 -> 8443'
        yes 'Handling connection for 40123' | head -5000
        touch {tmp_path}/wrote; exec sleep 60""",
    )
    with forwarded(cluster(path), 0) as way:
        assert way.port == 40123
        deadline = time.monotonic() + 10
        while not (tmp_path / "wrote").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (tmp_path / "wrote").exists()
    assert (tmp_path / "asked").read_text().split()[-3:] == ["port-forward", "svc/gateway", ":443"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("error: unable to listen on port 8443: bind: address already in use", "Port 8443 of this machine is taken"),
        ("error: unable to forward port because pod is not running. Current status=Pending", "no pod that runs"),
        ('Error from server (NotFound): services "gateway" not found', "no pod that runs"),
        ("error: You must be logged in to the server (Unauthorized)", "Unauthorized"),
    ],
)
def test_what_kubectl_refuses_is_explained(program, said, words):
    path = program("kubectl", f"echo '{said}' >&2; exit 1")
    with pytest.raises(AssistantError, match=words.replace("(", r"\(")), forwarded(cluster(path), 8443):
        pass


def test_silence_is_explained_too():
    assert f"nothing within {START_SECONDS:.0f} s" in explained("", cluster("/none"), 0)


def test_forward_opens_again_when_its_pod_goes_and_ends_with_the_key(program, kubeconfig, tmp_path, make_engine):
    program("kubectl", f"echo x >> {tmp_path}/starts; echo 'Forwarding from 127.0.0.1:8443 -> 8443'; exec sleep 0.2")
    source = f"""
import sys
from tools.stack import reach
from tools.stack.cluster import Cluster
reach.PAUSE_SECONDS = 0.05
reach.is_cluster = lambda engine: True
environment = {{"PATH": "{tmp_path}/bin:/usr/bin:/bin"}}
reach.find = lambda engine: Cluster(context="c", server="s", namespace="n", environment=environment)
sys.exit(reach.forward(None, {{"url": "https://localhost:8443"}}, None))
"""
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    starts = tmp_path / "starts"
    while time.monotonic() < deadline and not (starts.exists() and len(starts.read_text().split()) >= 3):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert len(starts.read_text().split()) >= 3
    assert "https://localhost:8443 -> svc/gateway" in shown
