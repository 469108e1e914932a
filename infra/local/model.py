"""The model: fetched, converted, quantised and measured by ``python -m app.models``, into a cache that checkouts share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from app.models.errors import ModelError
from app.models.manifest import verify
from infra.local import tether
from infra.local.provider import (
    LocalError,
    LocalProvider,
    Props,
    changed_inputs,
    inputs_of,
    present,
    update_or_replace,
)

GATE_MISSED = 3  # exit status of app.models: converted, but too far from the FP32 form
LAST_LINES = 20
# Our names for what app.models reports.
RESULTS = {"path": "path", "modelName": "name", "digest": "digest", "kl": "kl", "top1": "top1"}


class ModelProvider(LocalProvider):
    """Inputs: ``source``, ``sha256``, ``precision``, ``maxKl``, ``minTop1``, ``code`` (digest of the converter).

    Outputs besides: ``path``, ``modelName``, ``digest``, ``kl``, ``top1``, ``status`` (ok, or what is wrong with the entry).
    Deleting leaves the cache alone: other checkouts use it.
    """

    def create(self, props: Props) -> CreateResult:
        outputs = make(props)
        return CreateResult(str(outputs["digest"]), outputs)

    def read(self, id_: str, props: Props) -> ReadResult:
        return present(id_, {**inputs_of(props), "status": status(Path(props["path"]), props["digest"])})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = changed_inputs(olds, news)
        if olds.get("status") != "ok":
            changed.append("status")
        return update_or_replace(changed, replaced_by=frozenset())

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(make(news))


def status(path: Path, digest: str) -> str:
    """``ok``, or the first line of what is wrong with the cache's entry."""
    try:
        manifest = verify(path)
    except ModelError as error:
        return str(error).splitlines()[0]
    return "ok" if manifest.digest == digest else f"another model: {manifest.digest}"


def command_of(props: Props) -> list[str]:
    """The command line of ``app.models`` for these inputs."""
    options = {
        "--source": props["source"],
        "--sha256": props.get("sha256"),
        "--precision": props["precision"],
        "--max-kl": f"{props['maxKl']:g}",
        "--min-top1": f"{props['minTop1']:g}",
    }
    given = [word for option, value in options.items() if value is not None for word in (option, value)]
    return [sys.executable, "-m", "app.models", *given]


def make(props: Props) -> Props:
    """Have the model made, showing its progress; the resource's outputs. Raises :class:`LocalError`."""
    result = run(command_of(props), progress=lambda line: print(line, flush=True))  # the engine shows a provider's output
    return {**inputs_of(props), **{ours: result[theirs] for ours, theirs in RESULTS.items()}, "status": "ok"}


def run(command: list[str], progress: Callable[[str], None]) -> dict[str, Any]:
    """Run ``command``; the last line of its standard output is the result.

    The lines of its standard error that begin with ``[`` go to ``progress``; the others are for the error message.
    It ends with this process, also when that is killed: see :mod:`infra.local.tether`. Raises :class:`LocalError`.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}  # not the passphrase
    lines: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        [sys.executable, "-I", "-S", tether.__file__, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr and process.stdout  # noqa: S101 - both are pipes
        for line in process.stderr:  # the result is one line, which a pipe holds until it is read
            if line.startswith("["):
                progress(line.rstrip())
            else:
                lines.append(line.rstrip())
        printed = process.stdout.read().strip().splitlines()
        code = process.wait()
    if code == GATE_MISSED:
        raise LocalError("The model misses its gate:\n" + "\n".join(f"    {line}" for line in lines))
    if code:
        raise LocalError(f"The model could not be made (exit status {code}):\n" + "\n".join(f"    {line}" for line in lines))
    try:
        result = json.loads(printed[-1])
        return {name: result[name] for name in RESULTS.values()}
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise LocalError(f"{' '.join(command[1:4])} reported no result ({type(error).__name__}: {error})") from None


class Model(Resource, module="local", name="Model"):
    """``path`` of the model directory, its ``model_name``, ``digest`` and figures."""

    path: pulumi.Output[str]
    digest: pulumi.Output[str]

    def __init__(
        self, name: str, *, settings: Mapping[str, Any], code: str, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        properties = {**settings, "code": code, "status": None, **dict.fromkeys(RESULTS)}
        super().__init__(ModelProvider(), name, properties, opts)

    @property
    def model_name(self) -> pulumi.Output[str]:
        return cast("pulumi.Output[str]", self.__dict__["modelName"])
