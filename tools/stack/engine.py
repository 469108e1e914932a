"""Runs the real Pulumi engine for one stack of this checkout."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.profiles import PROFILES
from infra.settings import TARGET_OF_STACK, Settings
from infra.settings_reader import SettingsMistakes, settings_from

POLICY_PACK = "policies"
# What forbids to take the protection off a production stack, as has to be done before it can go (docs/aws.md).
PROTECTION_RULES = ("R12-stateful-protected", "R58-load-balancer-hardened")


class EngineError(Exception):
    """The engine refused or failed; it has already said why on the screen, or the message does."""


@contextlib.contextmanager
def policy_pack(*, unprotect: bool = False) -> Iterator[tuple[str, ...]]:
    """The engine's arguments for the pack; with ``unprotect``, what forbids to take the protection off only advises."""
    if not unprotect:
        yield ("--policy-pack", POLICY_PACK)
        return
    with tempfile.TemporaryDirectory(prefix="assistant-levels-") as folder:
        levels = Path(folder) / "levels.json"
        levels.write_text(json.dumps(dict.fromkeys(PROTECTION_RULES, "advisory")), encoding="utf-8")
        yield ("--policy-pack", POLICY_PACK, "--policy-pack-config", str(levels))


@dataclass(frozen=True, kw_only=True)
class Engine:
    """``pulumi`` with the environment of this checkout. ``environment`` holds PATH, backend and passphrase file."""

    checkout: Path
    stack: str
    environment: Mapping[str, str]

    @property
    def configuration(self) -> Path:
        """The stack's own configuration file. The engine writes an encryption salt into it, so for ``local`` and for
        the tests' stacks it is made here from the tracked example and not tracked itself."""
        return self.checkout / "stacks" / f"Pulumi.{self.stack}.yaml"

    @property
    def example(self) -> Path:
        """The tracked file that the stack's own begins as."""
        return self.checkout / "stacks" / f"{self.stack}.example.yaml"

    def configure(self) -> None:
        """Make the configuration file if it is not there yet."""
        if not self.configuration.exists() and self.example.exists():
            shutil.copyfile(self.example, self.configuration)

    def target(self) -> str:
        """What the stack is for, by its configuration, its profile or its name; the rest need not be right for that."""
        config = self.document().get("config") or {}
        by_profile = {str(name): profile["target"] for name, profile in PROFILES.items()}
        named = by_profile.get(str(config.get("assistant:profile"))) or TARGET_OF_STACK.get(self.stack, "local")
        return str(config.get("assistant:target") or named)

    def document(self) -> dict[str, Any]:
        """The configuration file, as it stands; empty where there is none."""
        if not self.configuration.exists():
            return {}
        loaded = yaml.safe_load(self.configuration.read_text(encoding="utf-8"))
        return loaded if isinstance(loaded, dict) else {}

    def prepare(self) -> None:
        """Make the configuration file and the stack if they are not there yet. Raises :class:`EngineError`."""
        self.configure()
        self.settings()  # a stack that its own program would refuse is not made
        self.read("stack", "select", "--create", self.stack, "--non-interactive", stack_flag=False)

    def stacks(self) -> list[str]:
        """The project's stacks in this checkout's backend. Raises :class:`EngineError` where it cannot be asked."""
        return [stack["name"].rpartition("/")[2] for stack in json.loads(self.read("stack", "ls", "--json", stack_flag=False))]

    def exists(self) -> bool:
        return self.stack in self.stacks()

    def settings(self) -> Settings:
        """The stack's settings, read as the Pulumi program reads them. Raises :class:`EngineError`."""
        config = self.document().get("config") or {}
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
        encrypted = frozenset(key for key, value in config.items() if is_encrypted(value))
        if encrypted:
            texts.update(self._decrypted(encrypted))
        try:
            return settings_from(texts, self.stack, encrypted)
        except SettingsMistakes as mistakes:
            raise EngineError(str(mistakes)) from None

    def _decrypted(self, keys: frozenset[str]) -> dict[str, str]:
        """The plain values of encrypted settings, which the engine alone can read. Raises :class:`EngineError`."""
        try:
            shown = json.loads(self.read("config", "--show-secrets", "--json"))
        except EngineError as error:
            names = ", ".join(sorted(keys))
            raise EngineError(
                f"The settings {names} of stack {self.stack} are encrypted, and the engine cannot read them here:\n{error}\n"
                "No setting needs to be secret: the stack makes its own secrets. Remove it from "
                f"stacks/{self.configuration.name}, or name the passphrase it was set with: PULUMI_CONFIG_PASSPHRASE"
            ) from None
        return {key: str(shown[key]["value"]) for key in keys if key in shown}

    def state_directory(self) -> Path:
        """Where the local target keeps its files."""
        return self.checkout / self.settings().state_directory

    @property
    def make_option(self) -> str:
        """What a ``make`` command needs besides, to mean this stack."""
        return "" if self.stack == "local" else f" STACK={self.stack}"

    def tracks_configuration(self) -> bool:
        """Whether git tracks the stack's configuration file."""
        listed = subprocess.run(
            ["git", "ls-files", "--error-unmatch", str(self.configuration)], cwd=self.checkout, capture_output=True, check=False
        )
        return listed.returncode == 0

    def stream(self, *arguments: str, check: bool = True) -> int:
        """Run with the screen attached. Raises :class:`EngineError` on failure unless ``check`` is off."""
        with subprocess.Popen(
            self._command([*arguments, "--stack", self.stack]), cwd=self.checkout, env=dict(self.environment)
        ) as process:
            while (code := process.poll()) is None:
                # The terminal sends ^C to the engine too, which ends the step that runs and then stops; it is waited for.
                with contextlib.suppress(KeyboardInterrupt):
                    process.wait()
        if check and code:
            raise EngineError(f"pulumi {arguments[0]} failed (exit code {code}); the reason stands above")
        return code

    def read(self, *arguments: str, stack_flag: bool = True) -> str:
        """Run quietly and return standard output. Raises :class:`EngineError` with the engine's own words."""
        done = self._capture([*arguments, "--stack", self.stack] if stack_flag else list(arguments))
        if done.returncode:
            raise EngineError(f"pulumi {arguments[0]}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def outputs(self, *, show_secrets: bool) -> dict[str, Any]:
        flags = ["--show-secrets"] if show_secrets else []
        if not self.configuration.exists():
            raise EngineError(f"There is no stack {self.stack} here yet. Bring it up with: make up{self.make_option}")
        outputs: dict[str, Any] = json.loads(self.read("stack", "output", "--json", *flags))
        return outputs

    def _command(self, arguments: list[str]) -> list[str]:
        return ["pulumi", *arguments]

    def _capture(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(arguments), cwd=self.checkout, env=dict(self.environment), capture_output=True, text=True, check=False
        )


def is_encrypted(value: Any) -> bool:
    """Whether a value of the configuration file, or a part of it, was set with ``--secret``."""
    if isinstance(value, dict):
        return set(value) == {"secure"} or any(is_encrypted(item) for item in value.values())
    return isinstance(value, list) and any(is_encrypted(item) for item in value)
