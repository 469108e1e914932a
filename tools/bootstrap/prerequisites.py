"""What the machine must have, checked all at once. Keeps to Python 3.8, so that an old Python can read it and say so."""

import os
import platform
import shutil
import ssl
import sys
from collections import namedtuple

LEAST = (3, 11)
NEWER = ("python3.13", "python3.12", "python3.11", "python3.14")
APT = "sudo apt-get update && sudo apt-get install -y python3 python3-venv make git ca-certificates"
UNTESTED = "ASSISTANT_STACK_UNTESTED_PLATFORM"

Machine = namedtuple("Machine", "python executable system machine libc venv git make certificates apt allowed")
Machine.__doc__ = """What was found: versions, names and booleans. `allowed`: the user wants to try an untested platform."""


def newer_python(version, environ):  # type: (tuple[int, int], os._Environ[str]) -> str | None
    """Another Python on PATH that is new enough, if the running one is not."""
    if version >= LEAST:
        return None
    found = (shutil.which(name, path=environ.get("PATH")) for name in NEWER)
    return next((path for path in found if path), None)


def look_around():  # type: () -> Machine
    return Machine(
        python=sys.version_info[:2],
        executable=sys.executable,
        system=platform.system(),
        machine=platform.machine(),
        libc=platform.libc_ver()[0],
        venv=_importable("venv") and _importable("ensurepip"),
        git=shutil.which("git") is not None,
        make=shutil.which("make") is not None,
        certificates=_certificates(),
        apt=shutil.which("apt-get") is not None,
        allowed=bool(os.environ.get(UNTESTED)),
    )


def check(found):  # type: (Machine) -> str
    """One message with all that is missing and what to do; empty where nothing is."""
    refusal = platform_refusal(found)
    if refusal and not found.allowed:
        return "%s\nTo try all the same: %s=1 make up\n" % (refusal, UNTESTED)  # noqa: UP031
    missing = []
    if found.python < LEAST:
        old = (".".join(map(str, found.python)), found.executable)
        missing.append("Python 3.11 or newer (%s is %s)" % (old[1], old[0]))  # noqa: UP031
    elif not found.venv:
        missing.append("python3-venv (this Python cannot make a virtual environment)")
    if not found.git:
        missing.append("git")
    if not found.make:
        missing.append("make")
    if not found.certificates:
        missing.append("ca-certificates (no authority to check TLS against; or name a bundle in SSL_CERT_FILE)")
    if not missing:
        return ""
    lines = ["Missing on this machine:"] + ["  - " + line for line in missing]
    if found.apt:
        lines += ["Install all of it:", "  " + APT]
    else:
        lines += ["Install them with this system's package manager."]
    if found.python < LEAST:
        lines += ["Is the newer Python not called python3? Then: make PYTHON=python3.12 up"]
    return "\n".join(lines) + "\n"


def platform_refusal(found):  # type: (Machine) -> str
    """Why this platform is not promised; empty on Linux (WSL2 included) with glibc, x86-64 or arm64."""
    if found.system == "Darwin":
        return "macOS is not supported: nothing here is tested on it. Use a Linux machine or virtual machine."
    if found.system != "Linux":
        return "%s is not supported. On Windows use WSL2 (https://learn.microsoft.com/windows/wsl)." % found.system  # noqa: UP031
    if found.machine not in ("x86_64", "aarch64"):
        return "Linux on %s is not supported: x86-64 and arm64 are." % found.machine  # noqa: UP031
    if found.libc != "glibc":
        return "This Linux has no glibc (Alpine?), and ONNX Runtime needs it. Use Debian, Ubuntu, Fedora or the like."
    return ""


def _importable(name):  # type: (str) -> bool
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def _certificates():  # type: () -> bool
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile or (paths.capath and os.listdir(paths.capath)))  # noqa: PTH208
