"""How a process is described: to supervisord in an INI file, to :mod:`infra.local.launch` in JSON. Pure."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local import launch
from infra.local.health import Check
from infra.local.layout import DIGEST_MARKER, PROCESS_MARKER, STATE_MARKER, SUPERVISOR, Layout

LOG_BYTES = "10MB"
LOG_BACKUPS = 3
START_RETRIES = 20  # supervisord waits one second longer after each failed start: about 3.5 minutes until it gives up


@dataclass(frozen=True, kw_only=True)
class Description:
    """One process. ``files`` (by name) are written into its own directory, which is its working directory as well.

    ``digests``: of what the process reads besides (code, lock, secrets, certificate, model), so that it restarts with them.
    """

    state_directory: Path
    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    check: Check
    files: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: int = 10

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> Description:
        """From a resource's properties, as :class:`infra.local.process.Process` registers them."""
        return cls(
            state_directory=Path(properties["stateDirectory"]),
            name=properties["process"],
            command=tuple(properties["command"]),
            environment=properties["environment"],
            check=Check.from_input(properties["check"]),
            files=properties.get("configurationFiles") or {},
            digests=properties.get("digests") or {},
            stop_seconds=int(properties["stopSeconds"]),
        )

    @property
    def layout(self) -> Layout:
        return Layout(self.state_directory)

    @property
    def directory(self) -> Path:
        return self.layout.data(self.name)

    @property
    def configuration(self) -> Path:
        return self.layout.programs / f"{self.name}.conf"

    @property
    def program(self) -> Path:
        return self.layout.programs / f"{self.name}.json"

    @property
    def digest(self) -> str:
        """Another one means: start again."""
        content = [
            list(self.command),
            dict(self.environment),
            str(self.directory),
            dict(self.files),
            dict(self.digests),
            self.stop_seconds,
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def program_text(self) -> str:
        """For :mod:`infra.local.launch`; ``check`` lets the supervisor await the process when it starts it again."""
        marked = {
            **self.environment,
            STATE_MARKER: str(self.state_directory),
            PROCESS_MARKER: self.name,
            DIGEST_MARKER: self.digest,
        }
        content = {
            "command": list(self.command),
            "environment": marked,
            "directory": str(self.directory),
            "check": self.check.as_input(),
        }
        return json.dumps(content, indent=1, sort_keys=True)

    def configuration_text(self, python: str) -> str:
        """supervisord's section. ``python``: the interpreter that runs the launcher."""
        command = shlex.join([python, "-I", "-S", launch.__file__, str(self.program)])
        return _ini(
            f"program:{self.name}",
            {
                "command": command,
                "autostart": "true",
                "autorestart": "true",
                "startsecs": "1",
                "startretries": str(START_RETRIES),
                "stopsignal": "TERM",
                "stopwaitsecs": str(self.stop_seconds),
                "killasgroup": "true",
                "redirect_stderr": "true",
                "stdout_logfile": str(self.layout.log(self.name)),
                "stdout_logfile_maxbytes": LOG_BYTES,
                "stdout_logfile_backups": str(LOG_BACKUPS),
            },
        )


def supervisor_text(layout: Layout, user: str | None) -> str:
    """supervisord's own configuration. ``user``: named only where it runs as root, which it would complain about."""
    return "\n".join(
        [
            _ini(
                "supervisord",
                {
                    "logfile": str(layout.log(SUPERVISOR)),
                    "logfile_maxbytes": LOG_BYTES,
                    "logfile_backups": "1",
                    "pidfile": str(layout.supervisor / "pid"),
                    "childlogdir": str(layout.logs),
                    "directory": str(layout.supervisor),
                    "umask": "077",
                    **({"user": user} if user else {}),
                },
            ),
            _ini("unix_http_server", {"file": str(layout.socket), "chmod": "0600"}),
            _ini(
                "rpcinterface:supervisor",
                {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            ),
            _ini("include", {"files": f"{layout.programs.name}/*.conf"}),
        ]
    )


def _ini(section: str, values: Mapping[str, str]) -> str:
    # supervisord expands "%(name)s" in every value.
    return "\n".join([f"[{section}]", *(f"{key}={value.replace('%', '%%')}" for key, value in values.items()), ""])
