"""The task library, the tenants and the roles of the application, judged as they are going to be read."""

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
TENANTS: Final = "TENANTS_FILE"
ROLES: Final = "ROLES_FILE"
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


def judge_access(tenants: Path | None = None, roles: Path | None = None) -> Verdict:
    """Tenants and roles of these files, or those that come with the application, by the application's own loader; and that what
    everybody may do is named and is no administration."""
    from app.auth.permissions import ADMINISTRATION, ALL
    from app.tasks.actions import registry
    from app.tenants.access import AccessError, Sources
    from app.tenants.libraries import libraries

    # Secrets that the files refer to are where the processes run.
    sources = Sources(tenants_file=tenants, roles_file=roles, actions=registry(), libraries=libraries(), environment=None)
    try:
        access = sources.load()
    except AccessError as error:
        return fail(*str(error).splitlines())
    reasons = []
    for role in access.roles.roles:
        if role.is_everybodys and ALL in role.permissions:
            reasons.append(f"the role {show(role.name)} lets everybody do everything: name what they may do")
        if role.is_everybodys and not role.permissions.isdisjoint(ADMINISTRATION):
            reasons.append(f"the role {show(role.name)} lets everybody administer: name who may")
    return fail(*reasons) if reasons else PASS


@cache
def access_of_the_package() -> Verdict:
    return judge_access()


def library_of_process(process: Resource) -> Verdict:
    if role_of(process.view) is not Role.WORKER:
        return PASS
    environment = process.view.mapping("environment")
    folder = environment.text(DIRECTORY) if environment else None
    return judge_library(Path(folder)) if folder else library_of_the_package()


def access_of_process(process: Resource) -> Verdict:
    """Gateway and worker decide by the same files."""
    if role_of(process.view) not in (Role.GATEWAY, Role.WORKER):
        return PASS
    environment = process.view.mapping("environment")
    tenants, roles = (environment.text(name) if environment else None for name in (TENANTS, ROLES))
    if tenants is None and roles is None:
        return access_of_the_package()
    return judge_access(*(Path(file) if file else None for file in (tenants, roles)))


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
        title="The tenants and roles of the application load, and everybody's role is bounded",
        severity=Severity.HIGH,
        controls=("5.15", "5.18", "8.3"),
        remedy="in app/auth/roles.yaml, or the file of ROLES_FILE, name what everybody may do, and by name who administers",
        link=links.ROLES,
        **wherever(Role.WORKER, access_of_the_package, access_of_process),
    ),
)
