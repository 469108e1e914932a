"""A tiny model, made by the real exporter from random weights, and the service as a real process."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from app.models import graph, manifest, onnx_file
from app.models.weights import Weights

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CONTEXT = 16384


class RandomWeights:
    """Stands for app.models.weights.Weights: random matrices of the right shapes."""

    tied = False

    def __init__(self, architecture: manifest.Architecture, seed: int = 3) -> None:
        self.architecture = architecture
        self._random = np.random.default_rng(seed)
        self._made: dict[object, NDArray[np.float32]] = {}

    def _matrix(self, key: object, rows: int, columns: int, scale: float = 1.0) -> NDArray[np.float32]:
        if key not in self._made:
            values = self._random.normal(0, scale / columns**0.5, (rows, columns)).astype(np.float32)
            self._made[key] = values
        return self._made[key]

    def embedding(self) -> NDArray[np.float32]:
        return self._matrix("embedding", self.architecture.vocab_size, self.architecture.hidden_size, scale=8)

    def output(self) -> NDArray[np.float32]:
        values = self._matrix("output", self.architecture.vocab_size, self.architecture.hidden_size, scale=4)
        values[: len(SPECIAL)] = 0  # greedy decoding never ends by itself: the largest of 300 others is above 0
        return values

    def output_norm(self) -> NDArray[np.float32]:
        return np.ones(self.architecture.hidden_size, np.float32)

    def attention_norm(self, layer: int) -> NDArray[np.float32]:
        return self.output_norm()

    def mlp_norm(self, layer: int) -> NDArray[np.float32]:
        return self.output_norm()

    def qkv(self, layer: int) -> NDArray[np.float32]:
        a = self.architecture
        return self._matrix(("qkv", layer), (a.heads + 2 * a.kv_heads) * a.head_size, a.hidden_size, scale=2)

    def attention_output(self, layer: int) -> NDArray[np.float32]:
        a = self.architecture
        return self._matrix(("attention_output", layer), a.hidden_size, a.heads * a.head_size, scale=2)

    def gate_up(self, layer: int) -> NDArray[np.float32]:
        return self._matrix(("gate_up", layer), 2 * self.architecture.intermediate_size, self.architecture.hidden_size)

    def down(self, layer: int) -> NDArray[np.float32]:
        return self._matrix(("down", layer), self.architecture.hidden_size, self.architecture.intermediate_size)


def write_tokenizer(path: Path) -> int:
    """256 bytes and three special tokens; returns the size of the vocabulary."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *alphabet])}
    tokenizer = Tokenizer(BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.save(str(path))
    return len(vocabulary)


def write_model(directory: Path, precision: manifest.Precision, end_ids: list[int] | None = None) -> Path:
    """A model directory as the exporter writes it: graph, weights, tokenizer, manifest with true digests."""
    directory.mkdir(parents=True)
    vocabulary = write_tokenizer(directory / "tokenizer.json")
    architecture = manifest.Architecture(
        family="llama",
        layers=2,
        hidden_size=64,
        intermediate_size=128,
        heads=4,
        kv_heads=2,
        head_size=16,
        vocab_size=vocabulary,
        context_length=CONTEXT,
        rope_theta=10_000.0,
        rms_norm_epsilon=1e-5,
    )
    weights = cast(Weights, RandomWeights(architecture))
    files = onnx_file.write(graph.build(weights, precision), directory)
    tokenizer_path = directory / "tokenizer.json"
    files["tokenizer.json"] = manifest.FileRecord(sha256=manifest.sha256_of(tokenizer_path), size=tokenizer_path.stat().st_size)
    tokenizer = manifest.TokenizerRecord(bos=1, eos_ids=end_ids or [0, 2], add_bos=False, chat_template=TEMPLATE)
    source = manifest.SourceRecord(uri="file:random", sha256="0" * 64, licence="none")
    thresholds = manifest.Thresholds(max_kl=1, min_top1=0)
    made = manifest.Manifest(
        name="tiny-random",
        digest=manifest.content_digest(source.sha256, architecture, precision, files, tokenizer),
        source=source,
        architecture=architecture,
        precision=precision,
        files=files,
        tokenizer=tokenizer,
        gate=manifest.Gate(kl=0, top1=1, perplexity_fp32=1, perplexity=1, tokens=1, thresholds=thresholds),
        versions={},
        sizes=manifest.Sizes(parameters=1, bytes=1),
    )
    (directory / manifest.FILE_NAME).write_text(manifest.dump(made), encoding="utf-8")
    return directory
