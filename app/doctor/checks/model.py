"""The model: may its files be read, are they those of its manifest, does it fit the memory, is its provider there."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.doctor.finding import Finding, error, ok, warning
from app.doctor.place import Place
from app.models.errors import ManifestError, ModelIntegrityError
from app.models.manifest import FILE_NAME, Manifest, load, verify

CHECK: Final = "model"
PROVIDERS: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
CGROUP_2, CGROUP_1 = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")
MEMORY: Final = Path("/proc/meminfo")
NO_LIMIT: Final = 2**62  # what version 1 of control groups writes for none
FLOAT_BYTES: Final = 4
AGAIN: Final = "Delete the directory and convert the model again (python -m app.models); on a cluster, run its model Job again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes. ``limit``: of the control group, else of the machine; ``total``: of the machine."""

    limit: int
    total: int


async def look(place: Place) -> list[Finding]:
    settings: Any = place.settings
    found = [judge_provider(settings.inference_device, _providers())]
    directory = settings.model_path.resolve()
    if barred := first_barred(directory):
        return [*found, unreadable(*barred)]
    try:
        manifest = load(directory)
    except ManifestError as mistake:
        return [*found, no_model(str(mistake))]
    found += await asyncio.to_thread(_integrity, directory, manifest)
    memory = memory_here()
    if memory is not None:
        cache = cache_bytes(manifest, settings.inference_slots, settings.inference_context)
        found.append(judge_memory(_size_of(manifest), cache, memory))
    return found


def judge_provider(device: str, available: list[str]) -> Finding:
    wanted, evidence = PROVIDERS[device], f"INFERENCE_DEVICE={device}; ONNX Runtime has {', '.join(available) or 'none'}"
    if wanted in available:
        return ok(CHECK, "The provider that the settings ask for is there", evidence)
    return error(
        CHECK,
        f"ONNX Runtime has no {wanted}, which INFERENCE_DEVICE={device} needs",
        evidence,
        "Run the image that is made for it (inference-gpu; extra gpu), or make set KEY=inference.device VALUE=cpu.",
    )


def unreadable(path: Path, user: int) -> Finding:
    return error(
        CHECK,
        "The model cannot be read: the process's user has no right to it",
        f"{path}, user {user}",
        "Give the directory (r-x) and its files (r--) to that user; on a volume, its fsGroup does that.",
    )


def no_model(mistake: str) -> Finding:
    return error(CHECK, "There is no model at MODEL_PATH", mistake.splitlines()[0], AGAIN)


def judge_integrity(name: str, mistakes: list[str]) -> list[Finding]:
    """``mistakes``: a line for each file that is not as the manifest says."""
    return [error(CHECK, f"The model {name} is damaged and is not loaded", mistake, AGAIN) for mistake in mistakes]


def judge_memory(model: int, cache: int, memory: Memory) -> Finding:
    """``model``: of its files, which are mapped or read whole; ``cache``: of the keys and values of all slots."""
    evidence = (
        f"model {_size(model)}, cache {_size(cache)}; {_size(memory.limit)} allowed, {_size(memory.total)} in the machine"
    )
    needed, room = model + cache, min(memory.limit, memory.total)
    remedy = "Give it more memory (resources.inference), a smaller model, or lower INFERENCE_SLOTS or INFERENCE_CONTEXT."
    if needed > room:
        return error(CHECK, "The model does not fit the memory", evidence, remedy)
    if needed > 0.85 * room:
        return warning(CHECK, "The model barely fits the memory", evidence, remedy)
    return ok(CHECK, "The model fits the memory", evidence)


def cache_bytes(manifest: Manifest, slots: int, context: int) -> int:
    a = manifest.architecture
    return 2 * FLOAT_BYTES * a.layers * slots * a.kv_heads * min(context, a.context_length) * a.head_size


def first_barred(directory: Path) -> tuple[Path, int] | None:
    """The first of the directory and its files that this user may not read, and the user. None: there is none, or no model."""
    user = os.getuid()
    try:
        if not directory.exists():
            return None
        if not os.access(directory, os.R_OK | os.X_OK):
            return directory, user
        return next(((file, user) for file in sorted(directory.iterdir()) if not os.access(file, os.R_OK)), None)
    except PermissionError as failure:
        return Path(str(failure.filename or directory)), user


def memory_here() -> Memory | None:
    """None where the machine does not tell."""
    try:
        lines = (line.split() for line in MEMORY.read_text(encoding="ascii").splitlines())
        total = next(int(words[1]) * 1024 for words in lines if words[0] == "MemTotal:")
    except (OSError, StopIteration):
        return None
    for file in (CGROUP_2, CGROUP_1):
        try:
            text = file.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < NO_LIMIT:
            return Memory(limit=int(text), total=total)
    return Memory(limit=total, total=total)


def _integrity(directory: Path, manifest: Manifest) -> list[Finding]:
    try:
        verify(directory)
    except ModelIntegrityError as flaws:
        lines = [line.strip() for line in str(flaws).splitlines()[1:] if line.startswith("  ")]
        return judge_integrity(manifest.name, lines or [str(flaws)])
    except ManifestError as mistake:
        return [no_model(str(mistake))]
    evidence = f"{len(manifest.files)} files, sha256 of each as in {FILE_NAME}; digest {manifest.digest[:12]}"
    return [ok(CHECK, f"{manifest.name} is whole", evidence)]


def _size_of(manifest: Manifest) -> int:
    return sum(record.size for record in manifest.files.values())


def _providers() -> list[str]:
    from app.models.onnx_runtime import onnxruntime

    return list(onnxruntime.get_available_providers())


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
