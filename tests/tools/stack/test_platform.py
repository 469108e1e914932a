"""Who plays the generic platform of a stack."""

from __future__ import annotations

import base64
import json
import socket
import stat

import pytest

from tools.stack import platform
from tools.stack.assistant import AssistantError


def own_address() -> str:
    """An address of this machine that is not loopback; a machine without a network has none."""
    addresses = {entry.address for entries in platform.psutil.net_if_addrs().values() for entry in entries}
    found = sorted(address for address in addresses - platform.LOOPBACK if address.count(".") == 3)
    return found[0] if found else pytest.skip("this machine has no address but loopback")


def test_a_local_stack_s_platform_is_played_on_loopback(make_engine):
    settings = make_engine(target="local").settings()
    assert platform.address_of(settings) == "http://127.0.0.1:8090"
    assert platform.is_played(settings)


def test_a_cluster_s_platform_is_played_at_an_address_that_pods_reach(make_engine):
    assert platform.is_played(make_engine(platforms={"generic": {"url": f"http://{own_address()}:8090"}}).settings())
    for url in (f"https://{own_address()}:8090", "http://platform.example.com"):
        assert not platform.is_played(make_engine(platforms={"generic": {"url": url}}).settings()), url


def test_a_cluster_that_is_connected_to_none_says_how_to_connect_it(make_engine):
    engine = make_engine()
    assert platform.address_of(engine.settings()) is None
    advice = r"connected to no platform.*make set STACK=trial KEY=platforms\.generic\.url"
    with pytest.raises(AssistantError, match=advice), platform.platform(engine, print):
        pass


def test_the_emulator_gets_the_cluster_s_secrets_and_leaves_no_file(make_engine, kubeconfig, program, tmp_path, monkeypatch):
    host = own_address()
    with socket.create_server((host, 0)) as probe:
        port = probe.getsockname()[1]
    values = {"generic_client_secret": "s3cret-of-the-client", "generic_webhook_secret": "whsec_" + "A" * 43 + "="}
    data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    listed = tmp_path / "secrets.json"
    listed.write_text(json.dumps({"items": [{"data": {"other": "eA=="}}, {"data": data}]}))
    view = json.dumps({"contexts": [{"name": "c"}], "clusters": [{"cluster": {"server": "https://s"}}]})
    (tmp_path / "view.json").write_text(view)
    path = program(
        "kubectl",
        f'case "$*" in *"config view"*) cat {tmp_path}/view.json;; *"get secrets"*) cat {listed};; *) exit 1;; esac',
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(platform.tempfile, "tempdir", str(scratch))
    engine = make_engine({"PATH": path}, platforms={"generic": {"url": f"http://{host}:{port}"}})
    (tmp_path / "tests").symlink_to(platform.Path(__file__).resolve().parents[2])
    said: list[str] = []
    with platform.platform(engine, said.append):
        with socket.create_connection((host, port), timeout=5):
            pass
        assert list(scratch.iterdir()) == []
    assert said[0] == f"played by the emulator at http://{host}:{port}"
    assert not any(value in line for value in values.values() for line in said)


def test_the_secret_files_are_the_user_s_alone(make_engine, monkeypatch):
    engine = make_engine()
    monkeypatch.setattr(platform, "_cluster_secrets", lambda engine: {"generic_client_secret": b"x"})
    with platform._secret_files(engine, engine.settings()) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "generic_client_secret").stat().st_mode) == 0o600
    assert not folder.exists()
