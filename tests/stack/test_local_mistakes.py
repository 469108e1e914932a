"""Mistakes that are told in words before anything starts, and a removal that leaves nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
from deployment import CHECKOUT
from local_deployment import LocalDeployment, make_local


@pytest.fixture
def undeployed(engine_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDeployment]:
    """A stack that has never been up."""
    deployment = make_local(tmp_path_factory.mktemp("fresh"), "fresh")
    yield deployment
    deployment.destroy()
    deployment.remove()


def test_tells_all_wrong_settings_at_once_without_a_traceback(undeployed: LocalDeployment) -> None:
    undeployed.configure(ports={"gatway": 8443, "redis": 99999}, logLevel="loud")
    run = undeployed.pulumi("preview")
    assert run.code != 0
    assert "Traceback" not in run.screen
    for words in ("gatway", "ports.gateway", "99999", "loud", "info"):
        assert words in run.screen


def test_tells_who_has_a_taken_port_before_anything_starts(undeployed: LocalDeployment) -> None:
    with socket.create_server(("127.0.0.1", undeployed.ports["gateway"])):
        run = undeployed.up()
    assert run.code != 0
    assert str(undeployed.ports["gateway"]) in run.screen
    assert str(psutil.Process().pid) in run.screen
    assert "Traceback" not in run.screen
    assert undeployed.processes() == []


def test_leaves_nothing_behind(undeployed: LocalDeployment) -> None:
    run = undeployed.up()
    assert run.code == 0, run.screen
    assert len(undeployed.processes()) == 5
    run = undeployed.destroy()
    assert run.code == 0, run.screen
    assert undeployed.processes() == []
    assert not undeployed.state.exists()
    for name, port in undeployed.ports.items():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, name


def test_a_setting_is_changed_by_a_command_and_a_wrong_one_is_named(undeployed: LocalDeployment) -> None:
    def set_value(key: str, value: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tools.stack", "--stack", undeployed.engine.stack, "set", "--", key, value]
        environment = dict(undeployed.engine.environment)
        return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)

    assert set_value("logLevel", "debug").returncode == 0
    assert set_value("worker.concurrency", "7").returncode == 0
    settings = undeployed.engine.settings()
    assert (settings.log_level, settings.worker.concurrency) == ("debug", 7)
    wrong = set_value("logLevel", "-loud")
    assert wrong.returncode == 1
    assert "logLevel" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert set_value("logLevel", "info").returncode == 0  # a wrong one is mended by the same command


def test_does_not_take_somebody_elses_directory_for_its_state(undeployed: LocalDeployment) -> None:
    undeployed.state.mkdir()
    (undeployed.state / "thesis.tex").write_text("mine")
    run = undeployed.up()
    assert run.code != 0
    assert "thesis.tex" in run.screen
    assert "Traceback" not in run.screen
    (undeployed.state / "thesis.tex").unlink()
