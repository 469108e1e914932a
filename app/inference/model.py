"""A model that is ready to answer: verified, loaded, warmed."""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from app.inference import chat, tokenizer
from app.inference.cache import KVCache
from app.inference.engine import Engine
from app.inference.errors import StartError
from app.inference.runner import Runner, open_session
from app.inference.sequence import Sequence
from app.inference.tokenizer import Tokenizer
from app.models.errors import ModelError
from app.models.manifest import Manifest, verify
from app.settings import InferenceSettings
from app.telemetry.logs import get_logger

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
WARM_SECONDS = 120.0  # for the first token; the largest models page their weights in


@dataclass(frozen=True)
class Model:
    """``context``: tokens one sequence may hold, prompt and answer together."""

    manifest: Manifest
    tokenizer: Tokenizer
    engine: Engine
    context: int

    def sequence(self, prompt: list[int], max_tokens: int, temperature: float) -> Sequence:
        """A sequence the engine can run. Raises ValueError for ids outside the vocabulary, which the graph would not notice."""
        if not prompt or not all(0 <= token < self.manifest.architecture.vocab_size for token in prompt):
            raise ValueError("the prompt's token ids are not the model's")
        end_ids = frozenset(self.manifest.tokenizer.eos_ids)
        return Sequence(prompt=prompt, max_tokens=max_tokens, end_ids=end_ids, temperature=temperature)


def load(settings: InferenceSettings) -> Model:
    """Verify every file against the manifest, load, and produce one token. Raises :class:`StartError`."""
    # Once: the path may be a link, and pointed at another model while this one's files are read.
    directory = settings.model_path.resolve()
    try:
        manifest = verify(directory)
    except ModelError as error:
        raise StartError("; ".join(line.strip() for line in str(error).splitlines())) from None
    missing = {MODEL_FILE, TOKENIZER_FILE} - manifest.files.keys()
    if missing:
        raise StartError(f"{directory}: the manifest does not name {', '.join(sorted(missing))}. Convert the model again")
    words = _load_tokenizer(directory, manifest)
    threads = settings.inference_threads or available_cores()
    session = open_session(directory / MODEL_FILE, settings.inference_device, threads)
    a = manifest.architecture
    context = min(settings.inference_context, a.context_length)
    try:
        cache = KVCache(
            layers=a.layers, slots=settings.inference_slots, kv_heads=a.kv_heads, capacity=context, head_size=a.head_size
        )
    except (OSError, OverflowError, ValueError):
        size = 8 * a.layers * settings.inference_slots * a.kv_heads * context * a.head_size / 2**30
        message = f"{settings.inference_slots} slots of {context} tokens need {size:.1f} GiB for the KV cache"
        raise StartError(f"{message}, more than this machine gives: lower INFERENCE_SLOTS or INFERENCE_CONTEXT") from None
    model = Model(manifest, words, Engine(Runner(session, a, cache)), context)
    model.engine.start()
    _warm(model)
    get_logger().info(
        "model ready",
        model=manifest.name,
        digest=manifest.digest,
        precision=manifest.precision,
        context=context,
        threads=threads,
    )
    return model


def available_cores() -> int:
    """Cores this process may use: its affinity, and its control group's quota, which ONNX Runtime does not look at."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        return cores


def _load_tokenizer(directory: Path, manifest: Manifest) -> Tokenizer:
    path, record = directory / TOKENIZER_FILE, manifest.tokenizer
    plain = tokenizer.load(path, chat.Frame())
    bos = plain.text_of(record.bos) if record.bos is not None else ""
    if record.chat_template is None:
        return tokenizer.load(path, chat.Frame(before=bos if record.add_bos else ""))
    return tokenizer.load(path, chat.frame(record.chat_template, bos=bos, eos=plain.text_of(record.eos_ids[0])))


def _warm(model: Model) -> None:
    """One token, so that the first caller does not pay for lazy allocations, and a graph that cannot run is found now."""
    done = threading.Event()
    sequence = model.sequence(model.tokenizer.encode("Hello")[: model.context - 1], 1, 0.0)
    model.engine.submit(sequence, lambda _: done.set())
    if not done.wait(WARM_SECONDS):
        raise StartError(f"the model produced no token within {WARM_SECONDS:.0f} seconds")
    if sequence.finish_reason == "error":
        raise StartError("the model failed on its first token: the log above has the cause")
