"""The ONNX graph of a llama model: nodes, and initialisers by name and shape whose values are still to be read.

Inputs: ``input_ids`` int64 ``[batch, sequence]``; ``positions`` int64 ``[n]``, indices along the sequence whose logits are
wanted (only those rows reach the LM head, a fifth of the weights); ``seqlens_k`` int32 ``[batch]``, tokens in the cache after
this step minus one; ``total_sequence_length`` int32 ``[]``, the largest of them plus one; ``past_key_i`` and ``past_value_i``
float32 ``[batch, kv_heads, capacity, head_size]``.
Outputs: ``logits`` float32 ``[batch, n, vocab]``; ``present_key_i`` and ``present_value_i``, to be bound to the same buffers.

Operators of ``com.microsoft``: GroupQueryAttention (packed QKV, rotary embedding inside), SkipSimplifiedLayerNormalization
(residual and RMSNorm in one), MatMulNBits and GatherBlockQuantized (INT8).
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from app.models.errors import UnsupportedModelError
from app.models.manifest import Architecture, Precision
from app.models.quantise import BLOCK_SIZE, Quantised, quantise
from app.models.weights import Weights

MICROSOFT = "com.microsoft"
FLOAT, UINT8 = np.dtype(np.float32), np.dtype(np.uint8)
OPSET = 21
IR_VERSION = 10
# int8 activations for the product: the only fast path of MatMulNBits on CPU; 0 is 20 times slower.
ACCURACY_LEVEL = 4

Float = NDArray[np.float32]
Values = NDArray[np.float32] | NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Initializer:
    """A constant of the graph. Two with the same ``storage`` share their bytes in the file."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    values: Callable[[], Values]
    storage: str


@dataclass(frozen=True, kw_only=True)
class Graph:
    inputs: tuple[onnx.ValueInfoProto, ...]
    outputs: tuple[onnx.ValueInfoProto, ...]
    nodes: tuple[onnx.NodeProto, ...]
    initializers: tuple[Initializer, ...]


def build(weights: Weights, precision: Precision) -> Graph:
    """The whole graph; reads no tensor yet. Raises :class:`UnsupportedModelError` for rows that INT8 blocks do not divide."""
    a = weights.architecture
    widths = {"hidden size": a.hidden_size, "attention width": a.heads * a.head_size, "MLP width": a.intermediate_size}
    uneven = [f"{name} {width}" for name, width in widths.items() if width % BLOCK_SIZE]
    if precision == "int8" and uneven:
        raise UnsupportedModelError(
            f"INT8 works in blocks of {BLOCK_SIZE}: {', '.join(uneven)} is no multiple; use --precision fp32"
        )
    return _Builder(weights, precision).build()


class _Builder:
    def __init__(self, weights: Weights, precision: Precision) -> None:
        self.weights, self.architecture, self.precision = weights, weights.architecture, precision
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, Initializer] = {}

    def build(self) -> Graph:
        a = self.architecture
        self.constant("cos", (a.context_length, a.head_size // 2), partial(rotary, a, np.cos))
        self.constant("sin", (a.context_length, a.head_size // 2), partial(rotary, a, np.sin))
        hidden = self.embed("input_ids")
        residual = hidden
        normed = self.node(
            "SimplifiedLayerNormalization",
            [hidden, self.norm("layers.0.attention_norm", partial(self.weights.attention_norm, 0))],
            domain="",
            axis=-1,
            epsilon=a.rms_norm_epsilon,
            stash_type=1,
        )
        for layer in range(a.layers):
            attended = self.attention(layer, normed)
            normed, residual = self.add_and_norm(
                attended, residual, f"layers.{layer}.mlp_norm", partial(self.weights.mlp_norm, layer)
            )
            projected = self.mlp(layer, normed)
            if layer + 1 < a.layers:
                name = f"layers.{layer + 1}.attention_norm"
                gamma: Callable[[], Float] = partial(self.weights.attention_norm, layer + 1)
            else:
                name, gamma = "output_norm", self.weights.output_norm
            normed, residual = self.add_and_norm(projected, residual, name, gamma)
        wanted = self.node("Gather", [normed, "positions"], domain="", axis=1)
        self.lm_head(wanted, "logits")
        return Graph(
            inputs=_inputs(a), outputs=_outputs(a), nodes=tuple(self.nodes), initializers=tuple(self.initializers.values())
        )

    def attention(self, layer: int, normed: str) -> str:
        a = self.architecture
        rows = (a.heads + 2 * a.kv_heads) * a.head_size
        qkv = self.linear(f"layers.{layer}.qkv", normed, (rows, a.hidden_size), partial(self.weights.qkv, layer))
        attended = f"layers.{layer}.attended"
        self.node(
            "GroupQueryAttention",
            [qkv, "", "", f"past_key_{layer}", f"past_value_{layer}", "seqlens_k", "total_sequence_length", "cos", "sin"],
            outputs=[attended, f"present_key_{layer}", f"present_value_{layer}"],
            num_heads=a.heads,
            kv_num_heads=a.kv_heads,
            do_rotary=1,
            rotary_interleaved=0,
        )
        shape = (a.hidden_size, a.heads * a.head_size)
        return self.linear(f"layers.{layer}.attention_output", attended, shape, partial(self.weights.attention_output, layer))

    def mlp(self, layer: int, normed: str) -> str:
        a = self.architecture
        shape = (2 * a.intermediate_size, a.hidden_size)
        both = self.linear(f"layers.{layer}.gate_up", normed, shape, partial(self.weights.gate_up, layer))
        gate, up = f"{both}.gate", f"{both}.up"
        self.node("Split", [both], outputs=[gate, up], domain="", axis=-1, num_outputs=2)
        silu = self.node("QuickGelu", [gate], alpha=1.0)  # x * sigmoid(x)
        gated = self.node("Mul", [silu, up], domain="")
        return self.linear(
            f"layers.{layer}.down", gated, (a.hidden_size, a.intermediate_size), partial(self.weights.down, layer)
        )

    def add_and_norm(self, update: str, residual: str, name: str, gamma: Callable[[], Values]) -> tuple[str, str]:
        """RMSNorm of the sum, and the sum itself for the next residual connection."""
        normed, total = f"{name}.normed", f"{name}.residual"
        self.node(
            "SkipSimplifiedLayerNormalization",
            [update, residual, self.norm(name, gamma)],
            outputs=[normed, "", "", total],
            epsilon=self.architecture.rms_norm_epsilon,
        )
        return normed, total

    def norm(self, name: str, gamma: Callable[[], Values]) -> str:
        return self.constant(f"{name}.weight", (self.architecture.hidden_size,), gamma)

    def embed(self, ids: str) -> str:
        shape = (self.architecture.vocab_size, self.architecture.hidden_size)
        if self.precision == "fp32":
            return self.node(
                "Gather", [self.constant("embedding.weight", shape, self.weights.embedding), ids], domain="", axis=0
            )
        codes, scales = self.quantised("embedding", shape, self.weights.embedding, code_shape=shape)
        return self.node(
            "GatherBlockQuantized", [codes, ids, scales], bits=8, block_size=BLOCK_SIZE, gather_axis=0, quantize_axis=1
        )

    def lm_head(self, hidden: str, output: str) -> None:
        shape = (self.architecture.vocab_size, self.architecture.hidden_size)
        storage = "embedding" if self.weights.tied else "lm_head"
        self.linear("lm_head", hidden, shape, self.weights.output, output=output, storage=storage)

    def linear(
        self,
        name: str,
        x: str,
        shape: tuple[int, int],
        matrix: Callable[[], Float],
        output: str | None = None,
        storage: str | None = None,
    ) -> str:
        """``x @ matrix.T`` for a matrix ``[out, in]``."""
        outputs, storage = [output or f"{name}.out"], storage or name
        if self.precision == "fp32":
            weight = self.constant(f"{name}.weight", shape, matrix, storage=f"{storage}.weight")
            return self.node("FusedMatMul", [x, weight], outputs=outputs, transB=1)
        rows, columns = shape
        code_shape = (rows, columns // BLOCK_SIZE, BLOCK_SIZE)
        codes, scales = self.quantised(name, shape, matrix, code_shape=code_shape, storage=storage)
        return self.node(
            "MatMulNBits",
            [x, codes, scales],
            outputs=outputs,
            N=rows,
            K=columns,
            bits=8,
            block_size=BLOCK_SIZE,
            accuracy_level=ACCURACY_LEVEL,
        )

    def quantised(
        self,
        name: str,
        shape: tuple[int, int],
        matrix: Callable[[], Float],
        code_shape: tuple[int, ...],
        storage: str | None = None,
    ) -> tuple[str, str]:
        rows, columns = shape
        storage = storage or name
        pair = _once_for_two(lambda: quantise(matrix(), self.weights.columns(name)))
        codes = self._add(f"{name}.codes", UINT8, code_shape, lambda: pair()[0], f"{storage}.codes")
        scale_shape = (rows, columns // BLOCK_SIZE)
        scales = self._add(f"{name}.scales", FLOAT, scale_shape, lambda: pair()[1], f"{storage}.scales")
        return codes, scales

    def constant(self, name: str, shape: tuple[int, ...], values: Callable[[], Values], storage: str | None = None) -> str:
        return self._add(name, FLOAT, shape, values, storage or name)

    def _add(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], values: Callable[[], Values], storage: str) -> str:
        self.initializers[name] = Initializer(name=name, dtype=dtype, shape=shape, values=values, storage=storage)
        return name

    def node(
        self, operator: str, inputs: list[str], outputs: list[str] | None = None, domain: str = MICROSOFT, **attributes: Any
    ) -> str:
        """Append a node and name its first output."""
        name = f"{operator}_{len(self.nodes)}"
        outputs = outputs or [f"{name}.out"]
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=name, domain=domain, **attributes))
        return outputs[0]


def _once_for_two(make: Callable[[], Quantised]) -> Callable[[], Quantised]:
    """Quantise once for the two initialisers that follow one another in the file, and keep nothing after the second."""
    kept: list[Quantised] = []

    def pair() -> Quantised:
        if kept:
            return kept.pop()
        kept.append(make())
        return kept[0]

    return pair


def rotary(architecture: Architecture, function: np.ufunc) -> NDArray[np.float32]:
    """cos or sin of position times inverse frequency, ``[context_length, head_size / 2]``; computed in double precision."""
    exponents = np.arange(0, architecture.head_size, 2, dtype=np.float64) / architecture.head_size
    angles = np.outer(np.arange(architecture.context_length), architecture.rope_theta**-exponents)
    result: NDArray[np.float32] = function(angles).astype(np.float32)
    return result


def _inputs(a: Architecture) -> tuple[onnx.ValueInfoProto, ...]:
    return (
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"]),
        helper.make_tensor_value_info("positions", TensorProto.INT64, ["n"]),
        helper.make_tensor_value_info("seqlens_k", TensorProto.INT32, ["batch"]),
        helper.make_tensor_value_info("total_sequence_length", TensorProto.INT32, []),
        *_cache(a, "past"),
    )


def _outputs(a: Architecture) -> tuple[onnx.ValueInfoProto, ...]:
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "n", a.vocab_size])
    return (logits, *_cache(a, "present"))


def _cache(a: Architecture, when: str) -> list[onnx.ValueInfoProto]:
    shape: list[str | int | None] = ["batch", a.kv_heads, "capacity", a.head_size]
    return [
        helper.make_tensor_value_info(f"{when}_{what}_{layer}", TensorProto.FLOAT, shape)
        for layer in range(a.layers)
        for what in ("key", "value")
    ]
