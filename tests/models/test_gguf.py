"""Reading GGUF: the same as the reference reader, and no damaged file gets further than a message."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.models.errors import ModelError, SourceError, UnsupportedModelError
from app.models.gguf import GgufFile
from app.models.weights import read_architecture


def test_metadata_and_tensors_equal_those_of_the_reference_reader(tiny_gguf: Path) -> None:
    reader = gguf.GGUFReader(tiny_gguf)
    with GgufFile(tiny_gguf) as file:
        own = {key for key in reader.fields if not key.startswith("GGUF.")}
        assert set(file.metadata) == own
        for key in own:
            assert file.metadata[key] == reader.fields[key].contents(), key
        assert set(file.tensors) == {tensor.name for tensor in reader.tensors}
        for tensor in reader.tensors:
            expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape[::-1].tolist())
            np.testing.assert_array_equal(file.read(tensor.name), expected, err_msg=tensor.name)


def test_a_file_cut_anywhere_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    whole, cut = tiny_gguf.read_bytes(), tmp_path / "cut.gguf"
    for length in [*range(200), *range(200, len(whole), 997), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(SourceError):
            GgufFile(cut)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(at=st.integers(0, 4000), value=st.binary(min_size=1, max_size=8))
def test_no_damage_to_the_header_escapes_as_another_error(at: int, value: bytes, tiny_gguf: Path, tmp_path: Path) -> None:
    damaged = bytearray(tiny_gguf.read_bytes())
    damaged[at : at + len(value)] = value
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damaged)
    try:
        with GgufFile(path) as file:
            read_architecture(file)
            for name in file.tensors:
                file.read(name)
    except ModelError as error:
        assert path.name in str(error)  # most damage is harmless; what is not says where


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"PK\x03\x04" + bytes(40), "not a GGUF file"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(40), "GGUF version 1"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(40), "little-endian"),
        (b"", "cannot be read"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"k", 9) + struct.pack("<IQ", 9, 1) * 10_000, "array of arrays"),
    ],
)
def test_what_is_no_gguf_is_named(header: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(header)
    with pytest.raises(SourceError, match=message):
        GgufFile(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "qwen2"}, "architecture 'qwen2'; 'llama'"),
        ({"metadata": {"llama.rope.scaling.type": "yarn"}}, "rope scaling 'yarn'"),
        ({"metadata": {"llama.rope.dimension_count": 8}}, "head size 16 with 8 rotary dimensions"),
        ({"metadata": {"llama.attention.head_count_kv": 3}}, "4 heads, 3 KV heads"),
        ({"metadata": {"llama.block_count": None}}, "'llama.block_count' is absent"),
        ({"metadata": {"llama.block_count": 3}}, r"missing tensors: blk\.2\.attn_k\.weight, .* and 4 more"),
        ({"metadata": {"llama.block_count": 0}}, "impossible figures: layers 0"),
        ({"metadata": {"llama.block_count": 4_000_000_000}}, "4000000000 layers, but 20 tensors"),
        (
            {"metadata": {"llama.feed_forward_length": 128}},
            r"shapes: blk\.0\.ffn_gate\.weight is \[96, 64\], expected \[128, 64\]",
        ),
        ({"drop": ("blk.1.ffn_up.weight",)}, r"missing tensors: blk\.1\.ffn_up\.weight"),
        ({"extra": {"blk.0.attn_q.bias": np.zeros(64, np.float32)}}, r"no place for: blk\.0\.attn_q\.bias"),
        ({"extra": {"rope_freqs.weight": np.ones(8, np.float32)}}, r"no place for: rope_freqs\.weight"),
    ],
)
def test_a_model_that_the_graph_cannot_express_is_refused(
    change: dict[str, Any], message: str, tiny: Any, tmp_path: Path
) -> None:
    path = tiny(**change).write(tmp_path / "other.gguf")
    with pytest.raises(UnsupportedModelError, match=message), GgufFile(path) as file:
        read_architecture(file)
