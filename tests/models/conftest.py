"""A tiny llama in a GGUF file, and what runs it: the graph step by step, the command, the independent implementation."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from app.models.__main__ import main
from app.models.manifest import Architecture
from app.models.onnx_runtime import onnxruntime

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_SIZE, MLP, CONTEXT = 64, 2, 4, 2, 16, 96, 256
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
REFERENCE = Path(__file__).parent / "reference.py"
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_alphabet() -> list[str]:
    """The 256 characters of byte-level BPE, in the order of the bytes (GPT-2, bytes_to_unicode)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names = {byte: chr(byte) for byte in printable}
    return [names.setdefault(byte, chr(256 + sum(b not in printable for b in range(byte)))) for byte in range(256)]


@dataclass
class Tiny:
    """What a tiny GGUF file says; a test changes one thing and writes it."""

    tied: bool = True
    seed: int = 7
    architecture: str = "llama"
    tokenizer_model: str = "gpt2"
    pre: str = "smollm"
    head_size: int = HEAD_SIZE
    metadata: dict[str, Any] = field(default_factory=dict)  # added to, or in place of, what stands
    extra: dict[str, np.ndarray] = field(default_factory=dict)  # tensors
    drop: tuple[str, ...] = ()

    def vocabulary(self) -> tuple[list[str], list[str]]:
        merges = ["t h", "th e", "Ġ the", "i n", "e r", "Ġ a"]
        return [*CONTROL, *byte_alphabet(), *("".join(m.split()) for m in merges)], merges

    def write(self, path: Path) -> Path:
        writer = gguf.GGUFWriter(path, self.architecture)
        tokens, merges = self.vocabulary()
        kinds = [gguf.TokenType.CONTROL] * len(CONTROL) + [gguf.TokenType.NORMAL] * (len(tokens) - len(CONTROL))
        arch = self.architecture
        values: dict[str, Any] = {
            "general.license": "cc0-1.0",
            f"{arch}.block_count": LAYERS,
            f"{arch}.context_length": CONTEXT,
            f"{arch}.embedding_length": HIDDEN,
            f"{arch}.feed_forward_length": MLP,
            f"{arch}.attention.head_count": HEADS,
            f"{arch}.attention.head_count_kv": KV_HEADS,
            f"{arch}.rope.freq_base": 5000.0,
            f"{arch}.rope.dimension_count": self.head_size,
            f"{arch}.attention.layer_norm_rms_epsilon": 1e-5,
            "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.eos_token_id": 2,
            "tokenizer.chat_template": TEMPLATE,
            "tokenizer.ggml.model": self.tokenizer_model,
            "tokenizer.ggml.pre": self.pre,
            **self.metadata,
        }
        for key, value in values.items():
            if isinstance(value, bool):
                writer.add_bool(key, value)
            elif isinstance(value, int):
                writer.add_uint32(key, value)
            elif isinstance(value, float):
                writer.add_float32(key, value)
            elif value is not None:
                writer.add_string(key, value)
        writer.add_token_list(tokens)
        writer.add_token_types(kinds)
        writer.add_token_merges(merges)
        for name, (values_, kind) in self.tensors(len(tokens)).items():
            if name not in self.drop:
                writer.add_tensor(name, gguf.quants.quantize(values_, kind), raw_dtype=kind)
        for name, values_ in self.extra.items():
            writer.add_tensor(name, values_)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def tensors(self, vocab: int) -> dict[str, tuple[np.ndarray, gguf.GGMLQuantizationType]]:
        random, kinds = np.random.default_rng(self.seed), gguf.GGMLQuantizationType
        query, key = HEADS * self.head_size, KV_HEADS * self.head_size

        def matrix(rows: int, columns: int, gain: float = 1.0) -> np.ndarray:
            return (random.standard_normal((rows, columns)) * gain / np.sqrt(columns)).astype(np.float32)

        def norm() -> np.ndarray:
            return (1 + 0.2 * random.standard_normal(HIDDEN)).astype(np.float32)

        tensors = {
            "token_embd.weight": (matrix(vocab, HIDDEN, 8.0), kinds.Q8_0),
            "output_norm.weight": (norm(), kinds.F32),
        }
        if not self.tied:
            tensors["output.weight"] = (matrix(vocab, HIDDEN, 3.0), kinds.F16)
        for layer in range(LAYERS):
            blk = f"blk.{layer}"
            tensors |= {
                f"{blk}.attn_norm.weight": (norm(), kinds.F32),
                f"{blk}.attn_q.weight": (matrix(query, HIDDEN, 2.0), kinds.Q4_1),
                f"{blk}.attn_k.weight": (matrix(key, HIDDEN, 2.0), kinds.Q4_1),
                f"{blk}.attn_v.weight": (matrix(key, HIDDEN), kinds.Q4_1),
                f"{blk}.attn_output.weight": (matrix(HIDDEN, query), kinds.Q8_0),
                f"{blk}.ffn_norm.weight": (norm(), kinds.F32),
                f"{blk}.ffn_gate.weight": (matrix(MLP, HIDDEN), kinds.Q4_0),
                f"{blk}.ffn_up.weight": (matrix(MLP, HIDDEN), kinds.F32),
                f"{blk}.ffn_down.weight": (matrix(HIDDEN, MLP), kinds.F16),
            }
        return tensors


class Runner:
    """A model directory run step by step with plain arrays; the cache of ``batch`` rows is ``self.cache``."""

    def __init__(self, directory: Path, architecture: Architecture, batch: int = 1, capacity: int = CONTEXT) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(directory / "model.onnx"), options, providers=["CPUExecutionProvider"])
        shape = (batch, architecture.kv_heads, capacity, architecture.head_size)
        names = [f"{what}_{layer}" for layer in range(architecture.layers) for what in ("key", "value")]
        self.cache = {name: np.zeros(shape, np.float32) for name in names}

    def step(self, ids: Sequence[Sequence[int]], past: Sequence[int], positions: Sequence[int] | None = None) -> np.ndarray:
        """Logits ``[batch, n, vocab]`` after ``ids``, ``[batch, sequence]``, with ``past`` tokens in each row's cache."""
        sequence = len(ids[0])
        ends = np.asarray(past) + sequence
        names = list(self.cache)
        logits, *present = self.session.run(
            ["logits", *(f"present_{name}" for name in names)],
            {
                "input_ids": np.asarray(ids, np.int64),
                "positions": np.arange(sequence, dtype=np.int64) if positions is None else np.asarray(positions, np.int64),
                "seqlens_k": (ends - 1).astype(np.int32),
                "total_sequence_length": np.asarray(ends.max(), np.int32),
                **{f"past_{name}": values for name, values in self.cache.items()},
            },
        )
        self.cache = dict(zip(names, present, strict=True))
        return logits


@dataclass
class Command:
    """``python -m app.models`` on a tiny model, in a store of its own."""

    gguf: Path
    store: Path

    @property
    def arguments(self) -> list[str]:
        digest = hashlib.sha256(self.gguf.read_bytes()).hexdigest()
        loose = ["--max-kl", "10", "--min-top1", "0"]  # random weights: their figures mean nothing
        return ["--source", f"file:{self.gguf}", "--sha256", digest, "--store", str(self.store), *loose]

    def start(self, *more: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "app.models", *self.arguments, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    def run(self, *more: str, environment: dict[str, str] | None = None) -> tuple[int, dict[str, Any] | None, str]:
        """The same in this process, which saves a second of imports: exit status, the JSON line or None, standard error."""
        out, err = io.StringIO(), io.StringIO()
        handler = signal.getsignal(signal.SIGTERM)
        with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
            for name, value in (environment or {}).items():
                patch.setenv(name, value)
            try:
                status = main([*self.arguments, *more])
            except SystemExit as end:  # argparse
                status = int(end.code or 0)
            finally:
                signal.signal(signal.SIGTERM, handler)
        lines = out.getvalue().splitlines()
        assert len(lines) <= 1, lines
        return status, json.loads(lines[0]) if lines else None, err.getvalue()

    def entries(self) -> list[Path]:
        return [path for path in self.store.glob("*") if not path.name.startswith(".")]


@pytest.fixture(scope="session")
def tiny() -> type[Tiny]:
    return Tiny


@pytest.fixture(scope="session")
def reference() -> Any:
    """The class ``Reference`` of ``reference.py``, which is a program too."""
    spec = importlib.util.spec_from_file_location("reference", REFERENCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Reference


@pytest.fixture(scope="session")
def runner() -> type[Runner]:
    return Runner


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Tiny().write(tmp_path_factory.mktemp("gguf") / "Tiny-Q4_1.gguf")


@pytest.fixture
def command(tiny_gguf: Path, tmp_path: Path) -> Command:
    return Command(tiny_gguf, tmp_path / "store")


@pytest.fixture(scope="session")
def convert(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], dict[str, Path]]:
    """Write a GGUF file's graph in both precisions, and give the directories by precision."""
    from app.models import balance, onnx_file
    from app.models.gguf import GgufFile
    from app.models.graph import build
    from app.models.weights import Weights, read_architecture

    def write(path: Path) -> dict[str, Path]:
        directories = {precision: tmp_path_factory.mktemp(precision) for precision in ("fp32", "int8")}
        with GgufFile(path) as file:
            architecture = read_architecture(file)
            onnx_file.write(build(Weights(file, architecture), "fp32"), directories["fp32"])
            rms = balance.measure(directories["fp32"], architecture, [list(range(3, 200))])
            factors = {name: balance.factors(values) for name, values in rms.items()}
            weights = balance.BalancedWeights(file, architecture, factors)
            onnx_file.write(build(weights, "int8"), directories["int8"])
        return directories

    return write


@pytest.fixture(scope="session")
def architecture(tiny_gguf: Path) -> Architecture:
    from app.models.gguf import GgufFile
    from app.models.weights import read_architecture

    with GgufFile(tiny_gguf) as file:
        return read_architecture(file)


@pytest.fixture(scope="session")
def tiny_graphs(tiny_gguf: Path, convert: Callable[[Path], dict[str, Path]]) -> dict[str, Path]:
    return convert(tiny_gguf)
