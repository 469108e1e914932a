"""What a person brings from a platform's developer console: its secrets, one private file each, outside every stack's state.

They lie in ``.state/credentials/<stack>/``, each named as its setting (``slack_bot_token``). ``make connect`` writes them;
they outlive `make down` and go with `make clean`. Which of them a stack needs, its settings say.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.errors import DeploymentError
from infra.local.private_files import make_private_directory, write_private
from infra.platform_settings import Feishu, Platform, Platforms, Slack

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDER = Path(".state") / "credentials"
NAMES: Mapping[str, Platform] = {
    "slack_signing_secret": "slack",
    "slack_bot_token": "slack",
    "slack_client_secret": "slack",
    "slack_app_token": "slack",
    "feishu_app_secret": "feishu",
    "feishu_encrypt_key": "feishu",
    "feishu_verification_token": "feishu",
}
OTHERS = stat.S_IRWXG | stat.S_IRWXO
# RFC 7914. A person may have chosen an encrypt key: what is shown of it must be slow to guess by. 16 MB and 50 ms each.
SCRYPT = {"n": 2**14, "r": 8, "p": 1}


@dataclass(frozen=True)
class Wanted:
    """Names of credentials. ``optional``: used where it is there."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def __add__(self, other: Wanted) -> Wanted:
        return Wanted((*self.required, *other.required), (*self.optional, *other.optional))


def of_slack(slack: Slack) -> Wanted:
    receives = "slack_app_token" if slack.transport == "socketMode" else "slack_signing_secret"
    if slack.client_id is None:
        return Wanted((receives, "slack_bot_token"))
    return Wanted((receives, "slack_client_secret"), ("slack_bot_token",))


def of_feishu(feishu: Feishu) -> Wanted:
    # Without the key nothing is signed, and a challenge shows the token alone.
    receives = ("feishu_encrypt_key", "feishu_verification_token") if feishu.transport == "webhook" else ()
    return Wanted(("feishu_app_secret", *receives))


def wanted(platforms: Platforms) -> Wanted:
    slack = of_slack(platforms.slack) if platforms.slack else Wanted()
    return slack + (of_feishu(platforms.feishu) if platforms.feishu else Wanted())


@dataclass(frozen=True)
class Credentials:
    """Those of the stack ``stack`` in the checkout ``checkout``."""

    stack: str
    checkout: Path = CHECKOUT

    @property
    def directory(self) -> Path:
        return self.checkout / FOLDER / self.stack

    def path(self, name: str) -> Path:
        return self.directory / name

    def read(self, name: str) -> str | None:
        """The value, or None where there is none. Raises :class:`DeploymentError` where it cannot be read, or by others too."""
        try:
            for path in (self.directory, self.path(name)):
                if path.stat().st_mode & OTHERS:
                    raise DeploymentError(f"{path} can be read by others than its owner. Close it: chmod go= {path}")
            return self.path(name).read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not text"
            raise DeploymentError(f"{self.path(name)} cannot be read ({why}). Enter it anew: {self.command(name)}") from None

    def write(self, name: str, value: str) -> None:
        make_private_directory(self.checkout / FOLDER)
        make_private_directory(self.directory)
        write_private(self.path(name), value.strip())

    def given(self, platforms: Platforms) -> dict[str, str]:
        """By name, what the platforms need and have. Raises :class:`DeploymentError` where a required one is missing."""
        names = wanted(platforms)
        found = {name: value for name in (*names.required, *names.optional) if (value := self.read(name)) is not None}
        missing = [name for name in names.required if name not in found]
        if missing:
            commands = " and ".join(dict.fromkeys(self.command(name) for name in missing))
            raise DeploymentError(
                f"The stack {self.stack} is to be connected, and lacks {', '.join(missing)}. Nothing was changed. "
                f"Enter what is missing: {commands}"
            )
        return found

    def brought(self, names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
        """Of ``names``, those that lie here or, for machines without files, in the environment (``SLACK_BOT_TOKEN``)."""
        found = {name: self.read(name) or environment.get(name.upper(), "").strip() for name in names if name in NAMES}
        return {name: value for name, value in found.items() if value}

    def command(self, name: str) -> str:
        """What a person types to enter ``name``."""
        option = "" if self.stack == "local" else f" STACK={self.stack}"
        return f"make connect PLATFORM={NAMES[name]}{option}"


def digest(name: str, value: str) -> str:
    """Another one means another value; see :data:`SCRYPT`."""
    return hashlib.scrypt(value.encode(), salt=name.encode(), dklen=32, **SCRYPT).hex()
