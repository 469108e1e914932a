"""A digest of the code that a process runs: its entry module, all of the application that this imports, and their data files.

Static (``ast``), so that a preview imports nothing. What is imported by a computed name is not seen; therefore a package that
does so is taken as a whole.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NOT_CODE = frozenset({"__pycache__"})
COMPUTED_IMPORTS = frozenset({"import_module", "iter_modules", "walk_packages", "__import__"})


class CodeTree:
    """The code below ``root``. Each module is read once, however many entries need it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modules: dict[str, Module | None] = {}

    def digest(self, entry: str, locks: Sequence[Path] = ()) -> str:
        """SHA-256 in hexadecimal over the files of ``entry`` (a module or package) and of ``locks``.

        Paths count relative to ``root``, so the digest is the same in every checkout.
        """
        total = hashlib.sha256()
        for file in sorted({*self.files(entry), *locks}):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            total.update(f"{file.relative_to(self._root).as_posix()} {content}\n".encode())
        return total.hexdigest()

    def files(self, entry: str) -> set[Path]:
        """The modules that ``entry`` needs, with what the packages round them run and hold besides code (YAML, Lua, …)."""
        top = entry.split(".")[0]
        main = f"{entry}.__main__"
        waiting = [main if self._module(main) else entry]
        seen: set[str] = set()
        found: set[Path] = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if module := self._module(name):
                found.add(module.file)
                parts = name.split(".")
                waiting.extend(".".join(parts[:end]) for end in range(1, len(parts)))  # packages run before their modules
                waiting.extend(imported for imported in module.imports if imported.split(".")[0] == top)
        return found | {data for folder in {file.parent for file in found} for data in _data(folder)}

    def _module(self, name: str) -> Module | None:
        if name not in self._modules:
            file = _file(self._root, name)
            self._modules[name] = _read(self._root, name, file) if file else None
        return self._modules[name]


@dataclass(frozen=True)
class Module:
    """``imports``: names that it imports, of modules or of what is in them."""

    file: Path
    imports: frozenset[str]


def _read(root: Path, name: str, file: Path) -> Module:
    tree = ast.parse(file.read_bytes(), filename=str(file))
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    imports = set(_imports(tree, package))
    if _computes_imports(tree):
        imports.update(_name(root, member) for member in file.parent.rglob("*.py"))
    return Module(file, frozenset(imports))


def _file(root: Path, name: str) -> Path | None:
    path = root.joinpath(*name.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def _name(root: Path, file: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                ancestors = package.split(".")
                above = ancestors[: len(ancestors) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)  # a name may be a module


def _computes_imports(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Call) and (getattr(node.func, "attr", None) or getattr(node.func, "id", None)) in COMPUTED_IMPORTS
        for node in ast.walk(tree)
    )


def _data(folder: Path) -> Iterator[Path]:
    """Files besides Python's in ``folder`` and in those folders below it that hold no package of their own."""
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name not in NOT_CODE and not (entry / "__init__.py").exists():
            yield from _data(entry)
        elif entry.is_file() and entry.suffix not in {".py", ".pyc"} and not entry.name.startswith("."):
            yield entry
