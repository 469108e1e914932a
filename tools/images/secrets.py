"""What the build alone may know of this network: extra certificate authorities, and which package index pip asks.

Both go in as build secrets, which are in no layer. A bundle of authorities is needed where a network re-signs TLS.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# Whichever of them a user has set names the bundle that this machine's own programs trust.
BUNDLE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
# What a build inside a container can use of pip's settings; a folder of this machine is not there.
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")


def bundle(environ: Mapping[str, str]) -> Path | None:
    """The authorities that this user's programs are told to trust, if any."""
    for name in BUNDLE_VARIABLES:
        if (path := environ.get(name)) and Path(path).is_file():
            return Path(path)
    return None


def pip_configuration(listed: str) -> str:
    """A ``pip.conf`` of the settings that serve in a container, from what ``pip config list`` prints.

    The environment's come last there, and win, as they do in pip.
    """
    values: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if name in PIP_SETTINGS and section in ("global", "install", ":env:"):
            values[name] = value.strip().strip("'\"").replace("\\n", " ")
    return "".join(["[global]\n", *(f"{name} = {value}\n" for name, value in sorted(values.items()))]) if values else ""


@contextmanager
def secrets(environ: Mapping[str, str]) -> Iterator[dict[str, Path]]:
    """The build's secrets by their ids, in files that only this user can read and that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="assistant-build-") as folder:  # mode 0700
        given: dict[str, Path] = {}
        if authorities := bundle(environ):
            given["authorities"] = authorities
        if text := pip_configuration(_pip_config_list(environ)):
            given["pip"] = Path(folder) / "pip.conf"
            given["pip"].write_text(text, encoding="utf-8")
        yield given


def _pip_config_list(environ: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def proxies(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Names of the proxy variables that are set. Engines take them as build arguments and leave them out of the image."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
    return [name for name in names if environ.get(name)]
