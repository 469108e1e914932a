"""The default model: the exported FP32 graph against two independent implementations, INT8 against FP32, the tokenizer.

The oracles are NumPy (``reference.py``) and llama.cpp, whose tokens stand in ``llama_cpp.json`` with their provenance.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from app.models import default, evaluate, onnx_file
from app.models.errors import SourceError
from app.models.fetch import fetch
from app.models.gguf import GgufFile
from app.models.graph import build
from app.models.manifest import Architecture, verify
from app.models.recipe import DEFAULT_THRESHOLDS, Recipe
from app.models.sources import parse
from app.models.store import Store, default_root
from app.models.tokenizer import rebuild
from app.models.weights import Weights, read_architecture

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

RECORDED = json.loads((Path(__file__).parent / "llama_cpp.json").read_text(encoding="utf-8"))
CONTINUATIONS: list[dict[str, Any]] = RECORDED["continuations"]


@dataclass
class Default:
    gguf: Path
    fp32: Path
    architecture: Architecture
    tokenizer: Tokenizer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Default]:
    """The GGUF file and its FP32 graph, 0.6 GB that are removed at the end."""
    folder = tmp_path_factory.mktemp("default")
    try:
        path = fetch(parse(default.SOURCE, default.SHA256), folder, lambda share: None)
    except SourceError as error:
        pytest.skip(f"the default model cannot be fetched: {error}")
    with GgufFile(path) as file:
        architecture, (tokenizer, _) = read_architecture(file), rebuild(file)
        onnx_file.write(build(Weights(file, architecture), "fp32"), folder)
    yield Default(path, folder, architecture, tokenizer)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def fp32_logits(model: Default, runner: Any) -> list[np.ndarray]:
    """For each recorded continuation the logits at the places of its tokens, ``[tokens, vocab]``.

    Where the most likely token of each place is the recorded one, greedy decoding gives the continuation.
    """
    run = runner(model.fp32, model.architecture)
    logits = []
    for entry in CONTINUATIONS:
        ids = forced(entry)
        logits.append(run.step([ids], [0], range(len(ids) - len(entry["ids"]), len(ids)))[0])
    return logits


def forced(entry: dict[str, Any]) -> list[int]:
    """The prompt and the continuation but for its last token, which is only foretold."""
    ids: list[int] = entry["prompt_ids"] + entry["ids"][:-1]
    return ids


def test_the_record_is_of_this_model() -> None:
    assert RECORDED["provenance"]["gguf_sha256"] == default.SHA256
    assert len(CONTINUATIONS) == 8


def test_fp32_decodes_what_llama_cpp_decodes(fp32_logits: list[np.ndarray]) -> None:
    for logits, entry in zip(fp32_logits, CONTINUATIONS, strict=True):
        assert logits.argmax(axis=1).tolist() == entry["ids"], entry["prompt"]


def test_fp32_decodes_what_the_numpy_reference_decodes(model: Default, fp32_logits: list[np.ndarray]) -> None:
    program, result = Path(__file__).parent / "reference.py", model.fp32 / "logits.npz"
    requests = json.dumps([[forced(entry), len(entry["ids"])] for entry in CONTINUATIONS])
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, program, model.gguf, result], input=requests, text=True, check=True, env=environment)
    with np.load(result) as expected:
        for index, (logits, entry) in enumerate(zip(fp32_logits, CONTINUATIONS, strict=True)):
            own = expected[f"arr_{index}"]
            assert logits.argmax(axis=1).tolist() == own.argmax(axis=1).tolist(), entry["prompt"]
            np.testing.assert_allclose(logits, own, atol=2e-3)


def test_the_tokenizer_equals_that_of_llama_cpp(model: Default) -> None:
    texts = RECORDED["texts"] + [{"text": entry["prompt"], "ids": entry["prompt_ids"]} for entry in CONTINUATIONS]
    assert len(texts) > 60
    for entry in texts:
        assert model.tokenizer.encode(entry["text"], add_special_tokens=False).ids == entry["ids"], repr(entry["text"])


def test_int8_keeps_the_gates_figures(model: Default) -> None:
    """Measured again on a part of the text, as the whole takes half a minute; the manifest has the figures of the whole."""
    found = Store(default_root(os.environ)).find(Recipe(source=parse(default.SOURCE, None)).key)
    if found is None:
        pytest.skip("the default model is not converted: run `python -m app.models`")
    directory, manifest = found
    verify(directory)
    assert manifest.gate.kl <= DEFAULT_THRESHOLDS.max_kl
    assert manifest.gate.top1 >= DEFAULT_THRESHOLDS.min_top1
    assert manifest.gate.tokens > 2500
    texts = evaluate.documents(model.tokenizer, 256)[:3]
    gate = evaluate.evaluate(model.fp32, directory, model.architecture, texts, lambda share: None).gate(DEFAULT_THRESHOLDS)
    assert gate.kl <= 0.5 * DEFAULT_THRESHOLDS.max_kl
    assert gate.top1 >= 0.96  # of 700 tokens: one standard deviation is 0.6 %
