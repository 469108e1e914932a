"""Secrets reach a process as files that nobody but their owner reads."""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Final

from policies.local_types import CERTIFICATE, PROCESS, SECRETS
from policies.resource import Resource, Stack, View
from policies.rule import PASS, Check, Finding, Relation, Rule, Severity, Verdict, all_of, each, fail, found, undetermined
from policies.rules import links, secret_mounts
from policies.secret_variables import holds_a_secret, names_a_file
from policies.show import show

OK: Final = "ok"
# Below the checkout, by stack: what a person brings from a platform's console (infra/credentials.py), which a destroy leaves.
# An `up` is refused where anybody else may read it.
BROUGHT: Final = (".state", "credentials")


def secrets_as_files(resource: Resource) -> Verdict:
    """An environment is readable in /proc, inherited by children and printed by debuggers; a file has a mode."""
    environment = resource.view.mapping("environment")
    named = [name for name in environment.names() if holds_a_secret(name)] if environment else []
    return fail(*(f"environment.{name} holds a secret; {name}_FILE would name its file" for name in named)) if named else PASS


def files_in_private_directory(resource: Resource) -> Verdict:
    """The stack's directories have mode 0700; a secret's file elsewhere has whatever guards its folder."""
    view = resource.view
    environment = view.mapping("environment")
    if environment is None:
        return PASS
    root = view.text("stateDirectory")
    if not root:
        return fail("stateDirectory is missing, so nobody can say where the files of secrets lie")
    return each(*(partial(_inside, environment, name, root) for name in environment.names() if names_a_file(name)))


def _inside(environment: View, name: str, root: str) -> Verdict:
    value = environment.text(name) or ""
    # Normalised, so that `..` does not lead out; a link is the business of the rule on the files themselves.
    path = PurePosixPath(os.path.normpath(value)) if value else PurePosixPath()
    if path.is_absolute() and (PurePosixPath(os.path.normpath(root)) in path.parents or path.parts[-4:-2] == BROUGHT):
        return PASS
    return fail(f"environment.{name} is no absolute path below the stack's private directory")


def files_are_private(stack: Stack) -> Sequence[Finding]:
    """``files``, an output of Secrets and Certificate, says of each file whether it is as written with mode 0600."""
    resources = [*stack.of_type(SECRETS), *stack.of_type(CERTIFICATE)]
    return [found(resource, partial(_statuses, resource)) for resource in resources]


def _statuses(resource: Resource) -> Verdict:
    files = resource.view.mapping("files")
    if files is None:
        return undetermined("files: the resource does not say yet how its files are; the update does")
    return all_of(
        PASS if status == OK else fail(f"files.{name} is not private and as written: {show(status or 'no status')}")
        for name, status in ((name, files.text(name)) for name in files.names())
    )


RULES: Final = (
    Rule(
        id="R09",
        name="secrets-as-files",
        title="Secrets reach a process or container as files, not in its environment",
        severity=Severity.MEDIUM,
        controls=("5.17",),
        remedy="write the secret into a file with mode 0600, mount it or fetch it into a tmpfs, and set NAME_FILE to its path",
        link=links.FILES,
        checks=(Check(types=(PROCESS,), properties=("environment",), judge=secrets_as_files), *secret_mounts.CHECKS),
        relations=secret_mounts.RELATIONS,
    ),
    Rule(
        id="L07",
        name="secret-files-private-directory",
        title="The files of secrets lie in the stack's private directory",
        severity=Severity.HIGH,
        controls=("5.17", "8.3"),
        remedy="let the variable name a file below stateDirectory (infra/local/layout.py), which only its owner can enter",
        link=links.FILES,
        checks=(Check(types=(PROCESS,), properties=("environment", "stateDirectory"), judge=files_in_private_directory),),
    ),
    Rule(
        id="L08",
        name="secret-files-mode",
        title="The files of secrets and keys are intact and readable by their owner alone",
        severity=Severity.HIGH,
        controls=("5.17", "8.3", "8.24"),
        remedy="run `make refresh` and `make up`: the file is written again with mode 0600; find out who changed it",
        link=links.FILES,
        relations=(Relation(reads={SECRETS: ("files",), CERTIFICATE: ("files",)}, judge=files_are_private),),
    ),
)
