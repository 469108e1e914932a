"""Writing a graph: ``model.onnx`` with the nodes, ``model.onnx.data`` with the weights, one tensor in memory at a time."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from app.models.graph import IR_VERSION, MICROSOFT, OPSET, Graph, Initializer
from app.models.manifest import FileRecord

MODEL = "model.onnx"
DATA = "model.onnx.data"
ALIGNMENT = 4096  # bytes: a page, so that ONNX Runtime maps a tensor instead of copying it


def write(graph: Graph, directory: Path, report: Callable[[float], None] = lambda share: None) -> dict[str, FileRecord]:
    """Write both files and return their digests. ``report`` gets the share done, 0 to 1. Raises :class:`OSError`."""
    tensors: list[TensorProto] = []
    places: dict[str, tuple[int, int]] = {}  # storage -> offset, length
    digest, offset = hashlib.sha256(), 0
    with (directory / DATA).open("xb") as stream:
        for index, initializer in enumerate(graph.initializers):
            if initializer.storage not in places:
                padding = bytes(-offset % ALIGNMENT)
                data = _bytes(initializer)
                for piece in (padding, data):
                    stream.write(piece)
                    digest.update(piece)
                places[initializer.storage] = (offset + len(padding), len(data))
                offset += len(padding) + len(data)
            tensors.append(_external(initializer, *places[initializer.storage]))
            report((index + 1) / len(graph.initializers))
        stream.flush()
        os.fsync(stream.fileno())
    model = _model(graph, tensors).SerializeToString(deterministic=True)
    with (directory / MODEL).open("xb") as stream:
        stream.write(model)
        stream.flush()
        os.fsync(stream.fileno())
    return {
        MODEL: FileRecord(sha256=hashlib.sha256(model).hexdigest(), size=len(model)),
        DATA: FileRecord(sha256=digest.hexdigest(), size=offset),
    }


def size(graph: Graph) -> int:
    """Bytes that the weights will take on disk, without the padding."""
    stored = {item.storage: math.prod(item.shape) * item.dtype.itemsize for item in graph.initializers}
    return sum(stored.values())


def _bytes(initializer: Initializer) -> bytes:
    values = initializer.values()
    if values.size != math.prod(initializer.shape) or values.dtype != initializer.dtype:
        raise ValueError(f"{initializer.name}: {values.dtype} {values.shape}, expected {initializer.dtype} {initializer.shape}")
    return values.tobytes()


def _external(initializer: Initializer, offset: int, length: int) -> TensorProto:
    tensor = TensorProto(
        name=initializer.name, data_type=helper.np_dtype_to_tensor_dtype(initializer.dtype), dims=initializer.shape
    )
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", DATA), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def _model(graph: Graph, tensors: list[TensorProto]) -> onnx.ModelProto:
    proto = helper.make_graph(list(graph.nodes), "llama", list(graph.inputs), list(graph.outputs), initializer=tensors)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="assistant-stack")
