"""Runs the real Pulumi engine for one stack of this checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.settings import Settings
from infra.settings_reader import SettingsMistakes, settings_from

POLICY_PACK = "policies"


class EngineError(Exception):
    """The engine refused or failed; it has already said why on the screen, or the message does."""


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

    def prepare(self) -> None:
        """Make the backend, the configuration file and the stack if they are not there yet."""
        backend = self.environment.get("PULUMI_BACKEND_URL", "")
        if backend.startswith("file://"):
            folder = Path(backend.removeprefix("file://"))
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        example = self.checkout / "stacks" / f"{self.stack}.example.yaml"
        if not self.configuration.exists() and example.exists():
            shutil.copyfile(example, self.configuration)
        self.read("stack", "select", "--create", self.stack, "--non-interactive", stack_flag=False)

    def exists(self) -> bool:
        return self._capture(["stack", "export", "--stack", self.stack]).returncode == 0

    def settings(self) -> Settings:
        """The stack's settings, read as the Pulumi program reads them. Raises :class:`EngineError`."""
        document = yaml.safe_load(self.configuration.read_text(encoding="utf-8")) if self.configuration.exists() else {}
        config = (document or {}).get("config") or {}
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
        try:
            return settings_from(texts, self.stack)
        except SettingsMistakes as mistakes:
            raise EngineError(str(mistakes)) from None

    def state_directory(self) -> Path:
        """Where the local target keeps its files."""
        return self.checkout / self.settings().state_directory

    def tracks_configuration(self) -> bool:
        """Whether git tracks the stack's configuration file."""
        listed = subprocess.run(
            ["git", "ls-files", "--error-unmatch", str(self.configuration)], cwd=self.checkout, capture_output=True, check=False
        )
        return listed.returncode == 0

    def stream(self, *arguments: str, check: bool = True) -> int:
        """Run with the screen attached. Raises :class:`EngineError` on failure unless ``check`` is off."""
        done = subprocess.run(self._command([*arguments, "--stack", self.stack]), cwd=self.checkout, env=dict(self.environment))
        if check and done.returncode:
            raise EngineError(f"pulumi {arguments[0]} failed (exit code {done.returncode}); the reason stands above")
        return done.returncode

    def read(self, *arguments: str, stack_flag: bool = True) -> str:
        """Run quietly and return standard output. Raises :class:`EngineError` with the engine's own words."""
        done = self._capture([*arguments, "--stack", self.stack] if stack_flag else list(arguments))
        if done.returncode:
            raise EngineError(f"pulumi {arguments[0]}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def outputs(self, *, show_secrets: bool) -> dict[str, Any]:
        flags = ["--show-secrets"] if show_secrets else []
        outputs: dict[str, Any] = json.loads(self.read("stack", "output", "--json", *flags))
        return outputs

    def _command(self, arguments: list[str]) -> list[str]:
        return ["pulumi", *arguments]

    def _capture(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(arguments), cwd=self.checkout, env=dict(self.environment), capture_output=True, text=True, check=False
        )
