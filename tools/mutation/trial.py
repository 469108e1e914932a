"""One mutant, one process: a fork of this one, which has everything imported but what is judged and its tests."""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from tools.mutation.mutants import Mutant
from tools.mutation.scope import EVERY_RULE, PACK, Selection

FLAGS: Final = ("-q", "-x", "--no-header", "--tb=no", "-m", "not engine", "-p", "no:cacheprovider", "-p", "no:xdist")
# Looks for secrets in messages by many thousand mutations of its own, and is no test of one rule.
TOO_WIDE: Final = "test_no_rule_raises_or_shows_a_canary_wherever_it_stands"
PASSED: Final = 0  # pytest's exit code; every other one says that the mutant was noticed
POLL: Final = 0.01  # seconds


class Selected:
    """A plugin of pytest: of the cases of every rule those that are concerned."""

    def __init__(self, cases: Iterable[str]) -> None:
        self._cases = tuple(cases)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if self._concerned(item)]

    def _concerned(self, item: pytest.Item) -> bool:
        if item.path.name != EVERY_RULE.name:
            return True
        if getattr(item, "originalname", "") == TOO_WIDE:
            return False
        case = item.name.partition("[")[2].rstrip("]")
        return any(case == known or case.startswith(f"{known}-") for known in self._cases)


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports ``name`` from a syntax tree in place of its file."""

    def __init__(self, name: str, tree: ast.Module, file: Path) -> None:
        self._name, self._tree, self._file = name, tree, file

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = importlib.machinery.ModuleSpec(fullname, self, origin=str(self._file))
        spec.has_location = True
        return spec

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._tree, str(self._file), "exec"), module.__dict__)  # noqa: S102 - the module, changed


@dataclass(frozen=True, kw_only=True)
class Trial:
    mutant: Mutant
    name: str  # of the module
    tree: ast.Module
    file: Path
    selection: Selection
    limit: float  # seconds


def warm_up(selections: Iterable[Selection]) -> int:
    """Run all tests once, unchanged, so that what they import is there; then forget what is judged. pytest's exit code."""
    chosen = list(selections)
    files = dict.fromkeys(file for selection in chosen for file in selection.files)
    code = _tests(Selection(tuple(files), tuple(case for selection in chosen for case in selection.cases)), quiet=False)
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in (PACK, "cases", "local_resources", "conftest") or _is_test(module):
            del sys.modules[name]
    gc.collect()
    gc.freeze()
    return code


def tried(trials: Sequence[Trial], jobs: int, on_end: Callable[[Trial, bool], None]) -> None:
    """``on_end`` hears of each trial whether its mutant was noticed; one that takes too long was."""
    waiting = iter(trials)
    running: dict[int, tuple[Trial, float]] = {}
    try:
        while True:
            while len(running) < jobs and (trial := next(waiting, None)) is not None:
                running[_forked(trial)] = (trial, time.monotonic() + trial.limit)
            if not running:
                return
            time.sleep(POLL)
            for pid, (trial, end) in list(running.items()):
                noticed = _ended(pid, late=time.monotonic() > end)
                if noticed is not None:
                    del running[pid]
                    on_end(trial, noticed)
    finally:
        for pid in running:
            _ended(pid, late=True)


def _ended(pid: int, *, late: bool) -> bool | None:
    """Whether the tests noticed something; None where they are still at it."""
    if late:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return True
    ended, status = os.waitpid(pid, os.WNOHANG)
    return None if not ended else os.waitstatus_to_exitcode(status) != PASSED


def _forked(trial: Trial) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        trial.mutant.apply()
        sys.meta_path.insert(0, Changed(trial.name, trial.tree, trial.file))
        code = _tests(trial.selection, quiet=True)
    finally:
        os._exit(code)  # not the parent's cleaning up


def _tests(selection: Selection, *, quiet: bool) -> int:
    files = [*selection.files, *([str(EVERY_RULE)] if selection.cases else [])]
    with _silence() if quiet else contextlib.nullcontext():
        return int(pytest.main([*FLAGS, *files], plugins=[Selected(selection.cases)]))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
        yield


def _is_test(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None) or ""
    return f"{os.sep}tests{os.sep}policies{os.sep}" in file
