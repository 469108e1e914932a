"""The secrets that compose mounts, and ``app/.env``: made once, at random, for their owner alone."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

KEY_BYTES = 32
HEADER = "# For docker compose and podman-compose. Made by `make compose-up`; what you change here stays, but for the images.\n"


def ensure(folder: Path) -> None:
    """Have all secrets in ``folder``; those that are there stay.

    The folder is the owner's alone. The files in it can be read by all, since compose mounts them as they are, and the user
    in a container is another.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    _have(folder / "gateway_api_key", secrets.token_urlsafe(KEY_BYTES))
    _have(folder / "generic_webhook_secret", "whsec_" + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
    _have(folder / "token_key", base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
    password = _have(folder / "redis_password", secrets.token_urlsafe(KEY_BYTES))
    _write(folder / "redis_users", redis_users(password))


def redis_users(password: str) -> str:
    """Redis' ACL file: one user, its password as the SHA-256 that Redis itself keeps."""
    return f"user default on sanitize-payload #{hashlib.sha256(password.encode()).hexdigest()} ~* &* +@all\n"


def ensure_environment(path: Path, values: Mapping[str, str]) -> dict[str, str]:
    """Write ``values`` into the ``.env`` file at ``path`` beside what stands there; all its values. Mode 0600.

    ``PLATFORM_API_KEY``, the key between gateway and ai-service, is made where it is missing.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else HEADER
    made = {} if parse(before).get("PLATFORM_API_KEY") else {"PLATFORM_API_KEY": secrets.token_urlsafe(KEY_BYTES)}
    text = with_values(before, {**made, **values})
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")
    return parse(text)


def parse(text: str) -> dict[str, str]:
    """The values of a ``.env`` file as this module writes it: ``NAME=value`` lines."""
    return {found[1]: found[2].strip() for found in re.finditer(r"^(\w+)=(.*)$", text, re.MULTILINE)}


def with_values(text: str, values: Mapping[str, str]) -> str:
    """``text`` with each of ``values`` in its line, or in a new one at the end."""
    lines = text.splitlines()
    for name, value in values.items():
        line = f"{name}={value}"
        places = [number for number, old in enumerate(lines) if old.startswith(f"{name}=")]
        if places:
            lines[places[-1]] = line
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _have(path: Path, value: str) -> str:
    if not path.exists():
        _write(path, value)
    return path.read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # 0444: not even its owner writes over it
    path.write_text(text, encoding="utf-8")
    path.chmod(0o444)
