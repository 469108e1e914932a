"""What `make up` ends with."""

from __future__ import annotations

from pathlib import Path

from tools.stack import welcome
from tools.stack.conversation import sign

AUTHORITY = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"


def test_every_next_command_means_this_stack():
    lines = welcome.next_steps(" STACK=cluster", forwarded=True).splitlines()[1:]
    assert all("STACK=cluster" in line for line in lines)
    assert all(line.count("make ") == line.count("STACK=cluster") for line in lines)
    assert any("make forward STACK=cluster" in line for line in lines)
    assert "STACK" not in welcome.next_steps("", forwarded=False)
    assert "forward" not in welcome.next_steps("", forwarded=False)


def test_the_explanations_stand_in_one_column():
    lines = welcome.next_steps(" STACK=cluster", forwarded=True).splitlines()[1:]
    explanations = ("a question", "a task,", "addresses", "a way", "look,")
    assert len({welcome.columns(line[: line.index(what)]) for line, what in zip(lines, explanations, strict=True)}) == 1


def test_a_cluster_s_authority_is_written_where_curl_finds_it(make_engine, tmp_path):
    engine = make_engine()
    file = welcome.authority_file(engine, {"target": "cluster", "caCertificate": AUTHORITY})
    assert file == tmp_path / ".state" / "trial" / "ca.pem"
    assert file.read_text() == AUTHORITY
    assert f"--cacert {file}" in sign("hello", "whsec_" + "A" * 43 + "=").curl("https://localhost:8443/events", file)


def test_a_public_authority_needs_no_file(make_engine):
    assert welcome.authority_file(make_engine(), {"target": "cluster", "caCertificate": None}) is None
    assert "--cacert" not in sign("hello", "whsec_" + "A" * 43 + "=").curl("https://a.example.com/events", None)


def test_a_local_stack_s_authority_lies_in_its_state(make_engine):
    file = welcome.authority_file(make_engine(target="local"), {"target": "local"})
    assert file is not None
    assert file.name == "ca.pem"
    assert Path(".state", "trial").as_posix() in file.as_posix()
