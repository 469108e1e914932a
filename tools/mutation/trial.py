"""One mutant, one process: a fork of this one, which has everything imported but what is judged and its tests."""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from tools.mutation.mutants import Mutant
from tools.mutation.scope import EVERY_RULE, PACK, Selection

FLAGS: Final = ("-q", "-x", "--no-header", "--tb=no", "-m", "not engine", "-p", "no:cacheprovider", "-p", "no:xdist")
PASSED, FAILED = 0, 1  # pytest's exit codes; every one but the first says that the mutant was noticed
POLL: Final = 0.01  # seconds
MANY: Final = 40  # cases: so many rules decide with what the module has that its own tests are the shorter way


class Fate(Enum):
    """What became of a mutant; the value is said of it."""

    NOTICED = "noticed"
    LATE = "took too long"  # it spins, which is noticed too
    SURVIVED = "survived"


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
    code = _tests(Selection(tuple(files), tuple({case: None for selection in chosen for case in selection.cases})))
    _forget()
    gc.collect()
    gc.freeze()
    return code


def _forget() -> None:
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in (PACK, "cases") or _is_test(module):
            del sys.modules[name]


def tried(trials: Sequence[Trial], jobs: int, on_end: Callable[[Trial, Fate], None]) -> None:
    """``on_end`` hears of each trial what became of its mutant."""
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
                fate = _ended(pid, late=time.monotonic() > end)
                if fate is not None:
                    del running[pid]
                    on_end(trial, fate)
    finally:
        for pid in running:
            _ended(pid, late=True)


def _ended(pid: int, *, late: bool) -> Fate | None:
    """None where the tests are still at it."""
    if late:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return Fate.LATE
    ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        return None
    return Fate.SURVIVED if os.waitstatus_to_exitcode(status) == PASSED else Fate.NOTICED


def _forked(trial: Trial) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        trial.mutant.apply()
        sys.meta_path.insert(0, Changed(trial.name, trial.tree, trial.file))
        with _silence():
            code = _tests(trial.selection)
    finally:
        os._exit(code)  # not the parent's cleaning up


def _tests(selection: Selection) -> int:
    """The cases first, as nearly every mutant ends there. They are called without pytest, which is what takes the time."""
    own, others = ((), selection.files) if len(selection.cases) < MANY else (selection.files[:1], selection.files[1:])
    if own and (code := int(pytest.main([*FLAGS, *own]))):
        return code
    if selection.cases and not _pass(selection.cases):
        return FAILED
    return int(pytest.main([*FLAGS, *others])) if others else PASSED


def _pass(cases: Sequence[str]) -> bool:
    """Whether every parametrised test of every rule passes for ``cases``."""
    try:
        for function in vars(_every_rule()).values():
            for names, values in _of_cases(function, cases):
                function(**dict(zip(names, values, strict=True)))
    except Exception:  # whatever it is, the mutant was noticed
        return False
    return True


def _of_cases(function: Any, cases: Sequence[str]) -> Iterator[tuple[Sequence[str], Sequence[Any]]]:
    """The arguments of ``function``, a test, for each of ``cases``; none where it wants fixtures besides."""
    marks = [mark for mark in getattr(function, "pytestmark", ()) if mark.name == "parametrize"]
    if len(marks) != 1 or set(inspect.signature(function).parameters) != set(marks[0].args[0]):
        return
    names, parameters = marks[0].args
    for parameter in parameters:
        if any(parameter.id == case or parameter.id.startswith(f"{case}-") for case in cases):
            yield names, parameter.values


def _every_rule() -> ModuleType:
    spec = importlib.util.spec_from_file_location(EVERY_RULE.stem, EVERY_RULE)
    assert spec and spec.loader  # noqa: S101 - a file that is there
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
        yield


def _is_test(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None) or ""
    return f"{os.sep}tests{os.sep}policies{os.sep}" in file
