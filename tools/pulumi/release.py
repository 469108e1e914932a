"""Pulumi's own release: the archive that its install script unpacks, checked against the published sha256.

Not `curl https://get.pulumi.com | sh`: that script runs unread, checks no sum, installs into ~/.pulumi and edits the shell's
profile. The archive is the same. Only what a Python program needs is unpacked.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import ssl
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import IO

from tools.cache import Report, published
from tools.pulumi.version import PULUMI_VERSION

BASE_URL = "https://get.pulumi.com/releases/sdk"
TIMEOUT = 4.0  # seconds without an answer: behind a wall that swallows packets, the build must not wait long
CHUNK = 1 << 20
PLATFORMS = {"Linux-x86_64": "linux-x64", "Linux-aarch64": "linux-arm64"}
WANTED = ("pulumi", "pulumi-language-python", "pulumi-language-python-exec", "pulumi-resource-pulumi-python")
OPTIONAL = ("pulumi-analyzer-policy-python",)


class Unavailable(Exception):
    """This way is not open; the next one is tried."""


def archive_name(version: str, system: str, machine: str) -> str:
    """File name of the release for this platform. Raises `Unavailable` where Pulumi publishes none."""
    platform = PLATFORMS.get(f"{system}-{machine}")
    if platform is None:
        raise Unavailable(f"none is published for {system} on {machine}")
    return f"pulumi-v{version}-{platform}.tar.gz"


def published_checksum(listing: str, name: str) -> str:
    """The sha256 of `name` in a `sha256sum` listing. Raises `Unavailable` where it is not listed."""
    for line in listing.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*") == name and len(words[0]) == 64:
            return words[0].lower()
    raise Unavailable(f"its list of checksums does not name {name}")


class Release:
    """The release in the cache. `base_url` may be a mirror of https://get.pulumi.com/releases/sdk."""

    def __init__(self, cache: Path, base_url: str = BASE_URL) -> None:
        self.folder = cache / "release"
        self._base_url = base_url

    def ready(self) -> bool:
        return (self.folder / "pulumi").exists()

    def install(self, report: Report) -> None:
        """Download, check, unpack. Raises `Unavailable` when that is not possible from here."""
        system = os.uname()
        name = archive_name(PULUMI_VERSION, system.sysname, system.machine)
        try:
            with self._open(f"pulumi-{PULUMI_VERSION}-checksums.txt") as answer:
                expected = published_checksum(answer.read(CHUNK).decode(), name)
            with tempfile.TemporaryFile() as archive:
                self._download(name, archive, expected, report)
                with published(self.folder) as partial:
                    unpack(archive, partial)
        except urllib.error.HTTPError as error:
            raise Unavailable(f"{error.url} answers {error.code}") from error
        except (urllib.error.URLError, http.client.HTTPException, OSError, ssl.SSLError, tarfile.TarError) as error:
            reason = getattr(error, "reason", error)
            raise Unavailable(f"{self._base_url} could not be used ({reason})") from error

    def _open(self, name: str) -> http.client.HTTPResponse:
        request = urllib.request.Request(f"{self._base_url}/{name}", headers={"User-Agent": "assistant-stack"})  # noqa: S310
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
        return answer

    def _download(self, name: str, archive: IO[bytes], expected: str, report: Report) -> None:
        digest = hashlib.sha256()
        with self._open(name) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            done = 0
            while chunk := answer.read(CHUNK):
                digest.update(chunk)
                archive.write(chunk)
                done += len(chunk)
                share = f" of {total >> 20} MB ({done * 100 // total} %)" if total else " MB"
                report(f"downloading Pulumi {PULUMI_VERSION}: {done >> 20}{share}")
        if digest.hexdigest() != expected:
            raise Unavailable(f"{name} has sha256 {digest.hexdigest()}, published is {expected}; it is not used")
        archive.seek(0)


def unpack(archive: IO[bytes], folder: Path) -> None:
    """The wanted executables of a release, flat, into `folder`; the archive's folders differ between platforms."""
    with tarfile.open(fileobj=archive, mode="r:gz") as members:
        for member in members:
            name = PurePosixPath(member.name).name
            content = members.extractfile(member) if member.isfile() and name in (*WANTED, *OPTIONAL) else None
            if content is None:
                continue
            with content, (folder / name).open("wb") as file:
                shutil.copyfileobj(content, file, CHUNK)
            (folder / name).chmod(0o755)
    missing = [name for name in WANTED if not (folder / name).exists()]
    if missing:
        raise Unavailable(f"the archive lacks {', '.join(missing)}")
