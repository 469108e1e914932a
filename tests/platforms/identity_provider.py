"""An identity provider on loopback: a discovery document, signing keys, and whatever tokens a test wants."""

from __future__ import annotations

import json
import threading
import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from generic.faulty_server import Answer, Fault, FaultyServer
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "assistant"
SUBJECT = "alice"
GONE = object()  # a claim that a token is to lack


@cache
def private_key(name: str) -> Any:
    """One key a name for the whole run: RSA ones take long to make."""
    if name.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=1024 if name == "rsa-short" else 2048)
    return ec.generate_private_key(ec.SECP256R1()) if name.startswith("ec") else ed25519.Ed25519PrivateKey.generate()


def public_jwk(name: str, **more: Any) -> dict[str, Any]:
    """The public key, as a JWKS lists it under its name."""
    key = private_key(name).public_key()
    kind = RSAAlgorithm if name.startswith("rsa") else ECAlgorithm if name.startswith("ec") else OKPAlgorithm
    value: dict[str, Any] = json.loads(kind.to_jwk(key))
    value.pop("key_ops", None)
    return {**value, "kid": name, "use": "sig", **more}


class IdentityProvider:
    """``keys`` are those that it lists now; ``asked`` the paths that it was asked for; ``faults`` what goes wrong next."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [public_jwk(name) for name in ("rsa", "ec", "ed")]
        self.asked: list[str] = []
        self.faults: list[Fault] = []
        self.issuer_it_says: str | None = None
        self._server = FaultyServer("127.0.0.1", 0, self._handle, self._fault)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def jwks_url(self) -> str:
        return f"{self.issuer}/keys"

    def token(self, key: str = "rsa", algorithm: str = "RS256", *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        now = int(time.time())
        values = {"iss": self.issuer, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 300, "scope": "ask", **claims}
        values = {name: value for name, value in values.items() if value is not GONE}
        return jwt.encode(values, private_key(key), algorithm=algorithm, headers={"kid": key, **(headers or {})})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, _method: str, path: str, _headers: dict[str, str], _body: bytes) -> Answer:
        self.asked.append(path)
        if path == "/keys":
            return Answer(200, {"keys": self.keys})
        if path == "/.well-known/openid-configuration":
            return Answer(200, {"issuer": self.issuer_it_says or self.issuer, "jwks_uri": self.jwks_url})
        return Answer(404, {})

    def _fault(self, path: str) -> Fault | None:
        if self.faults and self.faults[0].path == path:
            self.asked.append(path)
            return self.faults.pop(0)
        return None
