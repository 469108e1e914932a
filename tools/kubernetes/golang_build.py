"""Builds Go programs from go.mod files of our own, where no release of theirs can be downloaded.

Every module is checked against the go.sum beside its go.mod. The module proxy is the user's own: GOPROXY, GOFLAGS and the like
pass through. Binaries lie in the cache, one folder for each set of inputs, so that clones share them.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.cache import Report, cache_root, exclusive, published
from tools.kubernetes.errors import ClusterError
from tools.pulumi import golang
from tools.pulumi.errors import InstallError

SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class GoProgram:
    """Commands of one module. `folder` holds our go.mod and go.sum; `packages` are import paths of main packages.

    `variables` are strings that the linker sets (`-X`), such as the version that a program says it is.
    """

    name: str
    version: str
    folder: Path
    packages: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)

    def commands(self) -> dict[str, str]:
        """What each package's binary is called, as Go names it: the last part of its path, a major version aside."""
        return {command_name(package): package for package in self.packages}

    def linker_flags(self) -> str:
        return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in sorted(self.variables.items()))])

    def digest(self) -> str:
        """Names the inputs. Go's own version is not among them: a newer compiler is no reason to build again."""
        said = hashlib.sha256(json.dumps([self.version, self.packages, self.linker_flags()]).encode())
        for file in sorted(path for path in self.folder.iterdir() if path.suffix in {".mod", ".sum", ".go"}):
            said.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        return said.hexdigest()[:12]


def command_name(package: str) -> str:
    """`k8s.io/kubernetes/cmd/kubelet` -> kubelet; `example.org/tool/v2` -> tool."""
    *before, last = package.rstrip("/").split("/")
    return before[-1] if before and last[:1] == "v" and last[1:].isdigit() else last


def program_folder(program: GoProgram, environ: Mapping[str, str]) -> Path:
    """Where its binaries lie. A home directory may be shared between machines, hence the platform."""
    system = os.uname()
    place = f"{system.sysname}-{system.machine}-{program.digest()}".lower()
    return cache_root(environ) / "kubernetes" / program.name / program.version / place


def built(program: GoProgram, environ: Mapping[str, str] | None = None) -> dict[str, Path] | None:
    """The binaries by name if they are in the cache; nothing is built."""
    folder = program_folder(program, os.environ if environ is None else environ)
    found = {name: folder / name for name in program.commands()}
    return found if all(os.access(path, os.X_OK) for path in found.values()) else None


def binaries(program: GoProgram, report: Report, environ: Mapping[str, str] | None = None) -> dict[str, Path]:
    """The program's binaries by name, built if need be. Raises `ClusterError` with the compiler's last lines."""
    environ = os.environ if environ is None else environ
    target = program_folder(program, environ)
    found = built(program, environ)
    if found:
        return found
    with exclusive(target.parent, report):
        found = built(program, environ)  # another process may have made them meanwhile
        if not found:
            go = _Go.find(environ, report)
            with published(target) as partial:
                _build(go, program, partial, report)
            found = built(program, environ)
    if not found:
        raise ClusterError(f"{program.name} was built, yet its programs are not in {target}; remove that folder and try again")
    return found


def module_directory(module: str, version: str, report: Report = print, environ: Mapping[str, str] | None = None) -> Path:
    """The sources of a module, read-only, checked by Go against its checksum database. For its manifests and CRDs."""
    go = _Go.find(os.environ if environ is None else environ, report)
    with tempfile.TemporaryDirectory() as nowhere:  # outside any module, so that no go.mod of this checkout has a say
        answer = go.output(["mod", "download", "-json", f"{module}@{version}"], Path(nowhere), f"fetching {module} {version}")
    folder = json.loads(answer).get("Dir")
    if not folder:
        raise ClusterError(f"the Go module proxy gave no sources for {module} {version}: {answer.strip()}")
    return Path(folder)


@dataclass(frozen=True)
class Share:
    """Turns packages compiled into per cent of the whole; linking takes the last tenth."""

    packages: int

    def percent(self, done: int) -> int:
        return min(90, 90 * done // max(self.packages, 1))


class Progress:
    """Passes on a line every few seconds, and says how long it has been."""

    def __init__(self, what: str, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._report, self._clock = what, report, clock
        self._start = clock()
        self._last = -SECONDS_BETWEEN_LINES + self._start

    def say(self, text: str) -> None:
        now = self._clock()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            self._report(f"{self._what}: {text}, {now - self._start:.0f} s")

    def end(self) -> None:
        self._report(f"{self._what}: done in {self._clock() - self._start:.0f} s")


def _build(go: _Go, program: GoProgram, folder: Path, report: Report) -> None:
    what = f"building {program.name} {program.version}"
    report(f"{what} from its Go module ({go.explanation}); once, then it lies in the cache")
    progress = Progress(what, report)
    fetched = compiled = 0

    def fetching(line: str) -> None:
        nonlocal fetched
        if line.startswith("go: downloading"):
            fetched += 1
            progress.say(f"fetching sources, module {fetched}")

    stale = go.output(
        ["list", "-trimpath", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", *program.packages],
        program.folder,
        what,
        fetching,
    )
    share = Share(len(stale.split()))

    def compiling(_line: str) -> None:
        nonlocal compiled
        compiled += 1
        progress.say(f"{share.percent(compiled)} % (package {min(compiled, share.packages)} of {share.packages})")

    for name, package in program.commands().items():  # one by one: linkers side by side need twice the memory
        flags = ["-trimpath", "-v", "-ldflags", program.linker_flags(), "-o", str(folder / name)]
        go.output(["build", *flags, package], program.folder, what, compiling)
    progress.end()


@dataclass(frozen=True)
class _Go:
    executable: Path
    environment: Mapping[str, str]
    explanation: str

    @staticmethod
    def find(environ: Mapping[str, str], report: Report) -> _Go:
        """The one on PATH with the user's caches; else the wheel, which keeps its caches below ours."""
        cache = cache_root(environ) / "kubernetes"
        try:
            go = golang.ensure(cache, environ, report)
        except InstallError as error:
            raise ClusterError(str(error)) from error
        # Static, and no C compiler needed. A program may ask for a newer Go than the one at hand: Go fetches it as any module.
        environment = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", **environ}
        if not go.borrowed:
            work = cache / "go" / "work"
            environment |= {"GOPATH": str(work / "path"), "GOCACHE": str(work / "build")}
        return _Go(go.executable, environment, go.explanation)

    def output(
        self, arguments: Iterable[str], folder: Path, what: str, watch: Callable[[str], None] = lambda line: None
    ) -> str:
        """Standard output of a Go command; `watch` sees each line of standard error. Raises `ClusterError`."""
        command = list(arguments)
        try:
            return golang.run(self.executable, command, folder, self.environment, watch)
        except golang.GoFailed as failure:
            raise ClusterError(f"`go {command[0]}` failed while {what}:\n{failure}") from None
