"""The model's resource around a small command that stands in for app.models, and around a real entry of the store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.models.manifest import (
    Architecture,
    FileRecord,
    Gate,
    Manifest,
    Sizes,
    SourceRecord,
    Thresholds,
    TokenizerRecord,
    content_digest,
    dump,
    sha256_of,
)
from infra.local import tether
from infra.local.model import ModelProvider, command_of, run
from infra.local.provider import LocalError

provider = ModelProvider()
INPUTS = {"source": "pypi:x==1", "sha256": None, "precision": "int8", "maxKl": 0.01, "minTop1": 0.97, "code": "c"}


def standing_in(script: str) -> list[str]:
    return [sys.executable, "-c", f"import sys, json, os\n{script}"]


@pytest.fixture
def entry(tmp_path: Path) -> tuple[Path, Manifest]:
    """A directory of the store with a manifest that is true of it."""
    (tmp_path / "model.onnx").write_bytes(b"graph")
    architecture = Architecture(
        family="llama",
        layers=1,
        hidden_size=1,
        intermediate_size=1,
        heads=1,
        kv_heads=1,
        head_size=1,
        vocab_size=1,
        context_length=1,
        rope_theta=1,
        rms_norm_epsilon=1,
    )
    tokenizer = TokenizerRecord(bos=None, eos_ids=[1], add_bos=False, chat_template=None)
    files = {"model.onnx": FileRecord(sha256=sha256_of(tmp_path / "model.onnx"), size=5)}
    manifest = Manifest(
        name="m",
        digest=content_digest("0" * 64, architecture, "int8", files, tokenizer),
        source=SourceRecord(uri="pypi:x==1", sha256="0" * 64, licence="Apache-2.0"),
        architecture=architecture,
        precision="int8",
        files=files,
        tokenizer=tokenizer,
        gate=Gate(
            kl=0.0, top1=1.0, perplexity_fp32=1.0, perplexity=1.0, tokens=1, thresholds=Thresholds(max_kl=0.01, min_top1=0.97)
        ),
        versions={},
        sizes=Sizes(parameters=1, bytes=5),
    )
    (tmp_path / "manifest.json").write_text(dump(manifest))
    return tmp_path, manifest


def state(entry: tuple[Path, Manifest]) -> dict[str, Any]:
    path, manifest = entry
    return {**INPUTS, "path": str(path), "modelName": "m", "digest": manifest.digest, "kl": 0.0, "top1": 1.0, "status": "ok"}


def test_the_result_is_the_last_line_and_progress_is_passed_on_as_it_comes() -> None:
    seen: list[str] = []
    result = {"path": "/p", "name": "m", "digest": "d", "kl": 0.1, "top1": 0.9, "more": 1}
    command = standing_in(
        "print('[ 10%] fetch', file=sys.stderr); print('a warning', file=sys.stderr); print('x')\n"
        f"print('{json.dumps(result)}')"
    )
    assert run(command, seen.append) == {name: result[name] for name in ("path", "name", "digest", "kl", "top1")}
    assert seen == ["[ 10%] fetch"]


def test_a_missed_gate_is_told_with_its_figures() -> None:
    command = standing_in(
        "print('[ 90%] measure', file=sys.stderr); print('same top token 96 %', file=sys.stderr); sys.exit(3)"
    )
    with pytest.raises(LocalError) as raised:
        run(command, lambda _line: None)
    assert str(raised.value) == "The model misses its gate:\n    same top token 96 %"


def test_a_failure_is_told_with_its_last_lines() -> None:
    with pytest.raises(LocalError, match=r"could not be made \(exit status 1\):\n    no such package"):
        run(standing_in("print('no such package', file=sys.stderr); sys.exit(1)"), lambda _line: None)


def test_success_without_a_result_is_an_error() -> None:
    with pytest.raises(LocalError, match="reported no result"):
        run(standing_in("print('{}')"), lambda _line: None)


def test_the_passphrase_does_not_reach_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "canary")
    run(
        standing_in(
            "assert 'canary' not in os.environ.values()\n"
            "print(json.dumps(dict.fromkeys(('path', 'name', 'digest', 'kl', 'top1'), 1)))"
        ),
        lambda _line: None,
    )


def test_a_command_whose_provider_is_killed_ends_with_all_its_children() -> None:
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()"
    )
    with subprocess.Popen(
        [sys.executable, tether.__file__, sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as tethered:
        assert tethered.stdout is not None
        assert tethered.stdin is not None
        grandchild = psutil.Process(int(tethered.stdout.readline()))
        tethered.stdin.close()  # what the kernel does when a provider is killed
        assert psutil.wait_procs([grandchild], timeout=5)[1] == []


def test_the_command_line_is_one_that_app_models_accepts() -> None:
    from app.models.__main__ import _options

    options = _options(command_of(INPUTS)[3:])
    assert (options.source, options.sha256, options.precision) == ("pypi:x==1", None, "int8")
    assert (options.max_kl, options.min_top1) == (0.01, 0.97)
    assert _options(command_of({**INPUTS, "sha256": "a" * 64})[3:]).sha256 == "a" * 64


def test_an_intact_entry_shows_no_drift_and_no_difference(entry: tuple[Path, Manifest]) -> None:
    read = provider.read("x", state(entry)).outs or {}
    assert read["status"] == "ok"
    assert provider.diff("x", read, INPUTS).changes is False
    assert provider.diff("x", read, {**INPUTS, "precision": "fp32"}).changes is True


@pytest.mark.parametrize("harm", ["altered", "removed"])
def test_refresh_sees_a_harmed_entry(entry: tuple[Path, Manifest], harm: str) -> None:
    path, _ = entry
    if harm == "altered":
        (path / "model.onnx").write_bytes(b"hparg")
    else:
        (path / "manifest.json").unlink()
    read = provider.read("x", state(entry)).outs or {}
    assert read["status"] != "ok"
    assert provider.diff("x", read, INPUTS).changes is True


def test_delete_leaves_the_shared_cache_alone(entry: tuple[Path, Manifest]) -> None:
    provider.delete("x", state(entry))
    assert (entry[0] / "model.onnx").exists()
