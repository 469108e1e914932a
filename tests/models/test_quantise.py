"""INT8 blocks: layout, error, and what comes back exactly."""

from __future__ import annotations

import gguf
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from app.models.balance import factors
from app.models.onnx_runtime import onnxruntime
from app.models.quantise import dequantise, quantise


def random(rows: int = 8, columns: int = 96, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def through(matrix: np.ndarray, kind: gguf.GGMLQuantizationType) -> np.ndarray:
    return gguf.quants.dequantize(gguf.quants.quantize(matrix, kind), kind)


def test_the_layout_is_that_of_matmulnbits() -> None:
    """The runtime's own operator, in its exact mode, multiplies with what ``dequantise`` gives."""
    codes, scales = quantise(random())
    node = helper.make_node("MatMulNBits", ["A", "B", "S"], ["Y"], domain="com.microsoft", N=8, K=96, bits=8, block_size=32)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("A", TensorProto.FLOAT, ["m", 96])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["m", 8])],
        [numpy_helper.from_array(codes, "B"), numpy_helper.from_array(scales, "S")],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = random(3, seed=2)
    np.testing.assert_allclose(session.run(None, {"A": x})[0], x @ dequantise(codes, scales).T, atol=1e-4)


def test_the_error_is_at_most_half_a_step() -> None:
    matrix = random(64)
    codes, scales = quantise(matrix)
    steps = np.repeat(scales, 32, axis=1)
    assert (np.abs(dequantise(codes, scales) - matrix) <= steps * 0.5001).all()


def test_q8_0_comes_back_exactly() -> None:
    matrix = through(random(64), gguf.GGMLQuantizationType.Q8_0)
    np.testing.assert_allclose(dequantise(*quantise(matrix)), matrix, atol=2e-6)


def test_weights_from_a_4_bit_grid_lose_less_than_half_of_what_others_lose() -> None:
    free = random(64)
    grid = through(free, gguf.GGMLQuantizationType.Q4_1)

    def error(matrix: np.ndarray) -> float:
        return float((dequantise(*quantise(matrix)) - matrix).std() / matrix.std())

    assert error(grid) < 0.5 * error(free)


def test_zeros_stay_zeros() -> None:
    codes, scales = quantise(np.zeros((2, 32), np.float32))
    assert (codes == 128).all()
    assert (dequantise(codes, scales) == 0).all()


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=32, max_size=32))
def test_any_block_keeps_its_largest_value_to_a_percent(values: list[float]) -> None:
    matrix = np.asarray([values], np.float32)
    back = dequantise(*quantise(matrix))
    assert np.isfinite(back).all()
    assert np.abs(back - matrix).max() <= 0.01 * np.abs(matrix).max() + 1e-30


def test_columns_are_multiplied_first() -> None:
    matrix, columns = random(), np.tile(np.asarray([1, 2, 4, 1], np.float32), 24)
    np.testing.assert_allclose(dequantise(*quantise(matrix, columns)), matrix * columns, atol=0.1)
    assert np.abs(dequantise(*quantise(matrix, columns)) - matrix).max() > 1


def test_rows_that_blocks_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="33 values are no multiple of the block size 32"):
        quantise(np.zeros((1, 33), np.float32))


def test_factors_are_powers_of_two_and_single_out_the_loud_channel() -> None:
    rms = np.full(64, 0.5, np.float32)
    rms[40] = 8.0  # 16 times its block: with half the excess moved, a factor of 4
    expected = np.ones(64, np.float32)
    expected[40] = 4.0
    assert factors(rms).tolist() == expected.tolist()
    assert factors(np.zeros(32, np.float32)).tolist() == [1.0] * 32
