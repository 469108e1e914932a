"""Secrets from a Secrets Manager over real sockets into real files, by real processes."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.aws import deliver
from app.aws.secret_reader import Denied, NotYet, Reader

CANARY = "canary-value-ä\n"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def start(aws: Any, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``start(secrets, *arguments)``: the command, with credentials unless ``environment`` says otherwise."""
    running: list[subprocess.Popen[str]] = []

    def launch(secrets: Any, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        given = {"SECRET_IDS": json.dumps(secrets), "SECRETS_DIRECTORY": str(tmp_path / "secrets")}
        command = [sys.executable, "-m", "app.aws.deliver", *arguments]
        process = subprocess.Popen(
            command,
            env={**(environment or aws.environment), **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield launch
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def run(start: Any) -> Run:
    def finish(*arguments: Any, **more: Any) -> subprocess.CompletedProcess[str]:
        process = start(*arguments, **more)
        out, error = process.communicate(timeout=60)
        assert "canary" not in error
        assert "Traceback" not in error
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)

    return finish


def create(aws: Any, name: str, value: str | None = CANARY, region: str = "eu-central-1") -> str:
    """A secret's ARN; without ``value`` it is empty, as Pulumi creates it."""
    client = aws.client("secretsmanager", region)
    return str(client.create_secret(Name=name, **({"SecretString": value} if value is not None else {}))["ARN"])


def test_each_secret_becomes_a_file_that_only_this_user_and_group_can_read(aws: Any, run: Run, tmp_path: Path) -> None:
    create(aws, "assistant/dev/api_key")
    aws.client("secretsmanager").create_secret(Name="assistant/dev/blob", SecretBinary=b"\x00\xff")
    done = run({"api_key": "assistant/dev/api_key", "blob": "assistant/dev/blob"})
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "secrets"
    assert (folder / "api_key").read_bytes() == CANARY.encode()
    assert (folder / "blob").read_bytes() == b"\x00\xff"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o440}
    assert sorted(path.name for path in folder.iterdir()) == ["api_key", "blob"]
    assert done.stdout == ""


def test_an_arn_is_read_in_its_own_region(aws: Any, run: Run, tmp_path: Path) -> None:
    arn = create(aws, "assistant/dev/api_key", region="us-west-2")
    assert run({"api_key": arn}).returncode == 0
    assert (tmp_path / "secrets" / "api_key").read_text() == CANARY


def test_a_second_delivery_replaces_the_value(aws: Any, run: Run, tmp_path: Path) -> None:
    create(aws, "s", "old")
    assert run({"key": "s"}).returncode == 0
    aws.client("secretsmanager").put_secret_value(SecretId="s", SecretString="new")
    assert run({"key": "s"}).returncode == 0
    assert (tmp_path / "secrets" / "key").read_text() == "new"


def test_with_a_command_the_process_becomes_it_without_the_list_of_secrets(aws: Any, start: Any, tmp_path: Path) -> None:
    create(aws, "s")
    code = "import json, os, sys; print(json.dumps([os.getpid(), dict(os.environ), sys.argv[1:]]))"
    process = start({"key": "s"}, "--", sys.executable, "-c", code, "--seconds", "of its own")
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    pid, environment, arguments = json.loads(out)
    assert pid == process.pid
    assert "SECRET_IDS" not in environment
    assert environment["AWS_ENDPOINT_URL"] == aws.url
    assert arguments == ["--seconds", "of its own"]
    assert "canary" not in json.dumps(environment)


def test_the_command_s_exit_status_and_signals_are_its_own(aws: Any, start: Any) -> None:
    create(aws, "s")
    assert start({"key": "s"}, "--", "sh", "-c", "exit 42").wait(60) == 42
    process = start({"key": "s"}, "--", sys.executable, "-c", "print('there', flush=True); import time; time.sleep(60)")
    assert process.stdout.readline() == "there\n"
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM


def test_a_command_that_is_not_there_is_said(aws: Any, run: Run) -> None:
    create(aws, "s")
    done = run({"key": "s"}, "--", "/nonexistent/python")
    assert done.returncode == 127
    assert "/nonexistent/python cannot be run: No such file or directory" in done.stderr


def test_a_value_that_comes_later_is_waited_for(aws: Any, start: Any, tmp_path: Path) -> None:
    create(aws, "assistant/dev/api_key", None)
    process = start({"api_key": "assistant/dev/api_key"}, "--", "echo", "started")
    while "no value yet" not in (line := process.stderr.readline()):
        assert line, "it ended"
    assert "assistant/dev/api_key has no value yet: `make secrets STACK=…` gives it one; trying again for" in line
    assert not (tmp_path / "secrets" / "api_key").exists()
    aws.client("secretsmanager").put_secret_value(SecretId="assistant/dev/api_key", SecretString=CANARY)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "started\n"), error
    assert (tmp_path / "secrets" / "api_key").read_text() == CANARY


def test_a_value_that_never_comes_ends_in_time_and_starts_nothing(aws: Any, run: Run) -> None:
    create(aws, "s", None)
    begin = time.monotonic()
    done = run({"key": "s"}, "--seconds", "2", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (1, "")
    assert "secret s has no value yet" in done.stderr
    assert "given up after 2 seconds" in done.stderr
    assert time.monotonic() - begin < 15


def test_a_secret_that_is_not_there_is_not_waited_for(run: Run) -> None:
    done = run({"key": "assistant/dev/missing"}, "--seconds", "300")
    assert done.returncode == 1
    assert "there is no secret assistant/dev/missing" in done.stderr


def test_who_may_not_read_is_told_so_at_once_with_the_role(aws: Any, run: Run) -> None:
    create(aws, "assistant/dev/api_key")
    iam = aws.client("iam")
    iam.create_user(UserName="worker")
    key = iam.create_access_key(UserName="worker")["AccessKey"]
    aws.check_policies(after=0)
    environment = aws.without_credentials() | {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }
    done = run({"api_key": "assistant/dev/api_key"}, "--seconds", "300", environment=environment)
    assert done.returncode == 1
    assert "secret assistant/dev/api_key may not be read by" in done.stderr
    assert "secretsmanager:GetSecretValue" in done.stderr
    assert key["SecretAccessKey"] not in done.stderr


class Agent:
    """EKS's Pod Identity agent, or ECS's credentials endpoint: fails ``failures`` times, then gives credentials."""

    def __init__(self, failures: int) -> None:
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                late = outer.asked <= failures
                keys = {"AccessKeyId": "testing", "SecretAccessKey": "testing", "Token": "t"}
                body = b"" if late else json.dumps(keys | {"Expiration": "2999-01-01T00:00:00Z"}).encode()
                self.send_response(503 if late else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/credentials"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_credentials_that_come_later_are_waited_for(aws: Any, run: Run, tmp_path: Path) -> None:
    create(aws, "s")
    agent = Agent(failures=4)  # botocore itself asks three times
    try:
        environment = aws.without_credentials() | {"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.url}
        done = run({"key": "s"}, "--seconds", "60", environment=environment)
    finally:
        agent.close()
    assert done.returncode == 0, done.stderr
    assert "no credentials (Pod Identity association, task role); trying again" in done.stderr
    assert (tmp_path / "secrets" / "key").read_text() == CANARY


def test_without_credentials_it_ends_in_time_and_says_what_is_missing(aws: Any, run: Run) -> None:
    done = run({"key": "s"}, "--seconds", "0", environment=aws.without_credentials())
    assert done.returncode == 1
    assert "no credentials" in done.stderr


def test_it_ends_on_sigterm_while_it_waits(aws: Any, start: Any) -> None:
    create(aws, "s", None)
    process = start({"key": "s"})
    while "no value yet" not in process.stderr.readline():
        assert process.poll() is None
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGTERM


def test_a_directory_that_cannot_be_written_is_said(aws: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(deliver.NotDeliveredError, match="cannot be written: Not a directory"):
        deliver.deliver({"key": "s"}, tmp_path / "file" / "under", Reader(), 1, print)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "SECRET_IDS is not set"),
        ("{", "SECRET_IDS is no JSON"),
        ("[]", "another form"),
        ("{}", "another form"),
        ('{"a": 1}', "another form"),
        ('{"a": ""}', "another form"),
        ('{"../a": "s"}', "'../a' is no plain file name"),
        ('{".a": "s"}', "is no plain file name"),
    ],
)
def test_what_secrets_has_to_be(text: str | None, message: str) -> None:
    with pytest.raises(deliver.UsageError, match=message):
        deliver.parse(text)


def test_wrong_usage_is_status_2(run: Run) -> None:
    assert run({}).returncode == 2
    assert run({"a": "s"}, "--seconds", "-1").returncode == 2


@pytest.mark.parametrize(
    ("code", "message", "status", "kind", "words"),
    [
        (
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
            400,
            NotYet,
            "no value yet",
        ),
        ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.", 400, Denied, "there is no secret"),
        ("ThrottlingException", "Rate exceeded", 400, NotYet, "ThrottlingException"),
        ("InternalServiceError", "", 500, NotYet, "InternalServiceError"),
        ("SomethingNew", "", 503, NotYet, "SomethingNew"),
        ("UnrecognizedClientException", "The security token included in the request is invalid.", 400, NotYet, "Unrecog"),
        ("InvalidRequestException", "the secret was marked for deletion.", 400, Denied, "marked for deletion"),
        ("AccessDeniedException", "Access to KMS is not allowed", 400, Denied, "kms:Decrypt"),
    ],
)
def test_what_passes_by_itself_and_what_does_not(code: str, message: str, status: int, kind: type, words: str) -> None:
    reader = Reader()
    reader._who = lambda: "arn:aws:sts::123456789012:assumed-role/assistant"  # type: ignore[method-assign]
    judged = reader._judge("s", code, message, status)
    assert type(judged) is kind
    assert words in str(judged)


def test_whether_files_would_lie_on_a_disk(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("overlay / overlay rw 0 0\ntmpfs /run/secrets tmpfs rw 0 0\n/dev/sda /run/secrets/disk ext4 rw 0 0\n")
    assert deliver.in_memory(Path("/run/secrets/assistant"), mounts)
    assert not deliver.in_memory(Path("/run/secrets/disk/x"), mounts)
    assert not deliver.in_memory(Path("/var/lib"), mounts)
    assert deliver.in_memory(Path("/var/lib"), tmp_path / "absent")


def test_gateway_and_worker_import_nothing_of_aws() -> None:
    """boto3 costs a third of a second and 30 MB."""
    modules = "app.gateway.__main__, app.pipeline.__main__, app.inference.__main__, app.models.wait, app.aws.deliver"
    code = f"import sys, {modules}; print({{'boto3', 'botocore'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), check=True)
    assert done.stdout == "set()\n"
