"""A GGUF file over HTTPS, from a model hub or any server: resumed where it was cut off, redirected to HTTPS alone.

A token goes to the hub that it is for and to nobody else: hubs redirect to the stores of others. The hub's way of naming a
file: https://huggingface.co/docs/hub/models-downloading. Whose bytes they are is not judged here: the caller compares the
SHA-256.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx2

from app.models.errors import SourceError
from app.models.sources import Source
from app.settings import ModelHubSettings

TIMEOUT = httpx2.Timeout(60.0, connect=15.0)  # seconds: between two pieces, and to be let in
MAX_REDIRECTS = 5
TRIES = 5  # in a row without a byte
LONGEST_PAUSE_SECONDS = 30.0
TOTAL = re.compile(r"bytes (?:(?P<start>\d+)-\d+|\*)/(?P<total>\d+)")

Share = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Place:
    """``name``: for people, without a query. ``token``: for the host of ``url`` alone."""

    url: str
    name: str
    token: str | None = field(default=None, repr=False)
    advice: str


class Interrupted(Exception):
    """The exchange broke off, or the server asks to come again after ``seconds``."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


def place_of(source: Source, hub: ModelHubSettings) -> Place:
    if source.scheme == "https":
        return Place(
            url=source.uri, name=source.uri, advice="this source has no login: download it yourself and name it as file:"
        )
    repository, _, revision = source.place.partition("@")
    endpoint = hub.hf_endpoint.rstrip("/")
    return Place(
        url=f"{endpoint}/{repository}/resolve/{revision}/{quote(source.member or '')}",
        name=source.uri,
        token=hub.hf_token.get_secret_value() if hub.hf_token else None,
        advice=f"the model is gated or private, or there is no such repository: accept its terms at {endpoint}/{repository}"
        " and give a token of that account in the file that HF_TOKEN_FILE names",
    )


def download(place: Place, path: Path, report: Share, pause: Callable[[float], None] = time.sleep) -> None:
    """Have the whole file in ``path``; what is in it already counts as its beginning. Raises :class:`SourceError`."""
    failures, verify = 0, ssl.create_default_context()
    with httpx2.Client(verify=verify, timeout=TIMEOUT, follow_redirects=False) as client:
        while True:
            before = _size(path)
            try:
                _fetch(client, place, path, report)
                return
            except Interrupted as error:
                failures = 0 if _size(path) > before else failures + 1
                if failures >= TRIES:
                    raise SourceError(f"{place.name}: {error}; tried {TRIES} times") from None
                pause(min(error.seconds if error.seconds is not None else 2.0**failures, LONGEST_PAUSE_SECONDS))


def _fetch(client: httpx2.Client, place: Place, path: Path, report: Share) -> None:
    """One attempt. Raises :class:`Interrupted` where another may go on."""
    url, host = httpx2.URL(place.url), httpx2.URL(place.url).host
    # The causes are cut (`from None`): the client's exceptions carry the request, and that the token.
    try:
        for _ in range(MAX_REDIRECTS + 1):
            begin = _size(path)
            with client.stream("GET", url, headers=_headers(place, url, begin)) as response:
                if response.is_redirect:
                    url = _next(place, url, response.headers.get("Location", ""))
                    continue
                _save(place, response, path, begin, report)
                return
    except httpx2.HTTPError as error:
        raise Interrupted(f"the download from {host} broke off ({type(error).__name__})") from None
    raise SourceError(f"{place.name}: more than {MAX_REDIRECTS} redirects")


def _headers(place: Place, url: httpx2.URL, begin: int) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}  # the digest is of the file as it is
    home = httpx2.URL(place.url)
    if place.token and (url.scheme, url.host, url.port) == (home.scheme, home.host, home.port):
        headers["Authorization"] = f"Bearer {place.token}"
    return headers | ({"Range": f"bytes={begin}-"} if begin else {})


def _next(place: Place, url: httpx2.URL, location: str) -> httpx2.URL:
    try:
        target = url.join(location)
    except httpx2.InvalidURL:
        raise SourceError(f"{place.name}: {url.host} redirects to what is no address") from None
    if target.scheme != "https" or not location:
        raise SourceError(
            f"{place.name}: {url.host} redirects to {target.scheme or 'nothing'}://{target.host}; only https is followed"
        )
    return target


def _save(place: Place, response: httpx2.Response, path: Path, begin: int, report: Share) -> None:
    status = response.status_code
    span = TOTAL.fullmatch(response.headers.get("Content-Range", ""))
    if status == 416 and begin:  # nothing after what is there: all of it, or of another file
        if span and int(span["total"]) == begin:
            return
        path.unlink()
        raise Interrupted("the server has another file now", 0.0)
    if status == 206:
        if not span or span["start"] is None or int(span["start"]) != begin:
            path.unlink(missing_ok=True)
            raise Interrupted("the server sent another part than the one asked for", 0.0)
        total = int(span["total"])
    elif status == 200:
        begin, total = 0, int(response.headers.get("Content-Length", "0"))
    else:
        _refuse(place, response)
    with path.open("r+b" if begin else "wb") as file:
        file.seek(begin)
        for chunk in response.iter_raw():  # as it comes: what is gathered first would be lost when the connection is cut
            file.write(chunk)
            begin += len(chunk)
            if total:
                report(min(1.0, begin / total))
    if total and begin != total:
        raise Interrupted(f"{begin} of {total} bytes came")


def _refuse(place: Place, response: httpx2.Response) -> None:
    status, host = response.status_code, response.url.host
    if status in (401, 403):
        raise SourceError(f"{place.name}: {host} refuses it ({status}): {place.advice}")
    if status in (404, 410):
        raise SourceError(f"{place.name}: {host} has no such file ({status}): check repository or path, revision and file name")
    if status == 429 or status >= 500:
        wait = response.headers.get("Retry-After", "").strip()
        raise Interrupted(f"{host} answers {status}", float(wait[:9]) if wait.isascii() and wait.isdigit() else None)
    raise SourceError(f"{place.name}: {host} answers {status}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
