"""The exported graph says what the model says, however its tokens arrive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from app.models.errors import UnsupportedModelError
from app.models.gguf import GgufFile
from app.models.graph import build
from app.models.manifest import Architecture
from app.models.weights import Weights, read_architecture

IDS = np.random.default_rng(3).integers(0, 260, 40).tolist()
Convert = Callable[[Path], dict[str, Path]]


def test_fp32_equals_the_reference(
    tiny_gguf: Path, tiny_graphs: dict[str, Path], architecture: Architecture, reference: Any, runner: Any
) -> None:
    logits = runner(tiny_graphs["fp32"], architecture).step([IDS], [0])[0]
    expected = reference(tiny_gguf)(IDS)
    assert np.abs(expected).max() > 1  # not a comparison of zeros
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_an_untied_head_is_used(tmp_path: Path, tiny: Any, convert: Convert, reference: Any, runner: Any) -> None:
    path = tiny(tied=False, seed=8).write(tmp_path / "untied.gguf")
    with GgufFile(path) as file:
        architecture = read_architecture(file)
    graphs = convert(path)
    expected = reference(path)(IDS)
    np.testing.assert_allclose(runner(graphs["fp32"], architecture).step([IDS], [0])[0], expected, atol=1e-4)
    assert np.abs(runner(graphs["int8"], architecture).step([IDS], [0])[0] - expected).mean() < 0.05 * expected.std()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("chunk", [1, 7, 16])
def test_chunks_of_a_prompt_equal_the_whole(
    precision: str, chunk: int, tiny_graphs: dict[str, Path], architecture: Architecture, runner: Any
) -> None:
    whole = runner(tiny_graphs[precision], architecture).step([IDS], [0])[0]
    pieces = runner(tiny_graphs[precision], architecture)
    came = np.concatenate([pieces.step([IDS[at : at + chunk]], [at])[0] for at in range(0, len(IDS), chunk)])
    # INT8 rounds activations: the last bit of a sum may tip a rounding, never more than that.
    np.testing.assert_allclose(came, whole, atol=1e-4 if precision == "fp32" else 0.05 * whole.std())


def test_int8_stays_near_fp32(tiny_graphs: dict[str, Path], architecture: Architecture, runner: Any) -> None:
    exact = runner(tiny_graphs["fp32"], architecture).step([IDS], [0])[0]
    came = runner(tiny_graphs["int8"], architecture).step([IDS], [0])[0]
    error = (came - exact).std() / exact.std()
    assert 0 < error < 0.05


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_row_does_not_depend_on_its_neighbours(
    precision: str, tiny_graphs: dict[str, Path], architecture: Architecture, runner: Any
) -> None:
    """Rows of different lengths are prefilled alone into their slots, then decoded together."""
    prompts = [IDS[:5], IDS[5:25], IDS[25:28], IDS[28:]]
    alone = [runner(tiny_graphs[precision], architecture) for _ in prompts]
    together = runner(tiny_graphs[precision], architecture, batch=len(prompts))
    for row, (single, prompt) in enumerate(zip(alone, prompts, strict=True)):
        single.step([prompt], [0])
        for name, values in together.cache.items():
            values[row] = single.cache[name][0]
    lengths = [len(prompt) for prompt in prompts]
    for token in (11, 200, 42):
        joint = together.step([[token + row] for row in range(len(prompts))], lengths)
        for row, single in enumerate(alone):
            own = single.step([[token + row]], [lengths[row]])[0]
            np.testing.assert_allclose(joint[row], own, atol=1e-4 if precision == "fp32" else 0.05 * own.std())
        lengths = [length + 1 for length in lengths]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_only_the_wanted_positions_come_out(
    precision: str, tiny_graphs: dict[str, Path], architecture: Architecture, runner: Any
) -> None:
    whole = runner(tiny_graphs[precision], architecture).step([IDS], [0])
    some = runner(tiny_graphs[precision], architecture).step([IDS], [0], positions=[39, 0, 7])
    assert some.shape == (1, 3, architecture.vocab_size)
    np.testing.assert_allclose(some[0], whole[0, [39, 0, 7]], atol=1e-4 if precision == "fp32" else 0.05 * whole.std())


def test_the_contract_of_inputs_and_outputs(tiny_graphs: dict[str, Path], architecture: Architecture) -> None:
    """What app/inference binds by name."""
    graph = onnx.load(str(tiny_graphs["int8"] / "model.onnx"), load_external_data=False).graph

    def shape(value: onnx.ValueInfoProto) -> tuple[int, list[Any]]:
        dims = value.type.tensor_type.shape.dim
        return value.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in dims]

    cache = (onnx.TensorProto.FLOAT, ["batch", 2, "capacity", 16])
    inputs = {value.name: shape(value) for value in graph.input}
    assert inputs.pop("input_ids") == (onnx.TensorProto.INT64, ["batch", "sequence"])
    assert inputs.pop("positions") == (onnx.TensorProto.INT64, ["n"])
    assert inputs.pop("seqlens_k") == (onnx.TensorProto.INT32, ["batch"])
    assert inputs.pop("total_sequence_length") == (onnx.TensorProto.INT32, [])
    assert inputs == {f"past_{what}_{layer}": cache for layer in range(2) for what in ("key", "value")}
    outputs = {value.name: shape(value) for value in graph.output}
    assert outputs.pop("logits") == (onnx.TensorProto.FLOAT, ["batch", "n", architecture.vocab_size])
    assert outputs == {f"present_{what}_{layer}": cache for layer in range(2) for what in ("key", "value")}


def test_weights_are_external_and_a_tied_embedding_is_stored_once(tiny_graphs: dict[str, Path]) -> None:
    graph = onnx.load(str(tiny_graphs["int8"] / "model.onnx"), load_external_data=False).graph
    places = {}
    for tensor in graph.initializer:
        assert tensor.data_location == onnx.TensorProto.EXTERNAL
        fields = {entry.key: entry.value for entry in tensor.external_data}
        assert fields["location"] == "model.onnx.data"
        assert int(fields["offset"]) % 4096 == 0
        places[tensor.name] = fields["offset"]
    assert places["embedding.codes"] == places["lm_head.codes"]
    linear = {node.op_type for node in graph.node if "MatMul" in node.op_type or node.op_type == "Gemm"}
    assert linear == {"MatMulNBits"}


def test_rows_that_int8_blocks_do_not_divide_are_refused(tiny_gguf: Path, architecture: Architecture) -> None:
    odd = architecture.model_copy(update={"intermediate_size": 100})
    with GgufFile(tiny_gguf) as file, pytest.raises(UnsupportedModelError, match=r"MLP width 100.*--precision fp32"):
        build(Weights(file, odd), "int8")
