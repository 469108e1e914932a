"""The weights of a llama model in a GGUF file: its shape, and each tensor by its role, ready for the graph.

Tensor names: https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py (TENSOR_NAMES, MODEL_ARCH.LLAMA).
Matrices are ``[out, in]``. Only names and shapes that the graph uses are accepted: a tensor more (a bias, an expert, a rope
factor) would change the answers and is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from app.models.errors import UnsupportedModelError
from app.models.gguf import GgufFile
from app.models.manifest import Architecture

FAMILY = "llama"
Float = NDArray[np.float32]


def read_architecture(file: GgufFile) -> Architecture:
    """Raises :class:`UnsupportedModelError` naming what this exporter cannot express."""
    family = file.require("general.architecture", str)
    if family != FAMILY:
        raise UnsupportedModelError(f"{file.path.name}: architecture {family!r}; {FAMILY!r} is what can be exported")
    scaling = file.metadata.get(f"{FAMILY}.rope.scaling.type", "none")
    if scaling != "none":
        raise UnsupportedModelError(
            f"{file.path.name}: rope scaling {scaling!r}; only unscaled rotary embeddings are supported"
        )
    hidden, heads = file.require(f"{FAMILY}.embedding_length", int), file.require(f"{FAMILY}.attention.head_count", int)
    kv_heads = file.metadata.get(f"{FAMILY}.attention.head_count_kv", heads)
    if not isinstance(kv_heads, int) or hidden <= 0 or heads <= 0 or kv_heads <= 0 or heads % kv_heads or hidden % heads:
        raise UnsupportedModelError(f"{file.path.name}: {heads} heads, {kv_heads} KV heads, hidden size {hidden} do not divide")
    head_size = file.metadata.get(f"{FAMILY}.attention.key_length", hidden // heads)
    rotary = file.metadata.get(f"{FAMILY}.rope.dimension_count", head_size)
    value_size = file.metadata.get(f"{FAMILY}.attention.value_length", head_size)
    # GroupQueryAttention on CPU wants a multiple of 8; a rotary part smaller than the head is another graph.
    if not isinstance(head_size, int) or head_size % 8 or not head_size == rotary == value_size:
        raise UnsupportedModelError(f"{file.path.name}: head size {head_size} with {rotary} rotary dimensions is not supported")
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise UnsupportedModelError(f"{file.path.name}: tensor 'token_embd.weight' is absent")
    shape = {
        "family": FAMILY,
        "layers": file.require(f"{FAMILY}.block_count", int),
        "hidden_size": hidden,
        "intermediate_size": file.require(f"{FAMILY}.feed_forward_length", int),
        "heads": heads,
        "kv_heads": kv_heads,
        "head_size": head_size,
        "vocab_size": embedding.shape[0],
        "context_length": file.require(f"{FAMILY}.context_length", int),
        "rope_theta": file.metadata.get(f"{FAMILY}.rope.freq_base", 10_000.0),
        "rms_norm_epsilon": file.require(f"{FAMILY}.attention.layer_norm_rms_epsilon", float),
    }
    try:
        architecture = Architecture.model_validate(shape)
    except ValidationError as error:
        mistakes = ", ".join(f"{detail['loc'][0]} {detail['input']}" for detail in error.errors())
        raise UnsupportedModelError(f"{file.path.name}: impossible figures: {mistakes}") from None
    if architecture.layers > len(file.tensors):  # a damaged figure must not make us list billions of names
        raise UnsupportedModelError(f"{file.path.name}: {architecture.layers} layers, but {len(file.tensors)} tensors")
    _check_tensors(file, architecture)
    return architecture


class Weights:
    """The tensors of one model by role. Each call reads and dequantises anew, so that only one is in memory at a time."""

    def __init__(self, file: GgufFile, architecture: Architecture) -> None:
        self._file, self.architecture = file, architecture
        self.tied = "output.weight" not in file.tensors

    def columns(self, layer_name: str) -> Float | None:
        """Factors by which the columns of a linear layer are to be multiplied, ``[in]``; None: by nothing."""
        return None

    def embedding(self) -> Float:
        """``[vocab, hidden]``"""
        return self._file.read("token_embd.weight")

    def output(self) -> Float:
        """The LM head, ``[vocab, hidden]``; the embedding itself where the two are tied."""
        return self._file.read("token_embd.weight" if self.tied else "output.weight")

    def output_norm(self) -> Float:
        return self._file.read("output_norm.weight")

    def attention_norm(self, layer: int) -> Float:
        return self._file.read(f"blk.{layer}.attn_norm.weight")

    def qkv(self, layer: int) -> Float:
        """Query, key and value one under the other: ``[(heads + 2 kv_heads) head_size, hidden]``."""
        shape = self.architecture
        return np.concatenate(
            [
                unpermute(self._file.read(f"blk.{layer}.attn_q.weight"), shape.heads),
                unpermute(self._file.read(f"blk.{layer}.attn_k.weight"), shape.kv_heads),
                self._file.read(f"blk.{layer}.attn_v.weight"),
            ]
        )

    def attention_output(self, layer: int) -> Float:
        return self._file.read(f"blk.{layer}.attn_output.weight")

    def mlp_norm(self, layer: int) -> Float:
        return self._file.read(f"blk.{layer}.ffn_norm.weight")

    def gate_up(self, layer: int) -> Float:
        """Gate and up projection one under the other: ``[2 intermediate, hidden]``."""
        return np.concatenate([self._file.read(f"blk.{layer}.ffn_{name}.weight") for name in ("gate", "up")])

    def down(self, layer: int) -> Float:
        return self._file.read(f"blk.{layer}.ffn_down.weight")


def unpermute(matrix: Float, heads: int) -> Float:
    """Undo llama.cpp's reordering of the rows of Q and K, ``[heads head_size, hidden]``.

    ``convert_hf_to_gguf.py`` (``LlamaModel.permute``) interleaves the two halves of each head because ggml rotates adjacent
    pairs; GroupQueryAttention rotates halves (``rotary_interleaved=0``), as the model was trained.
    """
    rows, columns = matrix.shape
    return matrix.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _check_tensors(file: GgufFile, architecture: Architecture) -> None:
    expected = _shapes(architecture)
    optional = {"output.weight": (architecture.vocab_size, architecture.hidden_size)}
    unknown = sorted(set(file.tensors) - set(expected) - set(optional))
    missing = sorted(set(expected) - set(file.tensors))
    wrong = [
        f"{name} is {list(file.tensors[name].shape)}, expected {list(shape)}"
        for name, shape in {**expected, **optional}.items()
        if name in file.tensors and file.tensors[name].shape != shape
    ]
    for what, names in (("tensors that the graph has no place for", unknown), ("missing tensors", missing), ("shapes", wrong)):
        if names:
            raise UnsupportedModelError(f"{file.path.name}: {what}: {_some(names)}")


def _shapes(a: Architecture) -> Mapping[str, tuple[int, ...]]:
    query, key = a.heads * a.head_size, a.kv_heads * a.head_size
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (a.vocab_size, a.hidden_size),
        "output_norm.weight": (a.hidden_size,),
    }
    for layer in range(a.layers):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (a.hidden_size,),
            f"blk.{layer}.attn_q.weight": (query, a.hidden_size),
            f"blk.{layer}.attn_k.weight": (key, a.hidden_size),
            f"blk.{layer}.attn_v.weight": (key, a.hidden_size),
            f"blk.{layer}.attn_output.weight": (a.hidden_size, query),
            f"blk.{layer}.ffn_norm.weight": (a.hidden_size,),
            f"blk.{layer}.ffn_gate.weight": (a.intermediate_size, a.hidden_size),
            f"blk.{layer}.ffn_up.weight": (a.intermediate_size, a.hidden_size),
            f"blk.{layer}.ffn_down.weight": (a.hidden_size, a.intermediate_size),
        }
    return shapes


def _some(names: list[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
