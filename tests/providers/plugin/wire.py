"""The SDK's generated gRPC modules, and the passage between Struct messages and Python's own values."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODULES = ("provider_pb2", "provider_pb2_grpc", "plugin_pb2", "engine_pb2", "engine_pb2_grpc", "status_pb2")


def modules() -> tuple[types.ModuleType, ...]:
    """:data:`MODULES`, without running ``pulumi/__init__.py``: that import alone takes most of a second."""
    if "pulumi" not in sys.modules:
        found = importlib.util.find_spec("pulumi")
        if found is None or not found.submodule_search_locations:
            raise ImportError(f"{sys.executable} has no Pulumi SDK")
        base = Path(next(iter(found.submodule_search_locations)))
        for name, folder in {"pulumi": base, "pulumi.runtime": base / "runtime"}.items():
            package = types.ModuleType(name)
            package.__path__ = [str(folder)]
            sys.modules[name] = package
    return tuple(importlib.import_module(f"pulumi.runtime.proto.{name}") for name in MODULES)


def from_struct(struct: Any) -> dict[str, Any]:
    return {key: _from_value(value) for key, value in struct.fields.items()}


def _from_value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind in (None, "null_value"):
        return None
    return getattr(value, kind)


def to_struct(document: Mapping[str, Any]) -> Any:
    from google.protobuf.struct_pb2 import Struct

    struct = Struct()
    struct.update(document)
    return struct
