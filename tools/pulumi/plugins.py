"""A provider's plugin: looked for where the engine looks, else installed before anything is changed.

The Python SDK names the version. The engine would fetch a missing plugin itself, in the middle of an update and with five
lines about DNS where it cannot; here it is fetched first, and a refusal says what to do.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.cache import Report
from tools.pulumi.errors import InstallError

INSTALL_SECONDS = 600  # 40 MB over a slow line
ARCHIVES = "https://get.pulumi.com/releases/plugins"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def executable(provider: str) -> str:
    return f"pulumi-resource-{provider}"


def version_of(provider: str) -> str:
    """The plugin's version, as the installed SDK ``pulumi_<provider>`` asks for it."""
    found = importlib.util.find_spec(f"pulumi_{provider.replace('-', '_')}")
    if found is None or not found.submodule_search_locations:
        raise InstallError(f"the Python package pulumi-{provider} is not installed; set it up with: make environment")
    description = Path(next(iter(found.submodule_search_locations))) / "pulumi-plugin.json"
    return str(json.loads(description.read_text(encoding="utf-8"))["version"])


def locate(provider: str, version: str, environ: Mapping[str, str]) -> Path | None:
    """The plugin that the engine would run: on PATH, which it takes first, or of this version in its cache."""
    ambient = environ.get("PULUMI_IGNORE_AMBIENT_PLUGINS", "").lower() not in ("true", "1")
    if ambient and (found := shutil.which(executable(provider), path=environ.get("PATH", os.defpath))):
        return Path(found)
    home = Path(environ.get("PULUMI_HOME") or Path(environ.get("HOME") or Path.home()) / ".pulumi")
    cached = home / "plugins" / f"resource-{provider}-v{version}" / executable(provider)
    return cached if os.access(cached, os.X_OK) else None


def ensure(provider: str, environ: Mapping[str, str], report: Report) -> Path:
    """Find the plugin or install it with the ``pulumi`` on ``environ``'s PATH. Raises :class:`InstallError`."""
    version = version_of(provider)
    if found := locate(provider, version, environ):
        return found
    report(f"installing Pulumi's {provider} plugin {version}, once (~/.pulumi/plugins)")
    try:
        done = subprocess.run(
            ["pulumi", "plugin", "install", "resource", provider, version],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InstallError(refusal(provider, version, f"nothing arrived within {INSTALL_SECONDS} s")) from None
    found = locate(provider, version, environ)
    if done.returncode or found is None:
        raise InstallError(refusal(provider, version, reason(done.stdout)))
    return found


def reason(screen: str) -> str:
    """The engine's own reason, without its retries."""
    lines = [line.strip() for line in screen.splitlines() if line.strip() and not line.strip().startswith("Will retry")]
    for start in ("warning: Error downloading plugin: ", "error: "):
        if told := [line.removeprefix(start) for line in lines if line.startswith(start)]:
            return told[-1]
    return lines[-1] if lines else "pulumi plugin install failed and said nothing"


def refusal(provider: str, version: str, why: str) -> str:
    system = os.uname()
    architecture = ARCHITECTURES.get(system.machine, system.machine)
    archive = f"{executable(provider)}-v{version}-{system.sysname.lower()}-{architecture}.tar.gz"
    return f"""\
Pulumi's {provider} plugin {version} is not on this machine, and installing it failed:
  {why}
Nothing was changed. Get the plugin in one of these ways, then try again:
  - where this machine reaches get.pulumi.com or github.com (a proxy: HTTPS_PROXY; an authority of its own: SSL_CERT_FILE):
      . tools/activate && pulumi plugin install resource {provider} {version}
  - from an archive, fetched where the internet is and carried here ({ARCHIVES}/{archive}):
      . tools/activate && pulumi plugin install resource {provider} {version} --file {archive}
  - from a mirror of that folder:
      . tools/activate && pulumi plugin install resource {provider} {version} --server <its address>"""
