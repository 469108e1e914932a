"""The task library and the roles of the application, judged as they are going to be read."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from policies.local_types import Role, role_of
from policies.resource import Resource
from policies.rule import PASS, Rule, Severity, Verdict, fail
from policies.rules import links
from policies.rules.application import wherever
from policies.show import show

DIRECTORY: Final = "TASKS_DIRECTORY"
READ: Final = ".yaml"


def judge_library(folder: Path | None = None) -> Verdict:
    """The library in ``folder``, or the one that comes with the application, by the application's own loader: the patterns
    compile in RE2, the actions are there, each has the parameters that it takes."""
    from app.tasks import template
    from app.tasks.actions import registry

    try:
        library = template.load_library(folder, registry())
    except template.LibraryError as error:
        return fail(*str(error).splitlines())
    place = folder or Path(template.__file__).parent / "library"
    unread = sorted(path.name for path in place.iterdir() if path.is_file() and path.suffix != READ)
    if unread:
        return fail(*(f"{name} is never read: templates stand in files that end in {READ}" for name in unread))
    return PASS if library.templates else fail("the task library has no template")


@cache
def library_of_the_package() -> Verdict:
    return judge_library()


def judge_roles(file: Path | None = None) -> Verdict:
    """The roles in ``file``, or those that come with the application, by the application's own loader; and that what everybody
    may do is named and is no administration."""
    from app.auth import roles
    from app.tasks.actions import registry

    try:
        loaded = roles.load_roles(file, registry())
    except roles.RolesError as error:
        return fail(*str(error).splitlines())
    reasons = []
    for role in loaded.roles:
        if role.is_everybodys and roles.ALL in role.permissions:
            reasons.append(f"the role {show(role.name)} lets everybody do everything: name what they may do")
        if role.is_everybodys and roles.ADMINISTER in role.permissions:
            reasons.append(f"the role {show(role.name)} lets everybody administer: name who may")
    return fail(*reasons) if reasons else PASS


@cache
def roles_of_the_package() -> Verdict:
    return judge_roles()


def library_of_process(process: Resource) -> Verdict:
    if role_of(process.view) is not Role.WORKER:
        return PASS
    environment = process.view.mapping("environment")
    folder = environment.text(DIRECTORY) if environment else None
    return judge_library(Path(folder)) if folder else library_of_the_package()


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="A01",
        name="task-library-valid",
        title="The task library loads as the worker loads it",
        severity=Severity.HIGH,
        controls=("8.26", "8.28", "8.32"),
        remedy="mend the template: RE2 syntax, an action of app/tasks/actions.py, its parameters and no others",
        link=links.TASK_LIBRARY,
        **wherever(Role.WORKER, library_of_the_package, library_of_process),
    ),
    Rule(
        id="A02",
        name="roles-bounded",
        title="The roles of the application load, and everybody's role is bounded",
        severity=Severity.HIGH,
        controls=("5.15", "5.18", "8.3"),
        remedy="in app/auth/roles.yaml name the permissions that everybody has, and by name who administers",
        link=links.ROLES,
        **wherever(Role.WORKER, roles_of_the_package),
    ),
)
