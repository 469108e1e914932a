"""``python -m app.inference.gpu_probe``: prove that this container computes on its GPU, or say what is in the way.

For a Job before the inference service rolls out: one matrix product by ONNX Runtime's CUDA provider, without a fallback to the
CPU, compared with NumPy's. One line of JSON on standard output, or a sentence on standard error; the file of ``--report`` gets
either. Exit status: 0 it computes, 1 another failure, 2 no GPU is visible, 3 the driver is missing or too old, 4 the image is
no GPU image or does not fit the GPU, 5 the GPU's memory is taken.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from app.inference import nvml
from app.inference.nvml import Gpus, NvmlError
from app.models import report
from app.models.onnx_runtime import onnxruntime

PROVIDER = "CUDAExecutionProvider"
SIZE = 256  # of the matrices, [256, 256]


class Cause(IntEnum):
    """Why not; the value is the exit status."""

    OTHER = 1
    NO_DEVICE = 2
    DRIVER = 3
    IMAGE = 4
    MEMORY = 5


ADVICE = {
    Cause.OTHER: "one CUDA inference failed",
    Cause.NO_DEVICE: "no GPU is visible in this container: the pod must ask for nvidia.com/gpu, the node run the device plugin"
    " and its machine image (AMI) bring NVIDIA's driver and container runtime",
    Cause.DRIVER: "NVIDIA's driver is missing, not loaded, or too old for this image's CUDA: take a newer machine image (AMI)"
    " for the GPU nodes, or an older GPU image of the assistant",
    Cause.IMAGE: "this image cannot use this GPU: it is no GPU image (inference-gpu), lacks a CUDA library, or has no kernels"
    " for the GPU's generation",
    Cause.MEMORY: "the GPU's memory is taken: another process holds it (time slicing gives no memory of one's own)",
}
# What ONNX Runtime, CUDA and the loader say, by cause; the first that matches. The numbers are those of cudaError_t.
WORDS = (
    (Cause.DRIVER, r"CUDA failure (?:35|803|804)\b|driver version is insufficient|unsupported display driver"),
    (Cause.DRIVER, r"forward compatibility was attempted|libcuda\.so\.1: cannot open"),
    (Cause.NO_DEVICE, r"CUDA failure (?:100|101)\b|no CUDA-capable device|invalid device ordinal"),
    (Cause.MEMORY, r"CUDA failure 2:|out of memory|Failed to allocate memory for requested buffer|_STATUS_ALLOC_FAILED"),
    (Cause.IMAGE, r"cannot open shared object file|version `[^']+' not found|undefined symbol"),
    (Cause.IMAGE, r"no kernel image is available|CUDNN_STATUS_(?:NOT_INITIALIZED|ARCH_MISMATCH|VERSION_MISMATCH)"),
)


class ProbeError(Exception):
    def __init__(self, cause: Cause, details: str) -> None:
        super().__init__(f"{ADVICE[cause]} ({details})")
        self.cause = cause


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m app.inference.gpu_probe", description="Prove one inference on this container's GPU."
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the result there too, at most 4096 bytes of JSON")
    options = parser.parse_args(arguments)
    try:
        found = probe()
    except ProbeError as error:
        print(f"gpu_probe: {error}", file=sys.stderr)
        report.write(options.report, {"error": str(error), "cause": error.cause.name.lower(), "status": int(error.cause)})
        return int(error.cause)
    print(json.dumps(found))
    report.write(options.report, found)
    return 0


def probe() -> dict[str, Any]:
    """What was found and how long one inference took. Raises :class:`ProbeError`."""
    check_provider(onnxruntime.get_available_providers())
    gpus = visible(nvml.look, device_files)
    try:
        seconds = infer()
    except ProbeError:
        raise
    except Exception as error:  # ONNX Runtime raises types of its own, one for each status
        raise ProbeError(classify(str(error)), " ".join(str(error).split())[-500:]) from None
    return {**asdict(gpus), "provider": PROVIDER, "seconds": round(seconds, 4)}


def check_provider(available: list[str]) -> None:
    if PROVIDER not in available:
        raise ProbeError(Cause.IMAGE, f"its ONNX Runtime has {', '.join(available)}, not {PROVIDER}")


def visible(look: Callable[[], Gpus], files: Callable[[], list[str]]) -> Gpus:
    """At least one GPU, or why there is none."""
    try:
        found = look()
    except NvmlError as error:
        raise ProbeError(missing(error, files()), str(error)) from None
    if not found.gpus:
        raise ProbeError(Cause.NO_DEVICE, f"driver {found.driver} knows of none")
    return found


def missing(error: NvmlError, files: list[str]) -> Cause:
    """Without the library and without device files nobody gave the container a GPU; with files, half a driver."""
    if error.code in (nvml.DRIVER_NOT_LOADED, nvml.LIBRARY_MISMATCH):
        return Cause.DRIVER
    if error.code is None:
        return Cause.DRIVER if files else Cause.NO_DEVICE
    return Cause.OTHER


def device_files() -> list[str]:
    return sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))


def classify(text: str) -> Cause:
    """The cause in what ONNX Runtime or the loader said."""
    return next((cause for cause, words in WORDS if re.search(words, text)), Cause.OTHER)


def infer() -> float:
    """Seconds of one matrix product on the GPU, the second: the first one loads kernels."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Whatever cannot run on the GPU is an error, and so is a provider that does not start.
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = onnxruntime.InferenceSession(graph(), options, providers=[PROVIDER], enable_fallback=0)
    except Exception as error:
        raise refused(str(error), load_error(Path(onnxruntime.__file__).parent / "capi")) from None
    session.disable_fallback()
    random = np.random.default_rng(5)
    # Small integers: exact in every precision that a GPU may take for FP32, so that the comparison is one.
    left, right = (random.integers(-8, 9, (SIZE, SIZE)).astype(np.float32) for _ in range(2))
    for _ in range(2):
        begin = time.perf_counter()
        product = session.run(None, {"left": left, "right": right})[0]
        seconds = time.perf_counter() - begin
    if not np.array_equal(product, left @ right):
        raise ProbeError(Cause.OTHER, "the GPU's product is not NumPy's")
    return seconds


def refused(said: str, loading: str | None) -> ProbeError:
    """A provider that does not start is told by ONNX Runtime as a missing fallback; the loader knows why."""
    text = loading if loading and classify(said) is Cause.OTHER else said
    return ProbeError(classify(text), " ".join(text.split())[-500:])


def load_error(folder: Path) -> str | None:
    """Why the CUDA provider's library cannot be loaded; None where it can."""
    try:
        for name in ("libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"):
            ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return str(error)
    return None


def graph() -> bytes:
    """``product = left @ right``, each [256, 256]."""
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIZE, SIZE]) for name in ("left", "right", "product")
    }
    node = helper.make_node("MatMul", ["left", "right"], ["product"])
    made = helper.make_graph([node], "probe", [values["left"], values["right"]], [values["product"]])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


if __name__ == "__main__":
    sys.exit(main())
