"""A client of a running assistant, built from nothing but its stack's outputs."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2


class AssistantError(Exception):
    """The assistant could not be reached or refused; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Assistant:
    """``url`` and ``api_key`` as exported by the stack; ``ca_certificate`` is PEM, or None for a public authority."""

    url: str
    api_key: str
    ca_certificate: str | None
    make_option: str = ""  # what a `make` command needs besides, to mean this stack

    @classmethod
    def from_outputs(cls, outputs: Mapping[str, Any], make_option: str = "") -> Assistant:
        if not outputs.get("url"):
            raise AssistantError(f"This stack has no assistant yet. Bring it up with: make up{make_option}")
        return cls(
            url=outputs["url"],
            api_key=outputs["apiKey"],
            ca_certificate=outputs.get("caCertificate"),
            make_option=make_option,
        )

    @property
    def advice(self) -> str:
        return f"See what is wrong with: make refresh up{self.make_option}"

    def client(self, *, timeout: float = 120.0) -> httpx2.Client:
        context = ssl.create_default_context(cadata=self.ca_certificate)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return httpx2.Client(base_url=self.url, verify=context, headers=headers, timeout=timeout, trust_env=False)

    def ask(self, question: str, context: str = "") -> str:
        """``POST /api/v1/answer``. Raises :class:`AssistantError`."""
        body = self._call("POST", "/api/v1/answer", {"question": question, "context": context})
        return str(body["answer"])

    def trace(self, key: str) -> dict[str, Any]:
        """``GET /api/v1/events/{key}``: state and timeline of one event."""
        return self._call("GET", f"/api/v1/events/{quote(key, safe='')}")

    def _call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        try:
            with self.client() as client:
                response = client.request(method, path, json=body)
        except httpx2.HTTPError as error:
            raise AssistantError(f"{self.url} does not answer ({error}). {self.advice}") from error
        try:
            document: dict[str, Any] = response.json()
        except ValueError:
            raise AssistantError(
                f"{response.status_code} from {self.url}{path}, and no JSON: something before it answers"
            ) from None
        if response.is_error:
            raise AssistantError(f"{response.status_code} from {path}: {document.get('error', {}).get('message', document)}")
        return document
