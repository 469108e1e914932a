"""An independent implementation to hold the exported graph against: llama in NumPy.

As a program it reads a JSON list of ``[ids, last]`` from standard input and writes the logits of the ``last`` positions:
``python reference.py model.gguf logits.npz < requests.json``. A process of its own can be told to compute with one thread;
OpenBLAS's threads spin, and on a busy machine they take seven times as long as one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np


class Reference:
    """llama in NumPy, from its definition: whole sequences, no cache, adjacent pairs rotated as ggml does.

    It shares no code with the program: the file is read by ``gguf.GGUFReader``, Q and K stay as llama.cpp permuted them.
    """

    def __init__(self, path: Path) -> None:
        reader = gguf.GGUFReader(path)

        def number(key: str) -> float:
            return reader.fields[f"llama.{key}"].contents()

        self.layers, self.heads = int(number("block_count")), int(number("attention.head_count"))
        self.kv_heads, self.theta = int(number("attention.head_count_kv")), number("rope.freq_base")
        self.epsilon = number("attention.layer_norm_rms_epsilon")
        self.tensors = {
            t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32).reshape(t.shape[::-1].tolist())
            for t in reader.tensors
        }

    def __call__(self, ids: Sequence[int], last: int | None = None) -> np.ndarray:
        """Logits ``[sequence, vocab]``, or of the ``last`` positions alone."""
        weights, length = self.tensors, len(ids)
        x = weights["token_embd.weight"][np.asarray(ids)]
        head_size = len(weights["blk.0.attn_q.weight"]) // self.heads
        angles = np.outer(np.arange(length), self.theta ** (-np.arange(0, head_size, 2) / head_size))
        future = np.triu(np.full((length, length), -np.inf, np.float32), 1)
        for layer in range(self.layers):
            w = {
                name: weights[f"blk.{layer}.{name}.weight"]
                for name in ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output")
            }
            h = self.norm(x, w["attn_norm"])
            q = self.rotate((h @ w["attn_q"].T).reshape(length, self.heads, head_size), angles)
            k = self.rotate((h @ w["attn_k"].T).reshape(length, self.kv_heads, head_size), angles)
            v = (h @ w["attn_v"].T).reshape(length, self.kv_heads, head_size)
            mixed = np.empty_like(q)
            for head in range(self.heads):
                shared = head // (self.heads // self.kv_heads)
                scores = q[:, head] @ k[:, shared].T / np.sqrt(head_size) + future
                share = np.exp(scores - scores.max(axis=1, keepdims=True))
                mixed[:, head] = (share / share.sum(axis=1, keepdims=True)) @ v[:, shared]
            x = x + mixed.reshape(length, -1) @ w["attn_output"].T
            h = self.norm(x, weights[f"blk.{layer}.ffn_norm.weight"])
            gate = h @ weights[f"blk.{layer}.ffn_gate.weight"].T
            up = h @ weights[f"blk.{layer}.ffn_up.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ weights[f"blk.{layer}.ffn_down.weight"].T
        output = weights.get("output.weight", weights["token_embd.weight"])
        return self.norm(x[-last:] if last else x, weights["output_norm.weight"]) @ output.T

    def norm(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.epsilon) * weight

    @staticmethod
    def rotate(x: np.ndarray, angles: np.ndarray) -> np.ndarray:
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        even, odd = x[..., 0::2], x[..., 1::2]
        out = np.empty(x.shape, np.float32)
        out[..., 0::2], out[..., 1::2] = even * cos - odd * sin, even * sin + odd * cos
        return out


if __name__ == "__main__":
    model = Reference(Path(sys.argv[1]))
    np.savez(sys.argv[2], *[model(ids, last) for ids, last in json.load(sys.stdin)])
