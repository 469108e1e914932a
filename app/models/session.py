"""Reading a text with a model, position by position: what calibration and the gate need of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.models.manifest import Architecture
from app.models.onnx_runtime import onnxruntime

CHUNK = 128  # tokens a step: bounds the logits in memory to 128 * vocab * 4 bytes

Float = NDArray[np.float32]


class Session:
    """A model with a KV cache for one sequence of up to ``capacity`` tokens."""

    def __init__(self, model: Path, architecture: Architecture, capacity: int) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # A conversion shares the machine with builds and downloads: threads that spin for long would be in each other's way.
        options.add_session_config_entry("session.intra_op.spin_duration_us", "50")
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        shape = (1, architecture.kv_heads, capacity, architecture.head_size)
        self._cache = [
            (f"{what}_{layer}", onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32)))
            for layer in range(architecture.layers)
            for what in ("key", "value")
        ]

    def logits(self, ids: Sequence[int]) -> Iterator[Float]:
        """Logits ``[up to CHUNK, vocab]`` of every position of one text, from an empty cache, chunk by chunk."""
        return (values for (values,) in self.observe(ids, ["logits"]))

    def observe(self, ids: Sequence[int], outputs: Sequence[str]) -> Iterator[list[Float]]:
        """The named outputs, ``[up to CHUNK, channels]`` each, chunk by chunk."""
        for start in range(0, len(ids), CHUNK):
            chunk = np.asarray([ids[start : start + CHUNK]], np.int64)
            end = start + chunk.shape[1]
            binding = self._session.io_binding()
            binding.bind_cpu_input("input_ids", chunk)
            binding.bind_cpu_input("positions", np.arange(chunk.shape[1], dtype=np.int64))
            binding.bind_cpu_input("seqlens_k", np.asarray([end - 1], np.int32))
            binding.bind_cpu_input("total_sequence_length", np.asarray(end, np.int32))
            for name in outputs:  # before the cache, since get_outputs() has the order of binding
                binding.bind_output(name)
            for name, value in self._cache:
                binding.bind_ortvalue_input(f"past_{name}", value)
                binding.bind_ortvalue_output(f"present_{name}", value)
            self._session.run_with_iobinding(binding)
            yield [value.numpy()[0] for value in binding.get_outputs()[: len(outputs)]]
