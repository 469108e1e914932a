"""A Python language host for a Pulumi CLI that was built from source, where the official host is not to be had.

The engine starts `pulumi-language-python <engine address>`, reads the port of a gRPC server from the first line of stdout and
calls the service `LanguageRuntime` (pulumi/language.proto; the SDK carries the generated stubs). It runs programs and policy
packs; what the official host does beyond that (installing dependencies, type checking, debugging, code generation) it refuses.

It is copied into the cache beside the CLI, so it imports nothing of this repository.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import queue
import shutil
import signal
import stat
import subprocess
import sys
import threading
import types
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

BAIL_EXIT_CODE = 32  # pulumi-language-python-exec: the error is already on the user's screen
MAXIMUM_MESSAGE = 400 * 1024 * 1024  # bytes, as in the engine (rpcutil.GrpcChannelOptions)
GRACE = 2.0  # seconds between asking a program to end and killing it; the engine kills this host after 5
HERE = Path(__file__).resolve().parent


class UserError(Exception):
    """A mistake in the project's configuration, told without a traceback."""


def interpreter(options: Mapping[str, Any], root: Path, environ: Mapping[str, str]) -> Path | str:
    """The Python that runs a program: runtime option `virtualenv` (relative to `root`), else PULUMI_PYTHON_CMD, else ours.

    `root` is the folder of the Pulumi.yaml or PulumiPolicy.yaml that carries the options, as in the official host.
    """
    if options.get("typechecker"):
        raise UserError("runtime option 'typechecker' needs Pulumi's official language host; remove it, or install Pulumi.")
    toolchain = options.get("toolchain") or "pip"
    if toolchain not in ("pip", "uv"):
        raise UserError(f"runtime option 'toolchain' is {toolchain!r}; this language host knows 'pip' and 'uv'.")
    name = options.get("virtualenv") or (".venv" if toolchain == "uv" else None)
    if not name:
        return environ.get("PULUMI_PYTHON_CMD") or sys.executable
    environment = root / Path(str(name)).expanduser()
    if not (environment / "bin" / "python").exists():
        state = "is not a virtual environment" if environment.exists() else "does not exist"
        raise UserError(f"runtime option 'virtualenv' names {environment}, which {state}. Run `make up`, or create it.")
    return environment / "bin" / "python"


def activated(python: Path | str, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` as `source <environment>/bin/activate` would leave it, if `python` belongs to a virtual environment."""
    result = dict(environ)
    path = Path(python)
    if path.parent.name == "bin" and (path.parent.parent / "pyvenv.cfg").exists():
        result.pop("PYTHONHOME", None)
        result["VIRTUAL_ENV"] = str(path.parent.parent)
        result["PATH"] = os.pathsep.join([str(path.parent), environ.get("PATH", os.defpath)])
    return result


def program_arguments(request: Any, engine: str) -> list[str]:
    """Arguments of pulumi-language-python-exec for a RunRequest."""
    given = {
        "project": request.project,
        "stack": request.stack,
        "organization": request.organization,
        "root_directory": request.info.root_directory,
        "pwd": request.pwd,
        "monitor": request.monitor_address,
        "engine": engine,
        "parallel": str(request.parallel),
        "dry_run": "true" if request.dryRun else "false",
    }
    flags = [word for name, value in given.items() if value for word in (f"--{name}", value)]
    program = os.path.normpath(Path(request.info.program_directory) / request.info.entry_point)
    return [*flags, program, *request.args]


def run_error(code: int) -> tuple[str, bool]:
    """(error, bail) of a RunResponse for the exit status of a program; a negative one names the signal that ended it."""
    if code in (0, BAIL_EXIT_CODE):
        return "", code == BAIL_EXIT_CODE
    if code < 0:
        return f"the program was ended by signal {signal.Signals(-code).name}", False
    return f"the program exited with status {code}", False


class Children:
    """The programs that run now, each in a process group of its own, so that they end with this host and not before."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def start(self, arguments: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, process_group=0, **options)
        with self._lock:
            self._running.add(child)
        return child

    def ended(self, child: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(child)

    def stop(self, child: subprocess.Popen[bytes]) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if child.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(child.pid, number)
                child.wait(GRACE)

    def stop_all(self) -> None:
        with self._lock:
            running = list(self._running)
        for child in running:
            self.stop(child)


def stub_modules() -> tuple[types.ModuleType, ...]:
    """The SDK's generated modules, without running `pulumi/__init__.py`: that import alone takes most of a second.

    Raises UserError where this interpreter has no SDK.
    """
    found = importlib.util.find_spec("pulumi")
    if found is None or not found.submodule_search_locations or importlib.util.find_spec("grpc") is None:
        raise UserError(f"{sys.executable} has no Pulumi SDK. Run `make up`, or set PULUMI_PYTHON_CMD to a Python that has it.")
    base = Path(next(iter(found.submodule_search_locations)))
    for name, folder in {"pulumi": base, "pulumi.runtime": base / "runtime"}.items():
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    names = ("language_pb2", "plugin_pb2", "language_pb2_grpc")
    return tuple(importlib.import_module(f"pulumi.runtime.proto.{name}") for name in names)


def create_servicer(engine: str, children: Children) -> Any:
    """The service, as an object that `add_LanguageRuntimeServicer_to_server` takes."""
    messages, plugins, services = stub_modules()
    import grpc
    from google.protobuf.json_format import MessageToDict

    def python_of(info: Any) -> Path | str:
        return interpreter(MessageToDict(info.options), Path(info.root_directory), os.environ)

    class LanguageHost(services.LanguageRuntimeServicer):  # type: ignore[name-defined,misc]
        """Methods not overridden answer UNIMPLEMENTED, which the engine understands."""

        def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
            return messages.LanguageHandshakeResponse()

        def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
            return plugins.PluginInfo(version=(HERE / "VERSION").read_text().strip())

        def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: N802
            # None foretold: the engine fetches a plugin when a resource first needs it, so a stack without AWS fetches none.
            return messages.GetRequiredPackagesResponse()

        def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:  # noqa: N802
            return messages.RuntimeOptionsResponse()

        def About(self, request: Any, context: Any) -> Any:  # noqa: N802
            python = self._checked(python_of, request.info, context)
            command = [python, "-c", "import platform; print(platform.python_version())"]
            version = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
            return messages.AboutResponse(executable=shutil.which(python) or str(python), version=version)

        def GetProgramDependencies(self, request: Any, context: Any) -> Any:  # noqa: N802
            python = self._checked(python_of, request.info, context)
            listing = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
            output = subprocess.run([python, "-c", listing], capture_output=True, text=True, check=False).stdout
            found = sorted(json.loads(output or "{}").items())
            return messages.GetProgramDependenciesResponse(
                dependencies=[messages.DependencyInfo(name=name, version=version) for name, version in found]
            )

        def InstallDependencies(self, request: Any, context: Any) -> Any:  # noqa: N802
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "this language host installs nothing; `make up` sets the project up.")

        def Run(self, request: Any, context: Any) -> Any:  # noqa: N802
            if request.attach_debugger:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "debugging needs Pulumi's official Python language host.")
            try:
                python = python_of(request.info)
            except UserError as error:
                return messages.RunResponse(error=str(error))
            environment = activated(python, os.environ)
            environment["PULUMI_CONFIG"] = json.dumps(dict(request.config))
            environment["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(list(request.configSecretKeys))
            command = [python, "-u", HERE / "pulumi-language-python-exec", *program_arguments(request, engine)]
            # Its output is ours: the engine shows the lines that a language host writes, live.
            child = children.start(command, env=environment, cwd=request.info.program_directory)
            context.add_callback(lambda: children.stop(child))  # the engine hung up
            code = child.wait()
            children.ended(child)
            reason, bail = run_error(code)
            return messages.RunResponse(error=reason, bail=bail)

        def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
            python = self._checked(python_of, request.info, context)
            given = dict(entry.split("=", 1) for entry in request.env if "=" in entry)
            environment = activated(python, given or os.environ)
            program = request.info.program_directory
            # A policy pack is run by the SDK, which takes the engine's address and the pack; other plugins are programs.
            policy_pack = request.kind == "analyzer"
            words = ["-m", "pulumi.policy", *request.args, program] if policy_pack else [program, *request.args]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            child = children.start([python, "-u", *words], env=environment, cwd=request.pwd, **pipes)
            context.add_callback(lambda: children.stop(child))  # the engine hung up
            for name, text in output_of(child):
                yield messages.RunPluginResponse(**{name: text})
            code = child.wait()
            children.ended(child)
            yield messages.RunPluginResponse(exitcode=code)

        def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
            from google.protobuf.empty_pb2 import Empty

            children.stop_all()
            return Empty()

        @staticmethod
        def _checked(decide: Any, info: Any, context: Any) -> Any:
            try:
                return decide(info)
            except UserError as error:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))

    return LanguageHost()


def output_of(child: subprocess.Popen[bytes]) -> Iterator[tuple[str, bytes]]:
    """('stdout' | 'stderr', bytes) as `child` writes them, until both streams end."""
    chunks: queue.Queue[tuple[str, bytes]] = queue.Queue()

    def pump(name: str, stream: Any) -> None:
        while chunk := stream.read1():
            chunks.put((name, chunk))
        chunks.put((name, b""))

    for name, stream in (("stdout", child.stdout), ("stderr", child.stderr)):
        threading.Thread(target=pump, args=(name, stream), daemon=True).start()
    open_streams = 2
    while open_streams:
        name, chunk = chunks.get()
        if chunk:
            yield name, chunk
        else:
            open_streams -= 1


def watch_engine(ended: threading.Event) -> None:
    """The engine holds our stdin open as long as it lives; where stdin is no pipe, a person started us."""
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return
    while os.read(0, 4096):
        pass
    ended.set()


def main(arguments: Sequence[str]) -> int:
    """Serve until the engine is gone or sends SIGINT or SIGTERM. The engine's address is the last argument (pulumi 3.x)."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    children = Children()
    try:
        servicer = create_servicer(arguments[-1] if arguments else "", children)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    import grpc

    limits = [("grpc.max_receive_message_length", MAXIMUM_MESSAGE), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(max_workers=16), options=limits)
    sys.modules["pulumi.runtime.proto.language_pb2_grpc"].add_LanguageRuntimeServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")  # the engine dials 127.0.0.1 without TLS
    server.start()
    print(port, flush=True)
    threading.Thread(target=watch_engine, args=(ended,), daemon=True).start()
    ended.wait()
    children.stop_all()
    server.stop(0)
    sys.stdout.flush()
    os._exit(0)  # no traceback from a thread that still waits for its program


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
