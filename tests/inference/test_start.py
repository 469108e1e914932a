"""What keeps the service from starting: exit code 2 and one line that says what to do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.models.onnx_runtime import onnxruntime


def run(environment: dict[str, str], limit_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """Start the service, which must refuse: exit code 2 and no traceback. ``limit_bytes``: of address space."""
    limit = ["prlimit", f"--as={limit_bytes}"] if limit_bytes else []
    command = [*limit, sys.executable, "-m", "app.inference"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done


def refused(folder: Path, limit_bytes: int | None = None, **variables: object) -> str:
    """The one line that is not a log record."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "API_KEY": "key-of-the-tests", "MODEL_PATH": str(folder), "PORT": str(port)}
    environment |= {name: str(value) for name, value in variables.items()}
    plain = [line for line in run(environment, limit_bytes).stderr.splitlines() if not line.startswith("{")]
    assert len(plain) == 1, plain
    return plain[0]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rewrite(path: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "tokenizer.json"])
def test_a_flipped_bit_is_found(make_model, name: str) -> None:
    directory = make_model()
    flip(directory / name)
    line = refused(directory)
    assert f"{name}: sha256" in line
    assert "convert the model again" in line.lower()


def test_a_truncated_file_is_found(make_model) -> None:
    directory = make_model()
    content = (directory / "model.onnx.data").read_bytes()
    (directory / "model.onnx.data").write_bytes(content[:-100])
    assert f"model.onnx.data: {len(content) - 100} bytes, expected {len(content)}" in refused(directory)


def test_a_missing_file_is_named(make_model) -> None:
    directory = make_model()
    (directory / "model.onnx").unlink()
    assert "model.onnx: missing" in refused(directory)


def test_a_changed_manifest_is_found(make_model) -> None:
    directory = make_model()
    rewrite(directory / "manifest.json", lambda content: content["tokenizer"].update(eos_ids=[5]))
    assert "digest" in refused(directory)


def test_files_swapped_together_with_their_records_are_found_by_the_digest(make_model) -> None:
    directory, other = make_model("int8"), make_model("fp32")
    records = json.loads((other / "manifest.json").read_text())["files"]
    for name in ("model.onnx", "model.onnx.data"):
        (directory / name).write_bytes((other / name).read_bytes())
    rewrite(directory / "manifest.json", lambda content: content.update(files=records))
    assert "digest" in refused(directory)


def test_no_directory_and_no_manifest_are_told_apart_from_nothing(tmp_path: Path) -> None:
    assert "manifest.json does not exist" in refused(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_text("{")
    assert "not valid JSON" in refused(tmp_path)


def test_a_device_that_is_not_there_is_refused(tiny_int8: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime is built with CUDA")
    assert "INFERENCE_DEVICE=cuda: this ONNX Runtime has no CUDAExecutionProvider" in refused(
        tiny_int8, INFERENCE_DEVICE="cuda"
    )


def test_a_cache_larger_than_the_machine_is_refused_with_its_size(tiny_int8: Path) -> None:
    """The address space is limited, so that the 2 GiB asked for are not there on any machine."""
    line = refused(tiny_int8, limit_bytes=2 * 2**30, INFERENCE_SLOTS=256, INFERENCE_CONTEXT=16384)
    assert "256 slots of 16384 tokens need 2.0 GiB" in line
    assert "INFERENCE_SLOTS" in line


def test_an_empty_key_is_refused(tiny_int8: Path) -> None:
    """It would let in whoever sends an empty one."""
    done = run({"PATH": os.environ["PATH"], "API_KEY": "", "MODEL_PATH": str(tiny_int8)})
    assert "API_KEY" in done.stderr


def test_wrong_settings_name_the_variable_and_no_secret() -> None:
    done = run({"PATH": os.environ["PATH"], "API_KEY": "canary", "INFERENCE_SLOTS": "0", "PORT": "x"})
    for name in ("INFERENCE_SLOTS", "PORT", "MODEL_PATH"):
        assert name in done.stderr
    assert "canary" not in done.stderr


def test_who_cannot_start_gives_no_notice(tmp_path: Path) -> None:
    """The notice is for load balancers; nothing was ever sent to this process, and its supervisor should know at once."""
    begin = time.monotonic()
    assert "manifest.json does not exist" in refused(tmp_path, NOTICE_SECONDS=50)
    assert time.monotonic() - begin < 40
