"""The store on a volume: a link that stays, a start that waits, a result for who reads no stream, a user without a home."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.models import fetch, report, wait
from app.models.errors import StoreError
from app.models.manifest import FILE_NAME
from app.models.store import Store, default_root

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def converted(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A store with one model, and what the command said of it."""
    from app.models.manifest import sha256_of

    root = tmp_path_factory.mktemp("volume")
    command = [sys.executable, "-m", "app.models", "--source", f"file:{tiny_gguf}", "--sha256", sha256_of(tiny_gguf)]
    command += ["--store", str(root / "store"), "--max-kl", "10", "--min-top1", "0", "--link", "current"]
    done = subprocess.run([*command, "--report", str(root / "report")], capture_output=True, text=True, check=True)
    return root / "store", json.loads(done.stdout)


@pytest.fixture
def model(converted: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy of the model directory, to be damaged."""
    return Path(shutil.copytree(converted[1]["path"], tmp_path / "model"))


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "app.models.wait", *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_link_names_the_model_relatively_and_the_report_is_the_result(converted: tuple[Path, dict[str, Any]]) -> None:
    """Relatively, because another pod may mount the volume elsewhere."""
    store, result = converted
    link = store / "current"
    assert link.readlink() == Path(result["digest"])
    assert (link / FILE_NAME).is_file()
    assert result["link"] == str(link)
    assert json.loads((store.parent / "report").read_bytes()) == result


def test_a_link_is_moved_in_one_step(tmp_path: Path) -> None:
    """A reader that looks all the time always finds one of the two."""
    store = Store(tmp_path)
    for digest in ("a" * 64, "b" * 64):
        (tmp_path / digest).mkdir()
        (tmp_path / digest / FILE_NAME).touch()
    store.link("current", "a" * 64)
    pid = os.fork()
    if pid == 0:  # moves it to and fro
        try:
            for number in range(2000):
                store.link("current", "ab"[number % 2] * 64)
        finally:
            os._exit(0)
    looks = 0
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        assert (tmp_path / "current" / FILE_NAME).exists()
        looks += 1
    assert looks > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a" * 64, "b" * 64, "current"]


def test_a_directory_of_somebody_is_not_replaced_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    with pytest.raises(StoreError, match="is a directory, not a link"):
        Store(tmp_path).link("current", "a" * 64)


@pytest.mark.parametrize("name", ["../current", "a/b", ".recipes", "", "a" * 64, "a" * 65, "new\nline"])
def test_a_link_is_a_plain_name_in_the_store(command: Any, name: str) -> None:
    status, result, error = command.run("--link", name)
    assert (status, result) == (2, None)
    assert "--link" in error
    assert not command.store.exists()


def test_a_failure_is_reported_too(command: Any, tmp_path: Path) -> None:
    status, _, error = command.run("--sha256", "0" * 64, "--report", str(tmp_path / "report"))
    assert status == 1
    found = json.loads((tmp_path / "report").read_bytes())
    assert found == {"error": error.splitlines()[-1], "status": 1}
    assert "is not used" in found["error"]


def test_a_report_that_cannot_be_written_changes_nothing_about_the_result(command: Any) -> None:
    status, result, error = command.run("--report", "/nonexistent/report")
    assert (status, result["made"]) == (0, True)
    assert "the report /nonexistent/report cannot be written: No such file or directory" in error


def test_a_report_stays_valid_json_within_its_limit() -> None:
    values = {"error": "模型" * 4000, "status": 1, "path": "/models"}
    content = report.fit(values, report.LIMIT_BYTES)
    assert len(content) <= 4096
    found = json.loads(content)
    assert (found["status"], found["path"]) == (1, "/models")
    assert found["error"].startswith("模型模型")


def test_who_waits_gets_the_model_once_it_is_there(model: Path, tmp_path: Path, waiting: Any) -> None:
    process = waiting(str(tmp_path / ".recipes" / "key"), "--seconds", "60")
    assert "waiting for" in process.stderr.readline()
    (tmp_path / ".recipes").mkdir()
    (tmp_path / ".recipes" / "key").symlink_to("../model")
    out, error = process.communicate(timeout=30)
    assert process.returncode == 0, error
    assert json.loads(out)["digest"] == json.loads((model / FILE_NAME).read_text())["digest"]


def test_a_model_that_does_not_come_is_told_with_what_to_do(tmp_path: Path, waiting: Any) -> None:
    begin = time.monotonic()
    process = waiting(str(tmp_path / "absent"), "--seconds", "1.5")
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert f"{tmp_path}/absent/manifest.json did not appear within 1.5 seconds: look at" in error
    assert "Traceback" not in error
    assert time.monotonic() - begin > 1.5


def test_a_flipped_bit_is_found_at_once_though_there_is_time_left(model: Path, waiting: Any) -> None:
    weights = bytearray((model / "model.onnx.data").read_bytes())
    weights[len(weights) // 2] ^= 1
    (model / "model.onnx.data").write_bytes(weights)
    process = waiting(str(model), "--seconds", "600")
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert "model.onnx.data: sha256" in error
    assert "Traceback" not in error


def test_waiting_ends_on_sigterm(tmp_path: Path, waiting: Any) -> None:
    process = waiting(str(tmp_path / "absent"))
    process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM


def test_progress_is_told_every_ten_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, lines = [0.0], []
    monkeypatch.setattr(wait.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(wait.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    with pytest.raises(wait.ModelError):
        wait.wait(tmp_path / "absent", 35, lines.append)
    assert [line.rpartition(": ")[2] for line in lines] == [f"{n} of 35 seconds" for n in (0, 10, 20, 30)]


def test_waiting_imports_neither_numpy_nor_onnx() -> None:
    code = "import sys, app.models.wait; print(sorted({'numpy', 'onnx', 'onnxruntime', 'tokenizers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_a_home_the_store_has_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown_user)
    with pytest.raises(StoreError, match="name a place with --store"):
        default_root({})


@pytest.mark.parametrize("home", ["", "/nonexistent"])
def test_pip_keeps_no_cache_where_there_is_no_home_to_write_to(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if home:
        monkeypatch.setenv("HOME", home)
    else:
        monkeypatch.delenv("HOME")
        monkeypatch.setattr("pwd.getpwuid", unknown_user)
    assert not fetch._home_is_writable()
    monkeypatch.setenv("HOME", "/tmp")
    assert fetch._home_is_writable()


def unknown_user(_number: int) -> None:
    raise KeyError(errno.ENOENT)
