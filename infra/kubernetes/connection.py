"""Which cluster a stack speaks to: a context, and the kubeconfig in which it stands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.errors import DeploymentError
from infra.settings import Settings

NO_CONTEXT = (
    "There is no Kubernetes cluster to deploy to: no kubeconfig has a current context. Choose one of yours "
    "(kubectl config use-context <name>, or make set STACK={stack} KEY=cluster.context VALUE=<name>), "
    "or bring one up on this machine: make cluster"
)


@dataclass(frozen=True, kw_only=True)
class Connection:
    """``kubeconfig``: a file, or None for what kubectl finds by itself. The context is said even where it is the current one:
    a person who switches to another cluster must not move the stack there by the next ``up``."""

    context: str
    kubeconfig: str | None


def connection_of(settings: Settings, environment: Mapping[str, str]) -> Connection:
    """The configured context, else the current one, else the cluster of ``make cluster``. Raises :class:`DeploymentError`."""
    from tools.kubernetes.cluster import current  # here, so that tests of the program need no cluster

    recorded = current()
    wanted = settings.cluster.context or current_context(environment)
    if wanted is None and recorded is not None:
        wanted = recorded.context
    if wanted is None:
        raise DeploymentError(NO_CONTEXT.format(stack="<stack>"))
    ours = recorded is not None and recorded.context == wanted and recorded.kubeconfig is not None
    return Connection(context=wanted, kubeconfig=str(recorded.kubeconfig) if recorded and ours else None)


def current_context(environment: Mapping[str, str]) -> str | None:
    """Of the files that kubectl would read, the first that names one."""
    given = environment.get("KUBECONFIG")
    files = [Path(part) for part in given.split(os.pathsep) if part] if given else [Path.home() / ".kube" / "config"]
    for file in files:
        if name := _document(file).get("current-context"):
            return str(name)
    return None


def _document(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}  # kubectl passes over a file that is not there
    except yaml.YAMLError as error:
        raise DeploymentError(f"{file} is no valid kubeconfig: {str(error).splitlines()[0]}") from None
    return content if isinstance(content, dict) else {}
