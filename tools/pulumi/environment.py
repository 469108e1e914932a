"""The environment in which the engine runs on this checkout: the one source for `make`, the tests and tools/activate."""

from __future__ import annotations

import json
import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from tools.pulumi.engine import locate

CHECKOUT = Path(__file__).resolve().parents[2]
STATE = ".state"
BACKENDS = "backends.json"
PASSPHRASE_BYTES = 32
ACTIVATED = "ASSISTANT_STACK_CHECKOUT"  # whose tools/activate the shell has read
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
LOOPBACK = ("127.0.0.1", "localhost")


def settings(checkout: Path, state: Path, environ: Mapping[str, str], stack: str | None = None) -> dict[str, str]:
    """The variables to set: each only where the user has set none, PATH with our folders in front.

    The engine itself is left out of PATH when it is not installed yet. ``stack``: one whose state `make bootstrap` may have
    given a place of its own, which then goes before the checkout's.
    """
    wanted = {
        ACTIVATED: str(checkout),
        "PULUMI_BACKEND_URL": own_backend(state),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(state / "passphrase"),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_RUN_PROGRAM": "true",  # refresh and destroy see the program's providers as they are now
        "PULUMI_PYTHON_CMD": str(checkout / ".venv" / "bin" / "python"),
    }
    if "PULUMI_CONFIG_PASSPHRASE" in environ:
        del wanted["PULUMI_CONFIG_PASSPHRASE_FILE"]
    # What tools/activate of another checkout has set was not set by the user, and would mix two checkouts' stacks.
    foreign = environ.get(ACTIVATED, str(checkout)) != str(checkout)
    result = {name: value for name, value in wanted.items() if foreign or name not in environ}
    chosen = not foreign and environ.get("PULUMI_BACKEND_URL", own_backend(state)) != own_backend(state)
    if stack and not chosen and (url := backends(state).get(stack)):
        result["PULUMI_BACKEND_URL"] = url
    engine = locate(environ)
    folders = [checkout / ".venv" / "bin", *([engine.folder] if engine else [])]
    result["PATH"] = with_folders(environ.get("PATH", os.defpath), folders)
    return result | without_proxy_for_loopback(environ)


def own_backend(state: Path) -> str:
    """Where a checkout keeps the state of the stacks that have no other place."""
    return f"file://{state / 'pulumi'}"


def backends(state: Path) -> dict[str, str]:
    """The stacks that have a backend of their own, and its address: what `make bootstrap` has written down."""
    record = state / BACKENDS
    return dict(json.loads(record.read_text(encoding="utf-8"))) if record.exists() else {}


def remember_backend(state: Path, stack: str, url: str) -> None:
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = state / f"{BACKENDS}.{os.getpid()}"
    partial.write_text(json.dumps({**backends(state), stack: url}, indent=2) + "\n", encoding="utf-8")
    partial.replace(state / BACKENDS)


def with_folders(path: str, folders: list[Path]) -> str:
    """`path` with `folders` in front, each once."""
    ours = [str(folder) for folder in folders]
    return os.pathsep.join([*ours, *(folder for folder in path.split(os.pathsep) if folder not in ours)])


def without_proxy_for_loopback(environ: Mapping[str, str]) -> dict[str, str]:
    """gRPC and HTTP clients send 127.0.0.1 through a proxy unless told; the engine and the stack talk over it."""
    if not any(environ.get(name) for name in PROXIES):
        return {}
    given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    hosts = [host for host in given.split(",") if host]
    exempt = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
    return {"no_proxy": exempt, "NO_PROXY": exempt}


def engine_environment(
    checkout: Path, state: Path | None = None, *, environment: Mapping[str, str], stack: str | None = None
) -> dict[str, str]:
    """`environment` with all that the engine needs for `checkout`; `state` is `<checkout>/.state` unless given."""
    return {**environment, **settings(checkout, state or checkout / STATE, environment, stack)}


def ensure_state(state: Path) -> None:
    """Make the backend's folder (0700) and the passphrase (0600, 32 random bytes in hexadecimal) unless they are there."""
    (state / "pulumi").mkdir(parents=True, exist_ok=True)
    state.chmod(0o700)
    passphrase = state / "passphrase"
    if passphrase.exists():
        return
    partial = state / f"passphrase.{os.getpid()}"
    descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(PASSPHRASE_BYTES))
    try:
        os.link(partial, passphrase)  # unlike rename, never replaces one that another process has just made
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def exports(variables: Mapping[str, str]) -> str:
    """Lines that bash, zsh and dash evaluate."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
