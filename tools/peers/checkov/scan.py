"""Checkov itself: a virtual environment of its own, one run over a folder, and what it says of each resource."""

from __future__ import annotations

import json
import subprocess
import tempfile
import venv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from policies.record import Seen
from tools.cache import Report, cache_root, exclusive
from tools.peers.checkov.manifests import manifests_of
from tools.peers.checkov.plan import plan_of

VERSION: Final = "3.3.30"
FRAMEWORKS: Final = ("terraform_plan", "kubernetes")
PLAN: Final = "plan.json"
MANIFESTS: Final = "manifests"
READY: Final = "ready"
# What would make Checkov call its vendor's platform, or read a configuration of the user's.
AMBIENT: Final = ("BC_", "PRISMA_", "CKV_", "CHECKOV_")


class CheckovFailed(Exception):
    """The message is for the person who ran the comparison."""


@dataclass(frozen=True, order=True)
class Judgement:
    """What one check of Checkov's says of one resource."""

    check: str
    urn: str
    passed: bool


@dataclass(frozen=True)
class Scan:
    """``titles``: of each check that has judged something. ``urns``: what Checkov was given."""

    titles: Mapping[str, str]
    judgements: Sequence[Judgement]
    urns: frozenset[str]


def program(environment: Mapping[str, str]) -> Path | None:
    """Checkov, where it has been installed before."""
    target = _place(environment)
    return target / "bin" / "checkov" if (target / READY).exists() else None


def installed(report: Report, environment: Mapping[str, str]) -> Path:
    """Checkov, installed first if need be. Raises :class:`CheckovFailed`."""
    target = _place(environment)
    with exclusive(target.parent, report):
        if program(environment) is None:
            report(f"installing Checkov {VERSION} into a virtual environment of its own")
            # A virtual environment holds its own path, so it is made in place and is ready when it says so.
            venv.create(target, clear=True, with_pip=True)
            command = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", f"checkov=={VERSION}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise CheckovFailed(f"Checkov {VERSION} could not be installed from PyPI:\n{done.stderr.strip()}")
            (target / READY).touch()
    return target / "bin" / "checkov"


def _place(environment: Mapping[str, str]) -> Path:
    return cache_root(environment) / "checkov" / VERSION


def scan(checkov: Path, resources: Sequence[Seen], environment: Mapping[str, str]) -> Scan:
    """What Checkov says of ``resources``. Raises :class:`CheckovFailed`."""
    plan, manifests = plan_of(resources), manifests_of(resources)
    with tempfile.TemporaryDirectory(prefix="checkov-") as name:
        folder = Path(name)
        (folder / MANIFESTS).mkdir()
        (folder / PLAN).write_text(json.dumps(plan.document, indent=1), encoding="utf-8")
        for file, text in manifests.texts.items():
            (folder / MANIFESTS / file).write_text(text, encoding="utf-8")
        reports = _reports(checkov, folder, environment)
    records = [(record, passed) for said in reports for record, passed in _records(said)]
    verdicts: dict[tuple[str, str], bool] = {}
    for record, passed in records:  # a check may judge a resource more than once, a container at a time
        key = record["check_id"], _urn(record, plan.urns, manifests.urns)
        verdicts[key] = verdicts.get(key, True) and passed
    return Scan(
        titles={record["check_id"]: record["check_name"] for record, _passed in records},
        judgements=sorted(Judgement(check, urn, passed) for (check, urn), passed in verdicts.items()),
        urns=frozenset({*plan.urns.values(), *manifests.urns.values()}),
    )


def _reports(checkov: Path, folder: Path, environment: Mapping[str, str]) -> list[Mapping[str, Any]]:
    frameworks = [part for framework in FRAMEWORKS for part in ("--framework", framework)]
    command = [str(checkov), "--directory", str(folder), *frameworks, "--output", "json", "--compact", "--skip-download"]
    own = {name: value for name, value in environment.items() if not name.startswith(AMBIENT)}
    done = subprocess.run(
        [*command, "--soft-fail"], cwd=folder, env={**own, "HOME": str(folder)}, capture_output=True, text=True, check=False
    )
    try:
        said = json.loads(done.stdout)
    except ValueError:
        raise CheckovFailed(f"Checkov ended with code {done.returncode}:\n{done.stderr.strip()[-2000:]}") from None
    return said if isinstance(said, list) else [said]


def _records(said: Mapping[str, Any]) -> Iterable[tuple[Mapping[str, Any], bool]]:
    results = said.get("results") or {}
    if results.get("parsing_errors"):
        raise CheckovFailed(f"Checkov could not read {', '.join(results['parsing_errors'])}")
    for name, passed in (("passed_checks", True), ("failed_checks", False)):
        for record in results.get(name) or ():
            yield record, passed


def _urn(record: Mapping[str, Any], by_address: Mapping[str, str], by_file: Mapping[str, str]) -> str:
    file = Path(record["file_path"]).name
    return by_file[file] if file in by_file else by_address[record["resource"]]
