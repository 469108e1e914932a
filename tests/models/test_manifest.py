"""A model directory is the one its manifest names, or is refused by name of the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.models.errors import ManifestError, ModelIntegrityError
from app.models.manifest import load, verify


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path) -> Path:
    from app.models.convert import convert
    from app.models.manifest import Thresholds, sha256_of
    from app.models.recipe import Recipe
    from app.models.sources import parse
    from app.models.store import Store

    recipe = Recipe(
        source=parse(f"file:{tiny_gguf}", sha256_of(tiny_gguf)), precision="int8", thresholds=Thresholds(max_kl=10, min_top1=0)
    )
    return convert(recipe, Store(tmp_path_factory.mktemp("store")), lambda share, what: None)[0]


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model"
    copy.mkdir()
    for file in made.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def test_it_says_what_the_model_is(directory: Path, tiny_gguf: Path) -> None:
    manifest = verify(directory)
    assert manifest.name == "Tiny"
    assert manifest.source.uri == f"file:{tiny_gguf}"
    assert manifest.source.licence == "cc0-1.0"
    assert (manifest.architecture.layers, manifest.architecture.rope_theta) == (2, 5000.0)
    assert set(manifest.files) == {"model.onnx", "model.onnx.data", "tokenizer.json"}
    assert manifest.gate.tokens > 1000
    assert 0 < manifest.gate.kl < 0.1
    assert manifest.sizes.parameters == 265 * 64 + 64 + 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 96 + 128)
    assert {"converter", "onnx", "onnxruntime", "gguf", "python"} <= set(manifest.versions)


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "tokenizer.json"])
def test_a_flipped_bit_is_named(name: str, directory: Path) -> None:
    content = bytearray((directory / name).read_bytes())
    content[len(content) // 2] ^= 1
    (directory / name).write_bytes(content)
    with pytest.raises(ModelIntegrityError, match=rf"(?m)^  {name}: sha256 [0-9a-f]{{64}}, expected [0-9a-f]{{64}}$"):
        verify(directory)
    assert verify(directory, sizes_only=True).name == "Tiny"  # what the quick look promises, and no more


@pytest.mark.parametrize("sizes_only", [True, False])
def test_a_cut_file_and_a_missing_one_are_both_named(sizes_only: bool, directory: Path) -> None:
    size = (directory / "model.onnx.data").stat().st_size
    with (directory / "model.onnx.data").open("r+b") as stream:
        stream.truncate(size - 1)
    (directory / "tokenizer.json").unlink()
    with pytest.raises(ModelIntegrityError) as caught:
        verify(directory, sizes_only=sizes_only)
    assert f"model.onnx.data: {size - 1} bytes, expected {size}" in str(caught.value)
    assert "tokenizer.json: missing" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["tokenizer"]["eos_ids"].append(5),
        lambda content: content["tokenizer"].update(chat_template="{{ 1 }}"),
        lambda content: content["architecture"].update(rope_theta=1.0),
        lambda content: content["source"].update(sha256="0" * 64),
        lambda content: content["files"].pop("tokenizer.json"),
    ],
)
def test_a_changed_manifest_is_refused(change: Any, directory: Path) -> None:
    path = directory / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ModelIntegrityError, match=r"manifest\.json: digest is"):
        verify(directory)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", r"has schema 'list'; this program reads 1"),
        ('{"schema": 2}', "has schema 2; this program reads 1"),
        ('{"schema": 1, "name": 3}', r"(?s)name: Input should be a valid string.*digest: Field required"),
    ],
)
def test_what_is_no_manifest_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ManifestError, match=message):
        load(tmp_path)


def test_no_manifest_at_all_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"is no model directory\. `python -m app\.models` makes one"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", ".."])
def test_a_manifest_cannot_point_outside_its_directory(name: str, directory: Path) -> None:
    path = directory / "manifest.json"
    content = json.loads(path.read_text())
    content["files"][name] = content["files"].pop("tokenizer.json")
    path.write_text(json.dumps(content))
    with pytest.raises(ManifestError, match="outside the model directory"):
        load(directory)
