"""What the installed ``pulumi_aws`` says of a resource or a function: each property's wire name, type and whether it must be.

Read from the generated source, which has one regular form, and not by import: the package takes seconds to import, and a
plugin has one second to start.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

PROPERTY = re.compile(
    r"    @pulumi\.getter(?:\(name=\"(?P<wire>\w+)\"\))?\n"
    r"(?P<decorators>(?:    @_utilities\.deprecated\(.*?\)\n)?)"
    r"    def (?P<name>\w+)\(self\) -> (?P<type>[^\n]+):\n"
    r"(?:        \"\"\"\n(?P<doc>.*?)\n        \"\"\")?",
    re.DOTALL,
)
IMPORT = re.compile(r"\$ pulumi import (?P<token>aws:\S+) \S+ (?P<id>\S+)")
SCALARS = {"str": "str", "int": "int", "float": "float", "bool": "bool"}


class UnknownTokenError(Exception):
    """The SDK has no such resource, function or type."""


@dataclass(frozen=True, kw_only=True)
class Type:
    kind: Literal["str", "int", "float", "bool", "any", "list", "map", "object"]
    item: Type | None = None  # of a list or a map
    reference: tuple[str, str] | None = None  # of an object: the file that has the class, and the class

    def __str__(self) -> str:
        words = {"str": "a string", "int": "a whole number", "float": "a number", "bool": "true or false", "any": "anything"}
        return words.get(self.kind) or {"list": "a list", "map": "a map", "object": "an object"}[self.kind]


ANY = Type(kind="any")


@dataclass(frozen=True, kw_only=True)
class Property:
    name: str  # as on the wire: camelCase
    type: Type
    required: bool  # an input that must be given; an output that is always there
    doc: str = ""


Properties = Mapping[str, Property]


@dataclass(frozen=True, kw_only=True)
class Resource:
    token: str  # aws:s3/bucket:Bucket
    module: str  # s3
    noun: str  # Bucket
    inputs: Properties
    outputs: Properties
    example: str  # an id, from the documentation's example of an import


@dataclass(frozen=True, kw_only=True)
class Function:
    token: str
    module: str
    inputs: Properties
    outputs: Properties


class Sdk:
    """Reads each file once, when a token first asks for it. Lookups from several threads at once are harmless."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or _installed()
        self._resources: dict[str, Resource] = {}
        self._functions: dict[str, Function] = {}
        self._nested: dict[tuple[str, str], Properties] = {}
        self._texts: dict[str, str] = {}

    def resource(self, token: str) -> Resource:
        if token not in self._resources:
            match = re.search(rf'"fqn": "(pulumi_aws[\w.]*)",\s*"classes": \{{\s*"{re.escape(token)}": "(\w+)"', self._registry)
            if match is None:
                raise UnknownTokenError(f"pulumi_aws has no resource {token}")
            package, noun = match.groups()
            path = self._file(package.replace("pulumi_aws", "").strip("."), token)
            text = self._text(path)
            outputs = self._properties(_class(text, noun), path, outputs=True)
            example = next((m["id"] for m in IMPORT.finditer(text) if m["token"] == token), "")
            self._resources[token] = Resource(
                token=token,
                module=token.split(":")[1].partition("/")[0],
                noun=noun,
                # XInitArgs where another class is called XArgs already
                inputs=self._properties(_class(text, f"{noun}InitArgs") or _class(text, f"{noun}Args"), path),
                outputs=outputs,
                example=example,
            )
        return self._resources[token]

    def function(self, token: str) -> Function:
        """``aws:ec2/getAmi:getAmi``."""
        if token not in self._functions:
            module, _, name = token.split(":")[1].partition("/")
            if not name or not name.startswith("get"):
                raise UnknownTokenError(f"pulumi_aws has no function {token} that a stand-in could answer")
            package = "" if module == "index" else module
            if package and not (self.folder / package).is_dir():
                package += "_"  # lambda is a word of Python's
            path = self._file(package, token)
            text = self._text(path)
            result = re.search(r"^class (Get\w+Result):", text, re.MULTILINE)
            if result is None:
                raise UnknownTokenError(f"pulumi_aws gives no result type for {token}")
            outputs = self._properties(_class(text, result[1]), path, outputs=True)
            given = re.findall(r"__args__\['(\w+)'\]", text)
            inputs = {key: outputs.get(key) or Property(name=key, type=ANY, required=False) for key in given}
            self._functions[token] = Function(token=token, module=module, inputs=inputs, outputs=outputs)
        return self._functions[token]

    def nested(self, reference: tuple[str, str]) -> Properties:
        """The properties of a nested type, empty where the SDK has no such class."""
        if reference not in self._nested:
            path, name = reference
            text = _class(self._text(path), name) if (self.folder / path).is_file() else ""
            self._nested[reference] = self._properties(text, path, outputs=path.endswith("outputs.py"))
        return self._nested[reference]

    @cached_property
    def _registry(self) -> str:
        text = self._text("__init__.py")
        return text[text.index("_utilities.register(") :].replace('\\"', '"')

    def _text(self, path: str) -> str:
        if path not in self._texts:
            self._texts[path] = (self.folder / path).read_text(encoding="utf-8")
        return self._texts[path]

    def _file(self, package: str, token: str) -> str:
        """The file whose class or function registers ``token``: named after it in nearly all cases."""
        stem = token.split(":")[1].rpartition("/")[2]
        usual = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", stem).lower()
        folder = self.folder / package
        candidates = [folder / f"{usual}.py", *sorted(folder.glob("*.py"))]
        for candidate in candidates:
            path = candidate.relative_to(self.folder).as_posix()
            if candidate.is_file() and f"'{token}'" in self._text(path):
                return path
        raise UnknownTokenError(f"pulumi_aws registers {token}, but no file of {package or 'the package'} has it")

    def _properties(self, text: str, path: str, *, outputs: bool = False) -> Properties:
        found: dict[str, Property] = {}
        for match in PROPERTY.finditer(text):
            wire = match["wire"] or match["name"]
            expression = ast.parse(match["type"], mode="eval").body
            found[wire] = Property(
                name=wire,
                type=_type(expression, path, outputs),
                required=not _optional(expression),
                doc=" ".join((match["doc"] or "").split()),
            )
        return found


def _installed() -> Path:
    found = importlib.util.find_spec("pulumi_aws")
    if found is None or not found.submodule_search_locations:
        raise UnknownTokenError("the Python package pulumi-aws is not installed; set it up with: make environment")
    return Path(next(iter(found.submodule_search_locations)))


def _class(text: str, name: str) -> str:
    """The source of one class, without what follows it."""
    for start in (f"\nclass {name}(", f"\nclass {name}:"):
        begin = text.find(start)
        if begin >= 0:
            end = re.compile(r"\n(?:@pulumi\.|class |def |if not MYPY)").search(text, begin + 1)
            return text[begin : end.start() if end else len(text)]
    return ""


_WRAPPERS = ("Input", "Output", "Optional")


def _head(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _optional(node: ast.expr) -> bool:
    while isinstance(node, ast.Subscript) and _head(node.value) in ("Input", "Output"):
        node = node.slice
    return isinstance(node, ast.Subscript) and _head(node.value) == "Optional"


def _type(node: ast.expr, path: str, outputs: bool) -> Type:
    if isinstance(node, ast.Subscript):
        head = _head(node.value)
        if head in _WRAPPERS:
            return _type(node.slice, path, outputs)
        if head == "Sequence":
            return Type(kind="list", item=_type(node.slice, path, outputs))
        if head == "Mapping" and isinstance(node.slice, ast.Tuple):
            return Type(kind="map", item=_type(node.slice.elts[1], path, outputs))
        if head == "Union" and isinstance(node.slice, ast.Tuple):
            kinds = [_type(item, path, outputs) for item in node.slice.elts]
            scalars = [kind for kind in kinds if kind.kind in SCALARS]
            return scalars[0] if scalars else kinds[0]
        return ANY
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _reference(node.value, path)
    if _head(node) in SCALARS:
        return Type(kind=SCALARS[_head(node)])  # type: ignore[arg-type]
    return ANY


@lru_cache(maxsize=8192)
def _reference(text: str, path: str) -> Type:
    """A forward reference: ``outputs.ClusterVpcConfig`` or ``ClusterVpcConfigArgs``, seen from a file of the same folder."""
    owner, _, name = text.rpartition(".")
    folder = path.rpartition("/")[0]
    if owner in ("outputs", "_root_outputs") or (not owner and path.endswith("outputs.py")):
        home = "outputs.py"
    elif not owner and name.endswith("Args"):
        home = "_inputs.py"
    else:
        return ANY
    base = "" if owner.startswith("_root") or not folder else f"{folder}/"
    return Type(kind="object", reference=(f"{base}{home}", name))
