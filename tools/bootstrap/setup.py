"""The steps of the set-up and their order; nothing at all where nothing has changed."""

from __future__ import annotations

import argparse
import fcntl
import os
import shlex
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.bootstrap import fingerprint
from tools.bootstrap.display import Display
from tools.bootstrap.steps import Step, StepError, run_all, run_command
from tools.pulumi.environment import ensure_state, with_folders

CHECKOUT = Path(__file__).resolve().parents[2]
INTERVAL = 0.1  # seconds between two looks at the steps
LAST_LINES = 15
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")  # Debian and Ubuntu, Fedora and its like


def trusting(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` in which pip, uv and the steps' own clients trust what the system trusts.

    Networks that re-sign TLS put their authority there; pip (before 24.2) and httpx carry a list of their own instead.
    """
    candidates = [environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *BUNDLES]
    bundle = next((path for path in candidates if path and Path(path).exists()), None)
    wanted = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if bundle:
        wanted |= {"SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle, "PIP_CERT": bundle}
    return {**wanted, **environ}


def index_of_pip(listing: str, environ: Mapping[str, str]) -> dict[str, str]:
    """uv's variables for the index that pip is configured to use (`pip config list`): uv does not read pip's files."""
    known = {}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        known[name.rpartition(".")[2]] = value.strip().strip("'\"")
    wanted = {"UV_DEFAULT_INDEX": known.get("index-url"), "UV_INDEX": known.get("extra-index-url")}
    return {name: value for name, value in wanted.items() if value and name not in environ}


class Setup:
    """The set-up of one checkout. `extra` are steps of the caller's, name -> command, run once the packages are there."""

    def __init__(self, checkout: Path, environ: Mapping[str, str], extra: Mapping[str, str]) -> None:
        self.checkout = checkout
        self.environment = checkout / fingerprint.ENVIRONMENT
        self.python = self.environment / "bin" / "python"
        self.extra = extra
        self.tools: list[Path] = []
        self.environ = trusting(environ) | {
            "PATH": with_folders(environ.get("PATH", os.defpath), [self.environment / "bin"]),
            "VIRTUAL_ENV": str(self.environment),
            "PYTHONUNBUFFERED": "1",
        }

    def steps(self) -> list[Step]:
        named = [
            Step(name="environment", run=self.make_environment),
            Step(name="packages", run=self.install_packages, after=("environment",)),
            Step(name="engine", run=self._tool("tools.pulumi", "pulumi"), after=("environment",)),
            Step(name="redis", run=self._tool("tools.redis", ""), after=("packages",)),
        ]
        return named + [Step(name=name, run=self._extra(words), after=("packages",)) for name, words in self.extra.items()]

    def make_environment(self, step: Step) -> None:
        """A virtual environment of this Python at this place; one of another, or one cut short, is made anew."""
        (self.environment / fingerprint.STAMP).unlink(missing_ok=True)
        if self.environment.exists() and not (self.environment / "pyvenv.cfg").exists() and any(self.environment.iterdir()):
            raise StepError(f"{self.environment} is there, but is no virtual environment. Move it away and try again.")
        if not self.usable():
            run_command(step, [sys.executable, "-m", "venv", "--clear", self.environment], self.checkout, self.environ)

    def usable(self) -> bool:
        """Whether .venv runs, with pip, this Python's version, and scripts that name this place."""
        question = "import pip, sys; print(sys.version_info[:3] == tuple(map(int, sys.argv[1].split('.'))), sys.prefix)"
        version = ".".join(map(str, sys.version_info[:3]))
        try:
            done = subprocess.run([self.python, "-c", question, version], capture_output=True, text=True, check=False)
            named = (self.environment / "bin" / "activate").read_text(encoding="utf-8")
        except OSError:
            return False
        return done.stdout.strip() == f"True {self.environment}" and str(self.environment) in named

    def install_packages(self, step: Step) -> None:
        """uv by pip, the locked packages by uv, this project itself as a link to the checkout."""
        folder, environ = self.checkout, dict(self.environ)
        pip = [str(self.python), "-m", "pip"]
        lock = "requirements/bootstrap.lock"
        run_command(step, [*pip, "install", "--require-hashes", "--no-deps", "-r", lock], folder, environ)
        listed = subprocess.run([*pip, "config", "list"], env=environ, capture_output=True, text=True, check=False)
        environ |= index_of_pip(listed.stdout, environ)
        uv = [str(self.python), "-m", "uv", "pip"]
        run_command(step, [*uv, "sync", "--require-hashes", "requirements/development.lock"], folder, environ)
        own = ["install", "--no-deps", "--no-build-isolation", "--editable", "."]
        run_command(step, [*uv, *own], folder, environ)

    def _tool(self, module: str, name: str) -> Callable[[Step], None]:
        """A step that runs a module which prints the path of a tool, or its folder if the tool has a `name`."""

        def run(step: Step) -> None:
            path = Path(run_command(step, [self.python, "-m", module], self.checkout, self.environ)) / name
            self.tools.append(path)

        return run

    def _extra(self, command: str) -> Callable[[Step], None]:
        def run(step: Step) -> None:
            run_command(step, shlex.split(command), self.checkout, self.environ)

        return run


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 tools/bootstrap/__main__.py", description="Set this checkout up.")
    also = "a further step, run in .venv once the packages are there"
    parser.add_argument("--also", action="append", default=[], metavar="NAME=COMMAND", help=also)
    options = parser.parse_args(arguments)
    extra = {}
    for entry in options.also:
        name, equals, command = entry.partition("=")
        if not (name and equals and command):
            parser.error(f"--also takes NAME=COMMAND, not {entry!r}")
        extra[name] = command
    state = CHECKOUT / fingerprint.STATE
    ensure_state(state)
    with (state / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another set-up of this checkout runs; waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if fingerprint.up_to_date(CHECKOUT, arguments):
            return 0
        inputs = fingerprint.digest(CHECKOUT, arguments)  # before the work: what changes under it is done again next time
        setup = Setup(CHECKOUT, os.environ, extra)
        code = perform(setup, state / "logs" / "setup")
        if code == 0:
            fingerprint.write(CHECKOUT, inputs, setup.tools)
        return code


def perform(setup: Setup, logs: Path) -> int:
    """Run the steps before the user's eyes; 0, or 1 with the reason on the screen, or 130 when interrupted."""
    steps = setup.steps()
    print("Setting up this checkout; once.", file=sys.stderr)
    start = time.monotonic()
    try:
        well = run_all(steps, logs, Display(steps, sys.stderr).watch, INTERVAL)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on where this one ended.", file=sys.stderr)
        return 130
    if well:
        print(f"Set up in {time.monotonic() - start:.0f} s.\n", file=sys.stderr)
        return 0
    for step in steps:
        if step.state == "failed":
            problem = "\n".join(f"  {line}" for line in step.problem.splitlines()[-LAST_LINES:])
            print(f"\n{step.name} failed:\n{problem}\nAll it wrote: {step.log}", file=sys.stderr)
    return 1
