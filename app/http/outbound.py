"""Calls to other services: one deadline round the whole exchange, a bounded answer, no redirects.

A redirect would carry a signed body or a token to an address that nobody configured, and an answer of any size would be read
into memory; both are refused here once, for every client of the application.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx2

MAX_ANSWER_BYTES = 256 * 1024
MAX_RETRY_AFTER_SECONDS = 3600.0  # who asks for longer is asked again after an hour


class CallFailed(Exception):
    """No usable answer came. The message names the host and the kind of failure, never what was sent.

    ``sent``: whether the request may have reached the other side (False for a refused connection or an unknown host).
    ``timed_out``: it did, and the answer took too long.
    """

    def __init__(self, message: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.sent, self.timed_out = sent, timed_out


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: httpx2.Headers = field(repr=False)
    body: bytes = field(repr=False)  # what is longer than the limit is cut, and so is no valid JSON any more

    @property
    def retry_after(self) -> float | None:
        """``Retry-After`` in seconds; None if absent or a date, which few send and none of ours."""
        value = self.headers.get("Retry-After", "").strip()
        return min(float(value[:9]), MAX_RETRY_AFTER_SECONDS) if value.isascii() and value.isdigit() else None


def client_for(url: str) -> httpx2.AsyncClient:
    """A client of the service at ``url``. The environment's proxies apply, but not to this machine itself."""
    return httpx2.AsyncClient(trust_env=not is_loopback(httpx2.URL(url).host))


async def post(
    client: httpx2.AsyncClient, url: str | httpx2.URL, body: bytes, headers: Mapping[str, str], timeout_seconds: float
) -> Answer:
    """POST ``body`` and read the answer, all within ``timeout_seconds``. Raises :class:`CallFailed`."""
    return await exchange(client, "POST", url, body, headers, timeout_seconds)


async def get(client: httpx2.AsyncClient, url: str | httpx2.URL, headers: Mapping[str, str], timeout_seconds: float) -> Answer:
    """GET ``url``, under the same bounds. Raises :class:`CallFailed`."""
    return await exchange(client, "GET", url, None, headers, timeout_seconds)


async def exchange(
    client: httpx2.AsyncClient,
    method: str,
    url: str | httpx2.URL,
    body: bytes | None,
    headers: Mapping[str, str],
    timeout_seconds: float,
) -> Answer:
    host = httpx2.URL(url).host
    # No decompression: a small answer must not become a large one.
    sent = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
    # Half the time to be let in, so that who cannot be reached is told from who does not answer.
    limits = httpx2.Timeout(timeout_seconds, connect=timeout_seconds / 2, pool=timeout_seconds / 2)
    # The causes are cut (`from None`): the client's exceptions carry the request, and that the credentials.
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            client.stream(method, url, content=body, headers=sent, timeout=limits, follow_redirects=False) as response,
        ):
            return Answer(response.status_code, response.headers, await _bounded(response))
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
        raise CallFailed(f"{host} could not be reached ({type(error).__name__})", sent=False) from None
    except (TimeoutError, httpx2.TimeoutException):
        raise CallFailed(f"{host} did not answer within {timeout_seconds:g} s", sent=True, timed_out=True) from None
    except httpx2.HTTPError as error:
        raise CallFailed(f"the exchange with {host} broke off ({type(error).__name__})", sent=True) from None


async def _bounded(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw(8192):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            break
    return bytes(body[:MAX_ANSWER_BYTES])


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
