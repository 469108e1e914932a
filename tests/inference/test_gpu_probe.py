"""The GPU probe where there is no GPU: what is really absent here, and what libraries say that are absent elsewhere."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.inference import gpu_probe, nvml
from app.inference.gpu_probe import Cause, ProbeError, classify, graph, missing, refused, visible
from app.inference.nvml import Gpu, Gpus, NvmlError, look
from app.models.onnx_runtime import onnxruntime

WITHOUT_CUDA = gpu_probe.PROVIDER not in onnxruntime.get_available_providers()
CALL = (
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:123 std::conditional_t<THRW, void,"
    " onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, ERRTYPE, const char*,"
    " const char*, int) [with ERRTYPE = cudaError; bool THRW = true] "
)


@pytest.mark.skipif(not WITHOUT_CUDA, reason="this ONNX Runtime has the CUDA provider")
def test_an_image_without_the_cuda_provider_is_the_wrong_one(tmp_path: Path) -> None:
    """The real refusal: the environment of the tests has ONNX Runtime for CPUs."""
    command = [sys.executable, "-m", "app.inference.gpu_probe", "--report", str(tmp_path / "report")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (4, "")
    assert "it is no GPU image (inference-gpu)" in done.stderr
    assert "CPUExecutionProvider, not CUDAExecutionProvider" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    found = json.loads((tmp_path / "report").read_text())
    assert (found["cause"], found["status"]) == ("image", 4)


@pytest.mark.skipif(nvml.LIBRARY in Path("/proc/self/maps").read_text() or Path("/dev/nvidiactl").exists(), reason="a GPU")
def test_a_machine_without_a_gpu_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [gpu_probe.PROVIDER])
    with pytest.raises(ProbeError, match=r"no GPU is visible in this container.*libnvidia-ml\.so\.1") as error:
        gpu_probe.probe()
    assert error.value.cause is Cause.NO_DEVICE


# As users of ONNX Runtime have reported them: microsoft/onnxruntime issues 11561, 20421, 21435, 22968, 9939, 26181;
# onnxruntime/mobius 316; C0untFloyd/roop-unleashed 1065; pykeio/ort 467, 548.
@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            CALL + "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=c432"
            " ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=336 ;"
            " expr=cudaSetDevice(info_.device_id); ",
            Cause.DRIVER,
        ),
        (CALL + "CUDA failure 804: forward compatibility was attempted on non supported HW ; GPU=0 ;", Cause.DRIVER),
        (CALL + "CUDA failure 803: system has unsupported display driver / cuda driver combination ; GPU=0 ;", Cause.DRIVER),
        ("libcuda.so.1: cannot open shared object file: No such file or directory", Cause.DRIVER),
        (CALL + "CUDA failure 100: no CUDA-capable device is detected ; GPU=32712 ; hostname=HOME-PC ;", Cause.NO_DEVICE),
        (CALL + "CUDA failure 101: invalid device ordinal ; GPU=1 ;", Cause.NO_DEVICE),
        (
            "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:1209 onnxruntime::Provider&"
            " onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library"
            " libonnxruntime_providers_cuda.so with error: libcublasLt.so.12: cannot open shared object file: No such file or"
            " directory",
            Cause.IMAGE,
        ),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Slice node. Name:'Slice_34' Status"
            " Message: CUDA error cudaErrorNoKernelImageForDevice:no kernel image is available for execution on the device",
            Cause.IMAGE,
        ),
        ("CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED ; GPU=0 ; expr=cudnnCreate(&cudnn_handle_);", Cause.IMAGE),
        (CALL + "CUDA failure 2: out of memory ; GPU=0 ; hostname=x ; expr=cudaMalloc((void**)&p, size);", Cause.MEMORY),
        (
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running FusedMatMul node."
            " Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:331 void*"
            " onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size"
            " 8388608000",
            Cause.MEMORY,
        ),
        (CALL + "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; expr=cublasCreate(&cublas_handle_);", Cause.MEMORY),
        (CALL + "CUDA failure 304: OS call failed or operation not supported on this OS ; GPU=32694 ;", Cause.OTHER),
        (CALL + "CUDA failure 203: whatever ; GPU=0 ;", Cause.OTHER),
        ("", Cause.OTHER),
    ],
)
def test_what_onnx_runtime_says_has_a_cause(text: str, cause: Cause) -> None:
    assert classify(text) is cause


def test_a_provider_that_does_not_start_is_explained_by_its_loader() -> None:
    """ONNX Runtime's own words then are about the fallback that was switched off."""
    said = "This session contains graph nodes that are assigned to the default CPU EP, but fallback to CPU EP has been disabled"
    error = refused(said, "libcudnn.so.9: cannot open shared object file: No such file or directory")
    assert error.cause is Cause.IMAGE
    assert "libcudnn.so.9" in str(error)
    assert refused(said, None).cause is Cause.OTHER
    assert refused("CUDA failure 35: CUDA driver version is insufficient", "libcudnn.so.9: cannot open").cause is Cause.DRIVER


@pytest.mark.skipif(not WITHOUT_CUDA, reason="this ONNX Runtime has the CUDA provider")
def test_the_loader_s_words_are_the_real_ones() -> None:
    """Here the library itself is what is missing."""
    said = gpu_probe.load_error(Path(onnxruntime.__file__).parent / "capi")
    assert said is not None
    assert classify(said) is Cause.IMAGE


@pytest.mark.skipif(not WITHOUT_CUDA, reason="this ONNX Runtime has the CUDA provider")
@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_nothing_runs_on_the_cpu_instead() -> None:
    with pytest.raises(ProbeError) as error:
        gpu_probe.infer()
    assert error.value.cause is Cause.IMAGE


def test_the_graph_is_a_matrix_product() -> None:
    session = onnxruntime.InferenceSession(graph(), providers=["CPUExecutionProvider"])
    left, right = np.eye(gpu_probe.SIZE, dtype=np.float32) * 3, np.full((gpu_probe.SIZE, gpu_probe.SIZE), 2, np.float32)
    assert np.array_equal(session.run(None, {"left": left, "right": right})[0], left @ right)


def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but the provider: the path of success, computed by what is here."""
    monkeypatch.setattr(gpu_probe, "PROVIDER", "CPUExecutionProvider")
    monkeypatch.setattr(onnxruntime.SessionOptions, "add_session_config_entry", lambda *_: None)
    monkeypatch.setattr(gpu_probe.nvml, "look", lambda: Gpus("580.95.05", "13.0", (Gpu("NVIDIA L4", 23034),)))


def test_success_is_one_line_of_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    on_the_cpu(monkeypatch)
    assert gpu_probe.main([]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["gpus"] == [{"name": "NVIDIA L4", "memory_mib": 23034}]
    assert (found["driver"], found["cuda"], found["provider"]) == ("580.95.05", "13.0", "CPUExecutionProvider")
    assert 0 < found["seconds"] < 10


def test_a_gpu_that_computes_wrongly_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_cpu(monkeypatch)
    monkeypatch.setattr(np, "array_equal", lambda *_: False)
    with pytest.raises(ProbeError, match="is not NumPy's"):
        gpu_probe.probe()


@pytest.mark.parametrize(
    ("code", "files", "cause"),
    [
        (None, [], Cause.NO_DEVICE),
        (None, ["nvidia0"], Cause.DRIVER),
        (9, ["nvidia0"], Cause.DRIVER),
        (18, ["nvidia0"], Cause.DRIVER),
        (999, [], Cause.OTHER),
    ],
)
def test_what_the_management_library_says_has_a_cause(code: int | None, files: list[str], cause: Cause) -> None:
    assert missing(NvmlError("words", code), files) is cause


def test_a_driver_that_knows_of_no_gpu_is_none_visible() -> None:
    with pytest.raises(ProbeError, match=r"no GPU is visible.*driver 580\.1 knows of none"):
        visible(lambda: Gpus("580.1", "13.0", ()), list)


class Library:
    """NVML's functions as ctypes calls them."""

    def __init__(self, gpus: list[tuple[str, int]], **answers: int) -> None:
        self._gpus, self._answers, self.shut = gpus, answers, False

    def __getattr__(self, function: str) -> Any:
        def call(*arguments: Any) -> int:
            if code := self._answers.get(function):
                return code
            own = getattr(type(self), f"_{function}", None)
            return (own(self, *arguments) if own else None) or 0

        return call

    def _nvmlSystemGetDriverVersion(self, text: Any, _size: Any) -> None:  # noqa: N802
        text.value = b"580.95.05"

    def _nvmlSystemGetCudaDriverVersion_v2(self, version: Any) -> None:  # noqa: N802
        version._obj.value = 13010

    def _nvmlDeviceGetCount_v2(self, count: Any) -> None:  # noqa: N802
        count._obj.value = len(self._gpus)

    def _nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> None:  # noqa: N802
        handle._obj.value = index.value + 1

    def _nvmlDeviceGetName(self, handle: Any, text: Any, _size: Any) -> None:  # noqa: N802
        text.value = self._gpus[handle.value - 1][0].encode()

    def _nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> None:  # noqa: N802
        memory._obj.total = self._gpus[handle.value - 1][1] << 20

    def _nvmlShutdown(self) -> None:  # noqa: N802
        self.shut = True


def test_gpus_are_listed_by_name_and_memory() -> None:
    library = Library([("NVIDIA L4", 23034), ("NVIDIA A10G", 24564)])
    assert look(lambda _: library) == Gpus("580.95.05", "13.1", (Gpu("NVIDIA L4", 23034), Gpu("NVIDIA A10G", 24564)))
    assert library.shut


def test_a_driver_that_is_not_loaded_is_told_by_its_code() -> None:
    with pytest.raises(NvmlError) as error:
        look(lambda _: Library([], nvmlInit_v2=9))
    assert error.value.code == nvml.DRIVER_NOT_LOADED


def test_a_library_that_is_not_there_has_no_code() -> None:
    with pytest.raises(NvmlError) as error:
        look(lambda name: ctypes.CDLL(f"/nonexistent/{name}"))
    assert error.value.code is None


def test_each_cause_has_a_status_and_a_sentence_of_its_own() -> None:
    assert sorted(int(cause) for cause in Cause) == [1, 2, 3, 4, 5]
    assert len({gpu_probe.ADVICE[cause] for cause in Cause}) == len(Cause)
