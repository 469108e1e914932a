"""A model that cannot be loaded, for each reason; and how fast one answers."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from generic.faulty_server import Answer, FaultyServer

from app.doctor.checks import inference, model, readiness
from app.doctor.finding import Severity
from app.models import manifest

NOBODY = 65534
FILES = {"model.onnx": b"graph" * 100, "model.onnx.data": bytes(range(256)) * 64, "tokenizer.json": b"{}"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A model directory whose manifest is true; nothing is to load it."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    sizes = {"layers": 2, "hidden_size": 64, "intermediate_size": 96, "heads": 4, "kv_heads": 2, "head_size": 16}
    architecture = manifest.Architecture(
        family="llama", **sizes, vocab_size=300, context_length=256, rope_theta=10_000.0, rms_norm_epsilon=1e-5
    )
    records = {name: manifest.FileRecord(sha256=manifest.sha256_of(tmp_path / name), size=len(FILES[name])) for name in FILES}
    tokenizer = manifest.TokenizerRecord(bos=1, eos_ids=[2], add_bos=False, chat_template=None)
    made = manifest.Manifest(
        name="tiny",
        digest=manifest.content_digest("0" * 64, architecture, "int8", records, tokenizer),
        source=manifest.SourceRecord(uri="file:none", sha256="0" * 64, licence="none"),
        architecture=architecture,
        precision="int8",
        files=records,
        tokenizer=tokenizer,
        gate=manifest.Gate(
            kl=0, top1=1, perplexity_fp32=1, perplexity=1, tokens=1, thresholds=manifest.Thresholds(max_kl=1, min_top1=0)
        ),
        versions={},
        sizes=manifest.Sizes(parameters=1, bytes=1),
    )
    (tmp_path / manifest.FILE_NAME).write_text(manifest.dump(made), encoding="utf-8")
    return tmp_path


def test_finds_nothing_wrong_with_a_whole_model(doctor: Any, directory: Path) -> None:
    found = doctor.look("inference", "model", MODEL_PATH=str(directory))
    assert {finding.severity for finding in found} == {Severity.OK}


def test_names_the_file_that_is_truncated(doctor: Any, directory: Path) -> None:
    file = directory / "model.onnx.data"
    file.write_bytes(file.read_bytes()[:-1])
    found = doctor.only("inference", "model", MODEL_PATH=str(directory))
    assert found.what == "The model tiny is damaged and is not loaded"
    assert found.evidence == "model.onnx.data: 16383 bytes, expected 16384"


def test_names_the_file_in_which_one_bit_is_flipped(doctor: Any, directory: Path) -> None:
    file = directory / "model.onnx.data"
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    found = doctor.only("inference", "model", MODEL_PATH=str(directory))
    assert found.evidence.startswith("model.onnx.data: sha256 ")


def test_names_each_file_that_is_missing(doctor: Any, directory: Path) -> None:
    for name in ("model.onnx", "tokenizer.json"):
        (directory / name).unlink()
    found = doctor.wrong("inference", "model", MODEL_PATH=str(directory))
    assert [finding.evidence for finding in found] == ["model.onnx: missing", "tokenizer.json: missing"]


def test_tells_a_directory_that_holds_no_model(doctor: Any, tmp_path: Path) -> None:
    assert doctor.only("inference", "model", MODEL_PATH=str(tmp_path)).what == "There is no model at MODEL_PATH"
    assert doctor.only("inference", "model", MODEL_PATH=str(tmp_path / "none")).what == "There is no model at MODEL_PATH"


@pytest.mark.parametrize("barred", [".", "model.onnx"])
def test_tells_a_model_that_the_user_may_not_read(directory: Path, barred: str) -> None:
    for folder in (directory, *directory.parents):
        if folder.owner() == "root" and folder != Path("/") and not folder.stat().st_mode & 0o001:
            folder.chmod(0o755)  # pytest's own, which others may not enter
    (directory / barred).chmod(0o000)
    try:
        found = _as_nobody(model.first_barred, directory)
    finally:
        (directory / barred).chmod(0o755)
    assert found is not None
    assert found[0] == (directory / barred).resolve()
    assert str(found[0]) in model.unreadable(*found).evidence


def test_tells_a_provider_that_is_not_there(doctor: Any, directory: Path) -> None:
    found = doctor.only("inference", "model", MODEL_PATH=str(directory), INFERENCE_DEVICE="cuda")
    assert "no CUDAExecutionProvider" in found.what
    assert "CPUExecutionProvider" in found.evidence


def test_tells_a_model_that_does_not_fit_the_memory() -> None:
    def severity(limit: int) -> Severity:
        return model.judge_memory(600, 200, model.Memory(limit=limit, total=10_000)).severity

    assert [severity(limit) for limit in (799, 800, 941, 942)] == [
        Severity.ERROR,
        Severity.WARNING,
        Severity.WARNING,
        Severity.OK,
    ]
    assert model.judge_memory(600, 200, model.Memory(limit=10_000, total=700)).severity is Severity.ERROR


def test_counts_the_cache_of_all_slots(directory: Path) -> None:
    # keys and values, 4 bytes, 2 layers, 8 slots, 2 heads, 256 of 2048 tokens, 16 numbers
    assert model.cache_bytes(manifest.load(directory), 8, 2048) == 2 * 4 * 2 * 8 * 2 * 256 * 16


def test_counts_slots_that_are_too_many(doctor: Any, directory: Path) -> None:
    """The control group's limit is this machine's, whatever it is: so much no machine has."""
    huge = manifest.load(directory)
    cache = model.cache_bytes(
        huge.model_copy(update={"architecture": huge.architecture.model_copy(update={"layers": 10**9})}), 256, 256
    )
    memory = model.memory_here()
    assert memory is not None
    assert model.judge_memory(0, cache, memory).severity is Severity.ERROR


# --- the service --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def service() -> Iterator[tuple[str, list[Answer]]]:
    """The address of an inference service, and what it answers next."""
    import threading

    answers: list[Answer] = []
    server = FaultyServer("127.0.0.1", 0, lambda *_: answers[0], lambda _: None)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", answers
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "severity", "words"),
    [
        (Answer(200, {"prediction": "what it says is nobody's business"}), Severity.OK, "answers"),
        (Answer(401, {"error": {"code": "invalid_api_key"}}), Severity.ERROR, "does not take our key"),
        (Answer(503, {"error": {"code": "loading"}}), Severity.ERROR, "cannot answer"),
        (Answer(503, {"error": {"code": "overloaded"}}), Severity.WARNING, "overloaded"),
        (Answer(429, {}), Severity.WARNING, "overloaded"),
        (Answer(500, {}), Severity.ERROR, "cannot answer"),
    ],
)
def test_asks_the_model_and_judges_the_answer(
    doctor: Any, service: tuple[str, list[Answer]], answer: Answer, severity: Severity, words: str
) -> None:
    url, answers = service
    answers.append(answer)
    (found,) = doctor.look("gateway", "inference", INFERENCE_URL=url)
    assert found.severity is severity
    assert words in found.what
    assert "business" not in str(found)


def test_tells_an_inference_service_that_is_not_there(doctor: Any, closed_port: int) -> None:
    found = doctor.only("worker", "inference", INFERENCE_URL=f"http://127.0.0.1:{closed_port}")
    assert found.what == "The inference service takes no connection"


def test_judges_the_speed_by_the_models_own_metrics() -> None:
    def told(seconds: float, count: int) -> Severity:
        return inference.judge_metrics(f"{inference.METRIC}_sum {seconds}\n{inference.METRIC}_count {count}.0\n").severity

    assert told(1.0, 20) is Severity.OK
    assert told(10.0, 20) is Severity.WARNING
    assert told(0.0, 0) is Severity.NOTE


def test_repeats_the_processs_own_reason() -> None:
    body = b'{"status": "not ready", "reason": "Redis did not answer within 250 ms"}'
    found = readiness.judge(503, body, 0.01)
    assert found.severity is Severity.ERROR
    assert "Redis did not answer" in found.evidence
    assert "redis" in found.remedy
    assert readiness.judge(200, b'{"reason": null, "inference": "unreachable"}', 0.01).severity is Severity.WARNING
    assert readiness.judge(200, b'{"reason": null, "inference": "ready"}', 0.01).severity is Severity.OK
    assert readiness.judge(200, b"{}", 1.5).severity is Severity.WARNING


def _as_nobody(call: Callable[[Path], Any], argument: Path) -> Any:
    """What ``call`` gives to a user without rights: root may read everything."""

    def work(end: Connection) -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        end.send(call(argument))

    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=work, args=(theirs,))
    child.start()
    assert ours.poll(10)
    found = ours.recv()
    child.join(10)
    return found
