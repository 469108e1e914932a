"""From a source to a published model directory: fetch, export FP32, quantise, evaluate, publish.

Everything happens in a scratch directory of the store and one tensor at a time; only the evaluation holds whole models in
memory. Published is a complete, admitted directory, by one rename, or nothing.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import gguf as gguf_package
import numpy as np
import onnx
import tokenizers

from app.models import balance, evaluate, manifest, onnx_file, tokenizer
from app.models.errors import StoreError
from app.models.fetch import fetch
from app.models.gguf import GgufFile
from app.models.graph import Graph, build
from app.models.manifest import Architecture, FileRecord, Gate, Manifest, Precision, Sizes, SourceRecord, TokenizerRecord
from app.models.onnx_runtime import onnxruntime
from app.models.recipe import CONVERTER, Recipe, admit
from app.models.store import Store
from app.models.weights import Weights, read_architecture

TOKENIZER = "tokenizer.json"
# Where each stage begins, as a share of the whole; measured with the default model.
STAGES = {"fetch": 0.0, "export": 0.2, "quantise": 0.3, "evaluate": 0.4, "publish": 0.98}
DOCUMENT_TOKENS = 512

Report = Callable[[float, str], None]


def convert(recipe: Recipe, store: Store, report: Report) -> tuple[Path, Manifest, bool]:
    """The model directory for ``recipe``, its manifest, and whether it was made here and not by another process meanwhile.

    ``report(share, what)`` is called as the work goes on, ``share`` from 0 to 1. Raises :class:`app.models.errors.ModelError`.
    """
    with store.converting(recipe.key, waiting=lambda: report(0.0, "wait for another conversion of this model")) as work:
        if found := store.find(recipe.key, sizes_only=False):  # made while this process waited
            admit(found[1].gate, recipe.thresholds)
            return *found, False
        result = work / "model"
        result.mkdir()
        record = _convert(recipe, work, result, store.partial(recipe.key), report)
        report(STAGES["publish"], "publish")
        (result / manifest.FILE_NAME).write_text(manifest.dump(record), encoding="utf-8")
        path = store.publish(recipe.key, result, record.digest)
        report(1.0, f"done: {path}")
        return path, record, True


def _convert(recipe: Recipe, work: Path, result: Path, partial: Path, report: Report) -> Manifest:
    source, what = recipe.source, f"fetch {recipe.source.uri.partition('?')[0]}"
    path = fetch(source, work, lambda share: report(_share("fetch", share), what), partial)
    with GgufFile(path) as file:
        architecture = read_architecture(file)
        vocabulary, tokenizer_record = tokenizer.rebuild(file)
        weights = Weights(file, architecture)
        graph = build(weights, "fp32")
        _check_space(work, onnx_file.size(graph), recipe.precision)
        vocabulary.save(str(result / TOKENIZER))
        reference = result if recipe.precision == "fp32" else work / "reference"
        reference.mkdir(exist_ok=True)
        files = onnx_file.write(graph, reference, lambda share: report(_share("export", share), "export FP32 to ONNX"))
        limit = min(DOCUMENT_TOKENS, architecture.context_length)
        if recipe.precision == "int8":
            report(_share("quantise", 0), "calibrate")
            rms = balance.measure(reference, architecture, evaluate.documents(vocabulary, limit, "calibration.txt"))
            factors = {name: balance.factors(values) for name, values in rms.items()}
            quantised = build(balance.BalancedWeights(file, architecture, factors), "int8")
            files = onnx_file.write(quantised, result, lambda share: report(_share("quantise", share), "quantise to INT8"))
        licence = str(file.metadata.get("general.license", "unknown"))
    if source.scheme != "file":
        path.unlink()
    texts = evaluate.documents(vocabulary, limit)
    tally = evaluate.evaluate(
        reference, result, architecture, texts, lambda share: report(_share("evaluate", share), "evaluate against FP32")
    )
    gate = tally.gate(recipe.thresholds)
    admit(gate, recipe.thresholds)
    if reference != result:
        shutil.rmtree(reference)
    files[TOKENIZER] = FileRecord(sha256=manifest.sha256_of(result / TOKENIZER), size=(result / TOKENIZER).stat().st_size)
    return _manifest(recipe, architecture, files, tokenizer_record, gate, licence, _parameters(graph))


def _manifest(
    recipe: Recipe,
    architecture: Architecture,
    files: dict[str, FileRecord],
    tokenizer_record: TokenizerRecord,
    gate: Gate,
    licence: str,
    parameters: int,
) -> Manifest:
    source = recipe.source
    return Manifest(
        name=source.name,
        digest=manifest.content_digest(source.sha256, architecture, recipe.precision, files, tokenizer_record),
        source=SourceRecord(uri=source.uri, sha256=source.sha256, licence=licence),
        architecture=architecture,
        precision=recipe.precision,
        files=files,
        tokenizer=tokenizer_record,
        gate=gate,
        versions={
            "converter": str(CONVERTER),
            "python": platform.python_version(),
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "gguf": _version(gguf_package.__name__),
            "numpy": np.__version__,
            "tokenizers": tokenizers.__version__,
        },
        sizes=Sizes(parameters=parameters, bytes=sum(record.size for record in files.values())),
    )


def _share(stage: str, done: float) -> float:
    starts = [*STAGES.values(), 1.0]
    index = list(STAGES).index(stage)
    return starts[index] + done * (starts[index + 1] - starts[index])


def _parameters(graph: Graph) -> int:
    tables = {"cos", "sin"}
    stored = {item.storage: item.shape for item in graph.initializers if item.name not in tables}
    return sum(int(np.prod(shape)) for shape in stored.values())


def _check_space(work: Path, fp32_bytes: int, precision: Precision) -> None:
    # INT8 with its scales is 9/32 of FP32; it is measured against FP32, so both lie on the disk for a while.
    needed, free = fp32_bytes * (1.3 if precision == "int8" else 1.0), shutil.disk_usage(work).free
    if free < needed:
        raise StoreError(
            f"the model store {work.parents[1]} has {free / 1e9:.1f} GB free; the conversion needs {needed / 1e9:.1f} GB. "
            "Free some space, or choose another place with --store or XDG_CACHE_HOME"
        )


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)
