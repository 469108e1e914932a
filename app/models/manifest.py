"""``manifest.json``: what a model directory holds, where it came from, how good it is, and the digests that prove it.

The inference server reads it through :func:`load` and :func:`verify`; this module imports neither NumPy nor ONNX, so that
looking into the store costs next to nothing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.models.errors import ManifestError, ModelIntegrityError

FILE_NAME = "manifest.json"
SCHEMA: Literal[1] = 1  # grows when a reader of the older form could misunderstand the newer one

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[int, Field(gt=0)]
Precision = Literal["fp32", "int8"]


class Part(BaseModel):
    """A section of the manifest: frozen, and a key that it does not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceRecord(Part):
    """Where the weights came from; ``sha256`` is that of the GGUF file itself."""

    uri: str
    sha256: Sha256
    licence: str


class Architecture(Part):
    """The shape of the network, in the field's words."""

    family: Literal["llama"]
    layers: Positive
    hidden_size: Positive
    intermediate_size: Positive
    heads: Positive
    kv_heads: Positive
    head_size: Positive
    vocab_size: Positive
    context_length: Positive
    rope_theta: Annotated[float, Field(gt=0)]
    rms_norm_epsilon: Annotated[float, Field(gt=0)]


class FileRecord(Part):
    """``size`` in bytes."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class TokenizerRecord(Part):
    """Token ids and the Jinja template of a conversation; ``tokenizer.json`` itself adds no token to a text.

    ``add_bos``: a bare text (no chat template) starts with ``bos``. A template writes its own.
    """

    bos: int | None
    eos_ids: Annotated[list[int], Field(min_length=1)]
    add_bos: bool
    chat_template: str | None


class Thresholds(Part):
    """``max_kl`` in nats, ``min_top1`` as a share. Neither NaN nor a negative value is a threshold."""

    max_kl: Annotated[float, Field(ge=0)]
    min_top1: Annotated[float, Field(ge=0, le=1)]


class Gate(Part):
    """The model against its own FP32 form on the bundled text; ``kl`` (nats) and ``top1`` (share) are means over ``tokens``."""

    kl: float
    top1: float
    perplexity_fp32: float
    perplexity: float
    tokens: Positive
    thresholds: Thresholds


class Sizes(Part):
    """``bytes``: of all files together."""

    parameters: Positive
    bytes: Positive


class Manifest(Part):
    """One model directory. ``digest`` covers what decides the model's answers: see :func:`content_digest`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Annotated[Literal[1], Field(alias="schema")] = SCHEMA
    name: str
    digest: Sha256
    source: SourceRecord
    architecture: Architecture
    precision: Precision
    files: dict[str, FileRecord]
    tokenizer: TokenizerRecord
    gate: Gate
    versions: dict[str, str]
    sizes: Sizes


def content_digest(
    source_sha256: str,
    architecture: Architecture,
    precision: Precision,
    files: dict[str, FileRecord],
    tokenizer: TokenizerRecord,
) -> str:
    """SHA-256 over the canonical JSON of what decides the answers; name, figures, licence and versions do not."""
    content = {
        "source": source_sha256,
        "architecture": architecture.model_dump(),
        "precision": precision,
        "files": {name: record.model_dump() for name, record in files.items()},
        "tokenizer": tokenizer.model_dump(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def dump(manifest: Manifest) -> str:
    return json.dumps(manifest.model_dump(by_alias=True), indent=2, ensure_ascii=False) + "\n"


def load(directory: Path) -> Manifest:
    """Read and check the manifest of a model directory. Raises :class:`ManifestError`; opens no other file."""
    path = directory / FILE_NAME
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise ManifestError(
            f"{path} does not exist: {directory} is no model directory. `python -m app.models` makes one"
        ) from None
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from None
    return parse(text, str(path))


def parse(text: bytes, where: str) -> Manifest:
    """Check a manifest that was read from ``where``. Raises :class:`ManifestError`."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ManifestError(f"{where} is not valid JSON ({error}). Convert the model again") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        came = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise ManifestError(f"{where} has schema {came!r}; this program reads {SCHEMA}. Convert the model again")
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        mistakes = [f"  {'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()]
        raise ManifestError("\n".join([f"{where} does not describe a model:", *mistakes])) from None
    stray = [name for name in manifest.files if Path(name).name != name or name in {"", ".", "..", FILE_NAME}]
    if stray:
        raise ManifestError(f"{where} names files outside the model directory: {', '.join(map(repr, stray))}")
    return manifest


def verify(directory: Path, *, sizes_only: bool = False) -> Manifest:
    """Prove that ``directory`` holds the model its manifest names, and return the manifest.

    Every file's size and, unless ``sizes_only``, its SHA-256 are compared, then the digest of the whole.
    Raises :class:`ModelIntegrityError` naming each file that differs and how, :class:`ManifestError` if there is no manifest.
    """
    manifest = load(directory)
    mistakes = [
        mistake
        for name, record in sorted(manifest.files.items())
        if (mistake := _difference(directory / name, record, sizes_only=sizes_only))
    ]
    digest = content_digest(
        manifest.source.sha256, manifest.architecture, manifest.precision, manifest.files, manifest.tokenizer
    )
    if digest != manifest.digest:
        mistakes.append(f"{FILE_NAME}: digest is {manifest.digest}, its content gives {digest}")
    if mistakes:
        raise ModelIntegrityError(
            "\n".join([f"{directory} is not the model {manifest.name} that its manifest names:", *(f"  {m}" for m in mistakes)])
            + "\nDelete the directory and convert the model again (`python -m app.models`)."
        )
    return manifest


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _difference(path: Path, record: FileRecord, *, sizes_only: bool) -> str | None:
    try:
        size = path.stat().st_size
        if size != record.size:
            return f"{path.name}: {size} bytes, expected {record.size}"
        if not sizes_only and (came := sha256_of(path)) != record.sha256:
            return f"{path.name}: sha256 {came}, expected {record.sha256}"
    except FileNotFoundError:
        return f"{path.name}: missing"
    except OSError as error:
        return f"{path.name}: cannot be read ({error.strerror})"
    return None
