"""Builds the CLI from its Go module, where neither Pulumi's site nor a `pulumi` on PATH is to be had.

Every module is checked against tools/pulumi/go.sum. The Go module proxy is the user's own (GOPROXY, GOFLAGS and the like pass
through). The Python language host's module is not on the proxy, so the one in `language_host/` stands in; what it needs of the
official distribution, two scripts, lies in the CLI's SDK module.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.cache import Report, published, remove
from tools.pulumi import golang
from tools.pulumi.errors import InstallError
from tools.pulumi.version import PULUMI_VERSION

MODULE_FOLDER = Path(__file__).parent
HOST_FOLDER = Path(__file__).with_name("language_host")
COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK = "github.com/pulumi/pulumi/sdk/v3"
SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
LINKER_FLAGS = f"-s -w -X {SDK}/go/common/version.Version=v{PULUMI_VERSION}"
SPACE = 4 << 30  # bytes; sources and Go's build cache, 2.2 GB measured, and as much again for the linker and for luck
# Share of the whole, measured on 2 cores with empty caches: sources 45 s, compiling 330 s, linking 15 s.
SOURCES, COMPILING = 12, 84


def host_files() -> list[Path]:
    """The language host, as it stands in this checkout."""
    return sorted(file for file in HOST_FOLDER.iterdir() if file.is_file())


def host_digest() -> str:
    """Names the host's content: clones of different commits share the CLI, each with its own host."""
    digest = hashlib.sha256()
    for file in host_files():
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


class SourceBuild:
    """The CLI that was built, and beside it the language host."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._command_line = cache / "build"
        self.folder = cache / f"build-{host_digest()}"

    def ready(self) -> bool:
        return (self.folder / "pulumi").exists()

    def compiled(self) -> bool:
        """Whether the CLI itself is there; a host of another commit may lie beside it."""
        return (self._command_line / "pulumi").exists()

    def install(self, environ: Mapping[str, str], report: Report) -> None:
        """Build what is missing. Raises `InstallError` with the compiler's last lines."""
        if not self.compiled():
            with published(self._command_line) as partial:
                self._build(partial, environ, report)
        if not self.ready():
            self._assemble()

    def _assemble(self) -> None:
        with published(self.folder) as partial:
            for file in self._command_line.iterdir():
                link_or_copy(file, partial / file.name)
            for file in host_files():
                shutil.copy(file, partial / file.name)
            (partial / "VERSION").write_text(f"{PULUMI_VERSION}\n", encoding="ascii")

    def _build(self, folder: Path, environ: Mapping[str, str], report: Report) -> None:
        go = golang.ensure(self._cache, environ, report)
        report(f"building Pulumi {PULUMI_VERSION} from its Go module ({go.explanation}); this takes 3 to 8 minutes, once")
        environment = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", **environ}  # no C compiler needed, as in the official build
        workplace = self._cache / "go" / "work"
        if not go.borrowed:
            # Nobody's own Go: two gigabytes of its caches would stay in the home directory for nothing.
            require_space(self._cache, shutil.disk_usage(self._cache).free)
            environment |= {"GOPATH": str(workplace / "path"), "GOCACHE": str(workplace / "build")}
        run = GoCommand(go.executable, environment, Progress(report))
        packages = run.list_packages()
        run.build(folder / "pulumi", packages)
        sources = Path(run.output("list", "-m", "-f", "{{.Dir}}", SDK).strip())
        for script in SCRIPTS:
            copied = folder / Path(script).name
            shutil.copyfile(sources / script, copied)
            copied.chmod(0o755)
        if not go.borrowed:
            report("removing Go and its caches again, 2 GB")
            remove(self._cache / "go")


def require_space(folder: Path, free: int) -> None:
    """Refuse to begin what cannot end. `free` is in bytes. Raises `InstallError`."""
    if free < SPACE:
        raise InstallError(
            f"building Pulumi needs {SPACE >> 30} GB for a few minutes, and {folder} has {free / (1 << 30):.1f} GB free. "
            "Make room, or name a larger disk in XDG_CACHE_HOME."
        )


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link, so that the engine finds its plugins beside itself and 110 MB lie on the disk once."""
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


class Progress:
    """Turns the Go command's lines into 'NN %' of the whole, with the seconds that it took."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._start = time.monotonic()

    def say(self, percent: float, what: str) -> None:
        self._report(f"building Pulumi {PULUMI_VERSION}: {percent:.0f} % {what}, {time.monotonic() - self._start:.0f} s")


class GoCommand:
    """The Go command in the folder of our go.mod."""

    def __init__(self, executable: Path, environment: Mapping[str, str], progress: Progress) -> None:
        self._executable = executable
        self._environment = dict(environment)
        self._progress = progress

    def list_packages(self) -> int:
        """Fetch the sources; return how many packages are not in Go's build cache yet."""
        modules = len((MODULE_FOLDER / "go.sum").read_text(encoding="ascii").split("/go.mod h1:")) - 1
        fetched = 0

        def watch(line: str) -> None:
            nonlocal fetched
            if line.startswith("go: downloading"):
                fetched += 1
                self._progress.say(min(SOURCES, SOURCES * fetched / modules), f"(module {fetched}, at most {modules})")

        stale = self.output("list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", COMMAND, watch=watch)
        return len(stale.split())

    def build(self, target: Path, packages: int) -> None:
        done = 0

        def watch(line: str) -> None:
            nonlocal done
            done += 1
            share = SOURCES + COMPILING * min(1.0, done / max(packages, 1))
            what = f"(package {done} of {packages})" if done < packages else "(linking)"
            self._progress.say(share, what)

        self._progress.say(SOURCES, f"({packages} packages to compile)" if packages else "(linking)")
        self.output("build", "-v", "-ldflags", LINKER_FLAGS, "-o", str(target), COMMAND, watch=watch)
        self._progress.say(100, "(done)")

    def output(self, *arguments: str, watch: Callable[[str], None] = lambda line: None) -> str:
        """Standard output of a Go command; `watch` sees each line of standard error. Raises `InstallError`."""
        try:
            return golang.run(self._executable, arguments, MODULE_FOLDER, self._environment, watch)
        except golang.GoFailed as failure:
            raise InstallError(
                f"`go {arguments[0]}` failed while building Pulumi {PULUMI_VERSION}:\n{failure}\n"
                f"Or put Pulumi {PULUMI_VERSION} on PATH (https://www.pulumi.com/docs/install), then try again."
            ) from None
