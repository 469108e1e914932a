"""Which GPUs this container was given, by NVIDIA's management library, which the container runtime mounts with them.

Its functions and codes: https://docs.nvidia.com/deploy/nvml-api/. No ``nvidia-smi`` is needed, which images do not carry.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
NAME_BYTES, VERSION_BYTES = 96, 80  # NVML_DEVICE_NAME_V2_BUFFER_SIZE, NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE
DRIVER_NOT_LOADED, LIBRARY_MISMATCH = 9, 18  # of nvmlReturn_t


class NvmlError(Exception):
    """``code``: of nvmlReturn_t, or None where the library itself is not there."""

    def __init__(self, message: str, code: int | None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Gpu:
    name: str
    memory_mib: int


@dataclass(frozen=True)
class Gpus:
    """``cuda``: the newest CUDA that the driver can run, ``13.0``."""

    driver: str
    cuda: str
    gpus: tuple[Gpu, ...]


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def look(open_library: Callable[[str], Any] = ctypes.CDLL) -> Gpus:
    """Raises :class:`NvmlError`."""
    try:
        library = open_library(LIBRARY)
    except OSError as error:
        raise NvmlError(str(error), None) from None
    _call(library, "nvmlInit_v2")
    try:
        driver = ctypes.create_string_buffer(VERSION_BYTES)
        _call(library, "nvmlSystemGetDriverVersion", driver, ctypes.c_uint(VERSION_BYTES))
        cuda, count = ctypes.c_int(), ctypes.c_uint()
        _call(library, "nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(cuda))
        _call(library, "nvmlDeviceGetCount_v2", ctypes.byref(count))
        gpus = tuple(_gpu(library, index) for index in range(count.value))
        return Gpus(driver.value.decode(), f"{cuda.value // 1000}.{cuda.value % 1000 // 10}", gpus)
    finally:
        library.nvmlShutdown()


def _gpu(library: Any, index: int) -> Gpu:
    handle, name, memory = ctypes.c_void_p(), ctypes.create_string_buffer(NAME_BYTES), _Memory()
    _call(library, "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
    _call(library, "nvmlDeviceGetName", handle, name, ctypes.c_uint(NAME_BYTES))
    _call(library, "nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
    return Gpu(name.value.decode(), memory.total >> 20)


def _call(library: Any, function: str, *arguments: Any) -> None:
    if code := getattr(library, function)(*arguments):
        raise NvmlError(f"{function} answers {code}", int(code))
