"""Reading a GGUF file: its metadata, and its tensors dequantised one at a time.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian). The header is read here
in 0.1 s; ``gguf.GGUFReader`` makes NumPy views of each of 100,000 strings, which takes 4.5 s. The dequantisation of ggml's
block formats, where a mistake would be silent, is the ``gguf`` package's own.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import gguf
import numpy as np
from numpy.typing import NDArray

from app.models.errors import SourceError, UnsupportedModelError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32  # bytes, where `general.alignment` is absent
MAX_DIMENSIONS = 4  # GGML_MAX_DIMS
# Types of metadata values (gguf.md, gguf_metadata_value_type) as struct formats.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """``shape`` in NumPy's order, rows first; ``offset`` and ``size`` in bytes, the offset from the start of the file."""

    name: str
    shape: tuple[int, ...]
    type: gguf.GGMLQuantizationType
    offset: int
    size: int


class GgufFile:
    """An open GGUF file. Raises :class:`SourceError` where it is damaged or cut short."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as stream:
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise SourceError(f"{path} cannot be read: {error}") from None
        try:
            header = _Header(self._map)
            self.metadata, self.tensors = header.metadata, header.tensors
        except (SourceError, UnsupportedModelError) as error:
            self._map.close()
            raise type(error)(f"{path.name}: {error}") from None

    def __enter__(self) -> GgufFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._map.close()

    def require(self, key: str, kind: type[T]) -> T:
        """The value of a metadata key that must be there. Integers serve where a float is wanted."""
        value = self.metadata.get(key)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind):
            came = "is absent" if value is None else f"is {type(value).__name__}"
            raise UnsupportedModelError(f"{self.path.name}: metadata {key!r} {came}; a {kind.__name__} is needed")
        return value

    def read(self, name: str) -> NDArray[np.float32]:
        """The tensor as FP32, a copy of its own. Raises :class:`UnsupportedModelError` if there is none of that name."""
        tensor = self.tensors.get(name)
        if tensor is None:
            raise UnsupportedModelError(f"{self.path.name}: tensor {name!r} is absent")
        raw = np.frombuffer(self._map[tensor.offset : tensor.offset + tensor.size], dtype=np.uint8)
        if tensor.type is gguf.GGMLQuantizationType.F32:
            return raw.view(np.float32).reshape(tensor.shape).copy()
        rows = raw.reshape(*tensor.shape[:-1], -1)
        try:
            values = gguf.quants.dequantize(rows, tensor.type)
        except NotImplementedError:
            raise UnsupportedModelError(f"{self.path.name}: tensor {name!r} is {tensor.type.name}, not supported") from None
        return np.ascontiguousarray(values, dtype=np.float32).reshape(tensor.shape)


class _Header:
    """A cursor over the header; every read is bounded by the end of the file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 0
        if self._take(4) != MAGIC:
            raise SourceError("not a GGUF file (it does not begin with 'GGUF')")
        version = self._scalar("I")
        if version not in VERSIONS:
            raise SourceError(f"GGUF version {version}; versions {VERSIONS[0]} and {VERSIONS[1]}, little-endian, are read")
        tensor_count, metadata_count = self._scalar("Q"), self._scalar("Q")
        self.metadata: dict[str, Any] = {}
        for _ in range(metadata_count):
            key = self._string()
            self.metadata[key] = self._value(self._scalar("I"))
        infos = [self._tensor_info() for _ in range(tensor_count)]
        alignment = self.metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment <= 0:
            raise SourceError(f"general.alignment is {alignment!r}; a positive integer is needed")
        start = -(-self._at // alignment) * alignment
        self.tensors = {name: self._place(name, shape, kind, start + offset) for name, shape, kind, offset in infos}

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise SourceError(f"cut short: {end} bytes are needed, the file has {len(self._data)}")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _scalar(self, kind: str) -> Any:
        return struct.unpack("<" + kind, self._take(struct.calcsize("<" + kind)))[0]

    def _string(self) -> str:
        raw = self._take(self._scalar("Q"))
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise SourceError(f"a string near byte {self._at} is not UTF-8") from None

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            element, count = self._scalar("I"), self._scalar("Q")
            if element == ARRAY:  # allowed by the format, used by no model; nested deeply it would exhaust the stack
                raise SourceError(f"an array of arrays near byte {self._at} is not supported")
            if element in SCALARS:
                size = struct.calcsize("<" + SCALARS[element])
                return list(struct.unpack(f"<{count}{SCALARS[element]}", self._take(size * count)))
            return [self._value(element) for _ in range(count)]
        if kind in SCALARS:
            return self._scalar(SCALARS[kind])
        raise SourceError(f"metadata of type {kind} near byte {self._at}; 0 to 12 are known")

    def _tensor_info(self) -> tuple[str, tuple[int, ...], int, int]:
        name, dimensions = self._string(), self._scalar("I")
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise SourceError(f"tensor {name!r} has {dimensions} dimensions; 1 to {MAX_DIMENSIONS} are allowed")
        shape = tuple(self._scalar("Q") for _ in range(dimensions))[::-1]  # ggml counts the fastest axis first
        return name, shape, self._scalar("I"), self._scalar("Q")

    def _place(self, name: str, shape: tuple[int, ...], kind: int, offset: int) -> Tensor:
        try:
            type_ = gguf.GGMLQuantizationType(kind)
        except ValueError:
            raise UnsupportedModelError(
                f"tensor {name!r} has ggml type {kind}, which gguf {_gguf_version()} does not know"
            ) from None
        block, block_bytes = gguf.GGML_QUANT_SIZES[type_]
        if shape[-1] % block:
            raise SourceError(f"tensor {name!r}: rows of {shape[-1]} values are no multiple of {type_.name}'s block of {block}")
        size = prod(shape) // block * block_bytes
        if offset + size > len(self._data):
            raise SourceError(f"cut short: tensor {name!r} ends at byte {offset + size}, the file has {len(self._data)}")
        return Tensor(name=name, shape=shape, type=type_, offset=offset, size=size)


def _gguf_version() -> str:
    from importlib.metadata import version

    return version("gguf")
