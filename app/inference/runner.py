"""Runs the ONNX graph: one chunk of a prompt in one row, or one token for each of the first rows.

Inputs and outputs are bound once for each batch shape (IO binding over the KV cache's own memory); a step writes a few
integers into bound arrays and runs. The graph's contract is in ``app/models/graph.py``.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.inference.cache import KVCache
from app.inference.errors import StartError
from app.models.manifest import Architecture
from app.models.onnx_runtime import onnxruntime

# How long an idle worker thread spins before it sleeps. Between two operators of a step it is needed again within this time, so
# spinning longer gains nothing (never spinning costs 10 to 28 %); where other processes want the cores, the default of
# spinning on takes them away from the very thread that is waited for: 50 to 70 % more tokens/s with 20 at a load of 4 a core.
SPIN_MICROSECONDS = 50
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Runner:
    """Not thread-safe: the engine's thread owns it."""

    def __init__(self, session: onnxruntime.InferenceSession, architecture: Architecture, cache: KVCache) -> None:
        self.cache = cache
        self._session = session
        self._architecture = architecture
        self._decode: dict[int, _Binding] = {}  # by number of rows
        self._prefill: dict[int, _Binding] = {}  # by row

    def prefill(self, row: int, tokens: SequenceOf[int], start: int) -> NDArray[np.float32]:
        """Compute ``tokens`` at positions ``start …`` in cache row ``row``; returns the last one's logits ``[vocab]``."""
        binding = self._prefill.get(row)
        if binding is None:
            binding = self._prefill[row] = _Binding(self._session, self._architecture, self.cache, row, 1)
        ids = np.asarray(tokens, dtype=np.int64).reshape(1, -1)
        logits: NDArray[np.float32] = binding.run(ids, np.array([start + ids.shape[1]], dtype=np.int32))[0]
        return logits

    def decode(self, tokens: SequenceOf[int], lengths: SequenceOf[int]) -> NDArray[np.float32]:
        """One token for each of the first rows; ``lengths[i]`` tokens are in row ``i``. Returns logits ``[rows, vocab]``,
        valid until the next call."""
        rows = len(tokens)
        binding = self._decode.get(rows)
        if binding is None:
            binding = self._decode[rows] = _Binding(self._session, self._architecture, self.cache, 0, rows)
        ids = np.asarray(tokens, dtype=np.int64).reshape(rows, 1)
        return binding.run(ids, np.asarray(lengths, dtype=np.int32) + np.int32(1))


class _Binding:
    """The graph bound to cache rows ``first … first + rows - 1``."""

    def __init__(
        self, session: onnxruntime.InferenceSession, architecture: Architecture, cache: KVCache, first: int, rows: int
    ) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._seqlens = np.zeros(rows, dtype=np.int32)
        self._total = np.zeros((), dtype=np.int32)
        self._positions = np.zeros(1, dtype=np.int64)
        self._logits = np.zeros((rows, 1, architecture.vocab_size), dtype=np.float32)
        for name, array in (
            ("seqlens_k", self._seqlens),
            ("total_sequence_length", self._total),
            ("positions", self._positions),
        ):
            self._binding.bind_cpu_input(name, array)
        self._bind_output("logits", self._logits)
        for index, tensor in enumerate(cache.tensors):
            layer, what = index // 2, ("key", "value")[index % 2]
            view = tensor[first : first + rows]
            self._binding.bind_input(f"past_{what}_{layer}", "cpu", 0, np.float32, view.shape, view.ctypes.data)
            self._bind_output(f"present_{what}_{layer}", view)

    def run(self, ids: NDArray[np.int64], totals: NDArray[np.int32]) -> NDArray[np.float32]:
        """``ids`` ``[rows, sequence]``; ``totals`` ``[rows]``, tokens in each row after the step."""
        self._seqlens[:] = totals - 1
        self._total[()] = totals.max()
        self._positions[0] = ids.shape[1] - 1
        self._binding.bind_cpu_input("input_ids", ids)
        self._session.run_with_iobinding(self._binding)
        return self._logits[:, 0]

    def _bind_output(self, name: str, array: NDArray[np.float32]) -> None:
        self._binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)


def open_session(model: Path, device: Literal["cpu", "cuda"], threads: int | None) -> onnxruntime.InferenceSession:
    """Load ``model`` on ``device``. Raises :class:`StartError`: ONNX Runtime itself would fall back to the CPU in silence."""
    provider = PROVIDERS[device]
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise StartError(
            f"INFERENCE_DEVICE={device}: this ONNX Runtime has no {provider} (it has {', '.join(available)}); "
            "install the extra `gpu` or set INFERENCE_DEVICE=cpu"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: one a core
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_MICROSECONDS))
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=[provider])
    except Exception as error:  # ONNX Runtime raises types of its own, one for each status
        reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise StartError(f"{model} cannot be loaded: {reason}. Convert the model again (`python -m app.models`)") from None
    if session.get_providers()[0] != provider:
        raise StartError(
            f"INFERENCE_DEVICE={device}: {provider} could not start, ONNX Runtime offers {', '.join(session.get_providers())}; "
            "check the driver and the CUDA and cuDNN libraries, or set INFERENCE_DEVICE=cpu"
        )
    cache = next((entry.type for entry in session.get_inputs() if entry.name == "past_key_0"), None)
    if cache is None:
        raise StartError(f"{model} is not a graph of this exporter: it has no input past_key_0. Convert the model again")
    if device == "cuda" and cache != "tensor(float16)":
        raise StartError(
            "INFERENCE_DEVICE=cuda: GroupQueryAttention runs on CUDA in fp16 only and this graph is "
            f"{cache}, made for the CPU; set INFERENCE_DEVICE=cpu"
        )
    return session
