from __future__ import annotations

import asyncio
import dataclasses
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from app.http.lifecycle import Lifecycle
from app.inference import server, tokenizer
from app.inference.cache import KVCache
from app.inference.chat import Frame
from app.inference.engine import Engine
from app.inference.errors import StartError
from app.inference.metrics import InferenceMetrics
from app.inference.model import Model
from app.inference.runner import Runner, open_session
from app.inference.sequence import Sequence
from app.models.manifest import Manifest, load
from app.models.onnx_runtime import onnxruntime
from app.settings import InferenceSettings

WAIT = 60.0


@dataclasses.dataclass
class Bench:
    """Engines over one loaded model."""

    directory: Path
    manifest: Manifest = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.manifest = load(self.directory)
        self.session = open_session(self.directory / "model.onnx", "cpu", 2)

    def runner(self, slots: int, capacity: int = 2048) -> Runner:
        a = self.manifest.architecture
        cache = KVCache(layers=a.layers, slots=slots, kv_heads=a.kv_heads, capacity=capacity, head_size=a.head_size)
        return Runner(self.session, a, cache)

    def prompts(self, count: int, longest: int = 100) -> list[list[int]]:
        chooser = random.Random(5)
        ids = range(3, self.manifest.architecture.vocab_size)
        return [[chooser.choice(ids) for _ in range(chooser.randint(1, longest))] for _ in range(count)]


@pytest.fixture(scope="module", params=["fp32", "int8"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.getfixturevalue(f"tiny_{request.param}"))


@pytest.fixture
def engine() -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def make(runner: Runner, chunk: int = 16) -> Engine:
        made.append(Engine(runner, chunk))
        made[-1].start()
        return made[-1]

    yield make
    for item in made:
        item.stop(5)
        assert not item.alive


def submit(engine: Engine, prompt: list[int], max_tokens: int, **fields: object) -> tuple[Sequence, threading.Event]:
    sequence = Sequence(prompt=prompt, max_tokens=max_tokens, **{"end_ids": frozenset(), **fields})
    done = threading.Event()
    engine.submit(sequence, lambda _: done.set())
    return sequence, done


def complete(engine: Engine, prompt: list[int], max_tokens: int, **fields: object) -> Sequence:
    sequence, done = submit(engine, prompt, max_tokens, **fields)
    assert done.wait(WAIT)
    return sequence


def test_a_greedy_answer_does_not_depend_on_its_neighbours(bench: Bench, engine) -> None:
    """40 requests of different lengths through 6 slots, against each of them alone in an engine of one."""
    together, alone = engine(bench.runner(6)), engine(bench.runner(1))
    chooser = random.Random(2)
    wanted = [(prompt, chooser.randint(1, 60)) for prompt in bench.prompts(40)]
    running = [submit(together, prompt, count) for prompt, count in wanted]
    for (prompt, count), (sequence, done) in zip(wanted, running, strict=True):
        assert done.wait(WAIT)
        assert sequence.finish_reason == "length"
        assert len(sequence.generated) == count
        assert sequence.generated == complete(alone, prompt, count).generated


def test_chunked_prefill_and_decoding_equal_the_whole_text_at_once(bench: Bench) -> None:
    """The cache is right: logits from chunks and single steps are those of one pass without history."""
    text = bench.prompts(1, 90)[0] * 2
    whole = bench.runner(1).prefill(0, text, 0).copy()
    pieces = bench.runner(3)
    for start in range(0, len(text) - 5, 16):
        pieces.prefill(0, text[start : min(start + 16, len(text) - 5)], start)
    for position in range(len(text) - 5, len(text)):
        stepped = pieces.decode([text[position]], [position])[0]
    assert int(np.argmax(stepped)) == int(np.argmax(whole))
    # INT8 quantises activations by block: a pass over more rows takes another kernel and rounds elsewhere.
    assert np.allclose(stepped, whole, atol=1e-3 if bench.manifest.precision == "fp32" else 0.5)


def test_a_sequence_may_fill_its_slot_to_the_last_token(bench: Bench, engine) -> None:
    prompt = bench.prompts(1)[0][:20]
    sequence = complete(engine(bench.runner(2, capacity=64)), prompt, 44)
    assert len(sequence.generated) == 44
    assert sequence.generated == complete(engine(bench.runner(1)), prompt, 44).generated


def test_generation_stops_at_an_end_token(bench: Bench, engine) -> None:
    runs = engine(bench.runner(2))
    prompt = bench.prompts(1)[0]
    free = complete(runs, prompt, 30).generated
    end = free[10]
    stopped = complete(runs, prompt, 30, end_ids=frozenset({end}))
    assert stopped.finish_reason == "stop"
    assert stopped.generated == free[: free.index(end)]


def test_temperature_draws_different_answers_and_leaves_greedy_neighbours_alone(bench: Bench, engine) -> None:
    runs = engine(bench.runner(4))
    prompt = bench.prompts(1)[0]
    expected = complete(runs, prompt, 30).generated
    drawn = [submit(runs, prompt, 30, temperature=2.0) for _ in range(3)]
    greedy = complete(runs, prompt, 30)
    assert all(done.wait(WAIT) for _, done in drawn)
    assert len({tuple(sequence.generated) for sequence, _ in drawn}) == 3
    assert greedy.generated == expected


def test_a_cancelled_sequence_ends_and_its_neighbour_goes_on(bench: Bench, engine) -> None:
    runs = engine(bench.runner(2))
    first, second = bench.prompts(2)
    gone, gone_done = submit(runs, first, 1900)
    stays, stays_done = submit(runs, second, 200)
    runs.cancel(gone)
    assert gone_done.wait(5)
    assert gone.finish_reason == "cancelled"
    assert stays_done.wait(WAIT)
    assert stays.generated == complete(runs, second, 200).generated


def test_a_waiting_sequence_can_be_cancelled(bench: Bench, engine) -> None:
    runs = engine(bench.runner(1))
    long, long_done = submit(runs, [5], 1900)
    waiting, waiting_done = submit(runs, [6], 10)
    runs.cancel(waiting)
    assert waiting_done.wait(5)
    assert waiting.finish_reason == "cancelled"
    assert waiting.started_at is None
    runs.cancel(long)
    assert long_done.wait(5)


def test_stopping_ends_what_runs_and_what_waits(bench: Bench) -> None:
    runs = Engine(bench.runner(1), 16)
    runs.start()
    sequences = [submit(runs, [5], 2000) for _ in range(3)]
    runs.stop(5)
    assert not runs.alive
    assert all(done.is_set() for _, done in sequences)
    assert {sequence.finish_reason for sequence, _ in sequences} == {"cancelled"}


class Failing(Runner):
    """Refuses any step with the token 7 in it, as a graph that fails on one row fails on all."""

    def decode(self, tokens: list[int], lengths: list[int]) -> NDArray[np.float32]:
        if self.poison in tokens:
            raise RuntimeError("the whole step fails")
        return super().decode(tokens, lengths)

    def prefill(self, row: int, tokens: list[int], start: int) -> NDArray[np.float32]:
        if start and self.poison in tokens:
            raise RuntimeError("the row fails")
        return super().prefill(row, tokens, start)

    poison = -1


def test_a_sequence_that_fails_in_a_step_does_not_take_its_neighbours_along(bench: Bench, engine) -> None:
    prompts = bench.prompts(3, 10)
    plain = engine(bench.runner(3))
    expected = [complete(plain, prompt, 40).generated for prompt in prompts]
    poison = next(token for token in expected[1][3:] if token not in expected[0] and token not in expected[2])
    base = bench.runner(3)
    runner = Failing(bench.session, bench.manifest.architecture, base.cache)
    runner.poison = poison
    runs = engine(runner)
    sequences = [submit(runs, prompt, 40) for prompt in prompts]
    assert all(done.wait(WAIT) for _, done in sequences)
    assert [sequence.finish_reason for sequence, _ in sequences] == ["length", "error", "length"]
    assert [sequences[0][0].generated, sequences[2][0].generated] == [expected[0], expected[2]]
    assert complete(runs, prompts[0], 40).generated == expected[0]


class Stuck(Runner):
    """Its steps wait until they are let go, as a hanging driver's would."""

    def prefill(self, row: int, tokens: list[int], start: int) -> NDArray[np.float32]:
        assert self.let_go.wait(WAIT)
        return super().prefill(row, tokens, start)

    let_go: threading.Event


async def test_a_stuck_decode_thread_is_not_ready_then_not_alive_and_recovers(
    bench: Bench, engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Stuck(bench.session, bench.manifest.architecture, bench.runner(1).cache)
    runner.let_go = threading.Event()
    runs = engine(runner)
    settings = InferenceSettings(model_path=bench.directory, api_key=SecretStr("key-of-the-tests"))
    service = server.Service(settings, Lifecycle(), InferenceMetrics(CollectorRegistry()))
    words = tokenizer.load(bench.directory / "tokenizer.json", Frame())
    service.model = Model(bench.manifest, words, runs, 2048)
    monkeypatch.setattr(server, "STALLED_SECONDS", 0.1)
    assert (await service.ready()).reason is None  # idle is no stall

    _, done = submit(runs, [5], 3)
    await asyncio.sleep(0.2)
    assert "while requests run" in str((await service.ready()).reason)
    assert (await service.live()).reason is None
    monkeypatch.setattr(server, "STUCK_SECONDS", 0.1)
    assert (await service.live()).reason is not None

    runner.let_go.set()
    assert done.wait(WAIT)
    assert (await service.ready()).reason is None
    runs.stop(5)
    assert "has ended" in str((await service.live()).reason)


def test_times_are_recorded_in_order(bench: Bench, engine) -> None:
    sequence = complete(engine(bench.runner(1)), [5, 6], 5)
    times = [sequence.arrived_at, sequence.started_at, sequence.first_token_at, sequence.finished_at]
    assert times == sorted(times)


def test_a_device_that_is_not_there_is_refused_with_the_reason(bench: Bench) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime is built with CUDA")
    with pytest.raises(StartError, match=r"INFERENCE_DEVICE=cuda: this ONNX Runtime has no CUDAExecutionProvider"):
        open_session(bench.directory / "model.onnx", "cuda", None)


def test_a_file_that_is_no_graph_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(StartError) as caught:
        open_session(tmp_path / "model.onnx", "cpu", None)
    assert "\n" not in str(caught.value)
