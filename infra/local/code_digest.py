"""A digest of the code that a process runs: its entry module, all of the application that this imports, and their data files.

Static (``ast``), so that a preview imports nothing. What is imported by a computed name is not seen; therefore a package that
does so is taken as a whole.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

NOT_CODE = frozenset({"__pycache__"})
COMPUTED_IMPORTS = frozenset({"import_module", "iter_modules", "walk_packages", "__import__"})


def code_digest(root: Path, entry: str, locks: Sequence[Path] = ()) -> str:
    """SHA-256 in hexadecimal over the files of ``entry`` (a module or package below ``root``) and of ``locks``.

    Paths count relative to ``root``, so the digest is the same in every checkout.
    """
    total = hashlib.sha256()
    for file in sorted({*files_of(root, entry), *locks}):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{file.relative_to(root).as_posix()} {content}\n".encode())
    return total.hexdigest()


def files_of(root: Path, entry: str) -> set[Path]:
    """The modules that ``entry`` needs, with what the packages round them run and hold besides code (YAML, Lua, …)."""
    top = entry.split(".")[0]
    main = f"{entry}.__main__"
    waiting = [main if _file(root, main) else entry]
    modules: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        file = _file(root, name)
        if file is None or name in modules:
            continue
        modules[name] = file
        parts = name.split(".")
        waiting.extend(".".join(parts[:end]) for end in range(1, len(parts)))  # packages run before their modules
        tree = ast.parse(file.read_bytes(), filename=str(file))
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        waiting.extend(found for found in _imports(tree, package) if found.split(".")[0] == top)
        if _computes_imports(tree):
            folder = file.parent
            waiting.extend(_name(root, member) for member in folder.rglob("*.py"))
    folders = {file.parent for file in modules.values()}
    return {*modules.values(), *(data for folder in folders for data in _data(folder))}


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
