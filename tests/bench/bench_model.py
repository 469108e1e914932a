"""INT8 against FP32, through the server's own runner: tokens a second, time to load, memory.

``python tests/bench/bench_model.py`` (part of ``make bench``) takes about two minutes on two idle cores. Both models are loaded
side by side and take turns, so that a slow spell of the machine hits both; medians over the rounds. Load time and peak memory
come from a process of its own for each. The FP32 model is made in a temporary store, 0.6 GB, and removed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests" / "bench"))

import numpy as np  # noqa: E402
from record import record  # noqa: E402

from app.inference.cache import KVCache  # noqa: E402
from app.inference.runner import Runner, open_session  # noqa: E402
from app.models import manifest  # noqa: E402

PROMPT_TOKENS, NEW_TOKENS, BATCH = 128, 64, 8
CAPACITY = PROMPT_TOKENS + NEW_TOKENS
ROUNDS = 3
GOAL = 2.0  # INT8 decodes one sequence at least so many times as fast


class Bench:
    def __init__(self, directory: Path, threads: int) -> None:
        self.architecture = manifest.load(directory).architecture
        a, started = self.architecture, time.perf_counter()
        session = open_session(directory / "model.onnx", "cpu", threads)
        self.load_seconds = time.perf_counter() - started
        cache = KVCache(layers=a.layers, slots=BATCH, kv_heads=a.kv_heads, capacity=CAPACITY, head_size=a.head_size)
        self.runner = Runner(session, a, cache)
        self.prompt = np.random.default_rng(0).integers(20, a.vocab_size, PROMPT_TOKENS).tolist()

    def prefill(self) -> float:
        """Tokens a second."""
        started = time.perf_counter()
        self.runner.prefill(0, self.prompt, 0)
        return PROMPT_TOKENS / (time.perf_counter() - started)

    def decode(self, rows: int) -> float:
        """Tokens a second of all rows together: the median step, from a cache of 128 tokens to one of 192."""
        seconds, tokens = [], [1] * rows
        for step in range(NEW_TOKENS):
            started = time.perf_counter()
            logits = self.runner.decode(tokens, [PROMPT_TOKENS + step] * rows)
            seconds.append(time.perf_counter() - started)
            tokens = logits.argmax(axis=1).tolist()
        return rows / statistics.median(seconds)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--no-record", action="store_true", help="print the table, leave docs/performance.md as it is")
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)  # the process that measures load and memory
    options = parser.parse_args(arguments)
    if options.only:
        return _alone(options.only, options.threads)
    with tempfile.TemporaryDirectory(prefix="bench-model-") as store:
        directories = {"FP32": _model("--precision", "fp32", "--store", store), "INT8": _model()}
        alone = {name: _measure_alone(directory, options.threads) for name, directory in directories.items()}
        benches = {name: Bench(directory, options.threads) for name, directory in directories.items()}
        figures = _interleave(benches, options.rounds)
    table = [
        "| | FP32 | INT8 | INT8 / FP32 |",
        "|---|---|---|---|",
        *(_row(what, values, "{:.0f}") for what, values in figures.items()),
        _row("load, s", {name: seconds for name, (seconds, _) in alone.items()}, "{:.2f}"),
        _row("peak memory, MB", {name: megabytes for name, (_, megabytes) in alone.items()}, "{:.0f}"),
    ]
    one = figures["decode, 1 sequence, tokens/s"]
    ratio, gate = one["INT8"] / one["FP32"], manifest.load(directories["INT8"]).gate
    table += [
        "",
        f"{options.threads} threads; prompt {PROMPT_TOKENS}, {NEW_TOKENS} new tokens; load average {os.getloadavg()[0]:.1f}. "
        f"Goal: INT8 decodes at least {GOAL:.0f} times as fast: {'met' if ratio >= GOAL else 'MISSED'} ({ratio:.2f}). "
        f"Quality of INT8 against FP32: KL {gate.kl:.4f}, same top token {gate.top1:.1%}, "
        f"perplexity {gate.perplexity:.2f} ({gate.perplexity_fp32:.2f}).",
    ]
    if options.no_record:
        print("\n".join(table))
    else:
        record("Model: INT8 against FP32", "python tests/bench/bench_model.py", "\n".join(table))
    return 0 if ratio >= GOAL else 1


def _interleave(benches: dict[str, Bench], rounds: int) -> dict[str, dict[str, float]]:
    measures: dict[str, Callable[[Bench], float]] = {
        "decode, 1 sequence, tokens/s": lambda bench: bench.decode(1),
        f"decode, {BATCH} sequences, tokens/s": lambda bench: bench.decode(BATCH),
        "prefill, tokens/s": Bench.prefill,
    }
    samples: dict[str, dict[str, list[float]]] = {what: {name: [] for name in benches} for what in measures}
    for bench in benches.values():  # the first call of a shape allocates
        bench.prefill()
        bench.decode(BATCH)
    for _ in range(rounds):
        for what, measure in measures.items():
            for name, bench in benches.items():
                samples[what][name].append(measure(bench))
    return {what: {name: statistics.median(values) for name, values in by.items()} for what, by in samples.items()}


def _model(*options: str) -> Path:
    done = subprocess.run([sys.executable, "-m", "app.models", *options], stdout=subprocess.PIPE, check=True, cwd=CHECKOUT)
    return Path(json.loads(done.stdout)["path"])


def _measure_alone(directory: Path, threads: int) -> tuple[float, float]:
    command = [sys.executable, __file__, "--only", str(directory), "--threads", str(threads)]
    seconds, megabytes = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=CHECKOUT).stdout)
    return seconds, megabytes


def _alone(directory: Path, threads: int) -> int:
    bench = Bench(directory, threads)
    bench.prefill()
    bench.decode(1)
    print(json.dumps([bench.load_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
    return 0


def _row(what: str, values: dict[str, float], form: str) -> str:
    cells = [form.format(values[name]) for name in ("FP32", "INT8")]
    return f"| {what} | {cells[0]} | {cells[1]} | {values['INT8'] / values['FP32']:.2f} |"


if __name__ == "__main__":
    sys.exit(main())
