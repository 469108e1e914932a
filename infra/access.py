"""Who may do what, and whose things are whose: the files that ``assistant:access`` names, looked at before anything happens.

The application reads them itself, and again when they change; here they are checked, and gathered for machines that do not
see this one's files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from infra.errors import DeploymentError
from infra.settings import Settings

CHECKOUT = Path(__file__).resolve().parents[1]
TENANTS, ROLES = "tenants.yaml", "roles.yaml"


@dataclass(frozen=True)
class AccessFiles:
    """``tenants`` and ``roles``: absolute paths on this machine, or None."""

    tenants: Path | None = None
    roles: Path | None = None

    def environment(self) -> dict[str, str]:
        """For processes on this machine."""
        named = {"TENANTS_FILE": self.tenants, "ROLES_FILE": self.roles}
        return {variable: str(path) for variable, path in named.items() if path}

    def environment_in(self, directory: str) -> dict[str, str]:
        """For processes that see :meth:`carried` in ``directory``."""
        named = {"TENANTS_FILE": (self.tenants, TENANTS), "ROLES_FILE": (self.roles, ROLES)}
        return {variable: f"{directory}/{name}" for variable, (path, name) in named.items() if path}

    def carried(self) -> Mapping[str, str]:
        """Texts by their path below one directory: the two files, and the task libraries of tenants, which stand beside
        theirs. Raises :class:`DeploymentError` where a library lies elsewhere."""
        texts: dict[str, str] = {}
        if self.roles:
            texts[ROLES] = self.roles.read_text(encoding="utf-8")
        if self.tenants:
            texts[TENANTS] = self.tenants.read_text(encoding="utf-8")
            for folder in _libraries(texts[TENANTS], self.tenants):
                for template in sorted((self.tenants.parent / folder).glob("*.yaml")):
                    texts[str(folder / template.name)] = template.read_text(encoding="utf-8")
        return texts


def checked(settings: Settings, checkout: Path = CHECKOUT) -> AccessFiles:
    """The settings' files. Raises :class:`DeploymentError` with every mistake in them."""
    tenants, roles = (checkout / path if path else None for path in (settings.access.tenants, settings.access.roles))
    if tenants is None and roles is None:
        return AccessFiles()
    # Costs the task library and its expressions, which no stack without such a file needs here.
    from app.tasks.actions import registry
    from app.tenants.checking import check

    if mistakes := check(tenants, roles, registry()):
        named = " and ".join(f"access.{key} {path}" for key, path in (("tenants", tenants), ("roles", roles)) if path)
        lines = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise DeploymentError(
            f"{named}: not as it must be. Nothing was changed.\n{lines}\ndocs/tenants.md explains each field."
        )
    return AccessFiles(tenants, roles)


def _libraries(text: str, file: Path) -> Iterable[PurePosixPath]:
    """The folders that tenants name, each once; of a file that is right."""
    named = dict.fromkeys(tenant["tasks"] for tenant in yaml.safe_load(text) if "tasks" in tenant)
    for folder in map(PurePosixPath, named):
        if folder.is_absolute() or ".." in folder.parts:
            raise DeploymentError(
                f"{file}: the task library {folder} lies outside the file's folder, and would not reach the assistant's "
                "machines. Put it beside the file and name it by a relative path."
            )
        yield folder
