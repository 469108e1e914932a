"""Which cluster a stack goes to, and what is said where there is none."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest
import yaml

from tools.stack.cluster import environment_for, find
from tools.stack.engine import EngineError

NOWHERE = "https://127.0.0.1:1"


def test_the_current_context_is_taken(kubectl, make_engine, kubeconfig):
    engine = make_engine({"KUBECONFIG": str(kubeconfig(mine="https://mine:6443", other="https://other:6443"))})
    cluster = find(engine)
    assert (cluster.context, cluster.server, cluster.namespace) == ("mine", "https://mine:6443", "assistant")


def test_the_context_and_namespace_of_the_settings_are_taken(kubectl, make_engine, kubeconfig):
    given = {"KUBECONFIG": str(kubeconfig(mine="https://mine:6443", other="https://other:6443"))}
    cluster = find(make_engine(given, cluster={"context": "other", "namespace": "team-a"}))
    assert (cluster.context, cluster.server, cluster.namespace) == ("other", "https://other:6443", "team-a")
    assert cluster.command("get", "pods")[1:3] == ["--context=other", "--namespace=team-a"]


def test_no_context_at_all_is_told_with_what_to_do(kubectl, make_engine):
    with pytest.raises(EngineError) as refused:
        find(make_engine())
    for words in ("~/.kube/config", "kubectl config use-context", "make set STACK=trial KEY=cluster.context", "make cluster"):
        assert words in str(refused.value)


def test_an_unknown_context_is_told_with_those_that_there_are(kubectl, make_engine, kubeconfig):
    engine = make_engine({"KUBECONFIG": str(kubeconfig(mine=NOWHERE, spare=NOWHERE))}, cluster={"context": "mien"})
    with pytest.raises(EngineError, match=r"no context mien.*mine, spare"):
        find(engine)


def test_a_missing_kubectl_is_told(make_engine, tmp_path):
    with pytest.raises(EngineError, match=r"kubectl is not on PATH.*make cluster"):
        find(make_engine({"PATH": str(tmp_path)}))


def test_a_cluster_that_refuses_is_told_at_once(kubectl, make_engine, kubeconfig):
    cluster = find(make_engine({"KUBECONFIG": str(kubeconfig(gone=NOWHERE))}))
    assert "refused" in (cluster.problem() or "")


def test_a_cluster_that_is_silent_is_not_waited_for_longer_than_three_seconds(kubectl, make_engine, kubeconfig):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"https://127.0.0.1:{silent.getsockname()[1]}"
        cluster = find(make_engine({"KUBECONFIG": str(kubeconfig(silent=server))}))
        start = time.monotonic()
        assert cluster.problem()
        assert time.monotonic() - start < 10  # four, and the time to start kubectl


def test_a_context_that_logs_in_by_a_program_has_time_for_it(kubectl, make_engine, kubeconfig, tmp_path):
    """`aws eks get-token` or a browser takes longer than a cluster may; the cluster's own three seconds begin after it."""
    login = tmp_path / "slow-login"
    login.write_text("#!/bin/sh\nsleep 5\necho 'not logged in' >&2\nexit 1\n")
    login.chmod(0o755)
    file = Path(kubeconfig(gone=NOWHERE))
    document = yaml.safe_load(file.read_text())
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(login), "interactiveMode": "Never"}
    for user in document["users"]:
        user["user"] = {"exec": program}
    file.write_text(yaml.safe_dump(document))
    cluster = find(make_engine({"KUBECONFIG": str(file)}))
    assert cluster.logs_in == str(login)
    assert "no answer within" not in (cluster.problem() or "")


def made(tmp_path, kubeconfig):
    """The record that `make cluster` leaves."""
    file = kubeconfig(tmp_path / ".state" / "kubernetes" / "kubeconfig", assistant="https://10.88.77.1:6443")
    record = {"kind": "own", "context": "assistant", "kubeconfig": str(file), "kubectl": "/opt/tool/kubectl", "made": True}
    (file.parent / "cluster.json").write_text(json.dumps(record))
    return file


def test_the_kubeconfig_of_make_cluster_is_taken_unless_the_user_names_one(make_engine, kubeconfig, tmp_path):
    engine, file = make_engine(), made(tmp_path, kubeconfig)
    assert environment_for(tmp_path, engine.settings(), {})["KUBECONFIG"] == str(file)
    given = {"KUBECONFIG": "/home/me/other"}
    assert environment_for(tmp_path, engine.settings(), given)["KUBECONFIG"] == "/home/me/other"


def test_it_is_not_taken_for_a_context_that_it_lacks(make_engine, kubeconfig, tmp_path):
    made(tmp_path, kubeconfig)
    assert "KUBECONFIG" not in environment_for(tmp_path, make_engine(cluster={"context": "work"}).settings(), {})


def test_a_proxy_is_not_asked_for_the_cluster_of_this_machine(make_engine, kubeconfig, tmp_path):
    made(tmp_path, kubeconfig)
    result = environment_for(tmp_path, make_engine().settings(), {"no_proxy": "example.com"})
    assert result["no_proxy"] == result["NO_PROXY"] == "example.com,10.88.77.1"


def test_the_kubectl_of_make_cluster_serves_where_there_is_no_other(make_engine, kubeconfig, tmp_path):
    made(tmp_path, kubeconfig)
    assert environment_for(tmp_path, make_engine().settings(), {"PATH": "/none"})["PATH"] == "/none:/opt/tool"
