"""Small wrongs of a module: each one change to its syntax tree that a test should notice.

What is changed decides something: comparisons and their borders, conditions, constants, the members of collections, verdicts,
arguments of ``each`` and ``all_of``. What people only read is left alone: docstrings, annotations, reasons, a rule's title.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
CALLS: Final = {"any": "all", "all": "any", "min": "max", "max": "min", "startswith": "endswith", "endswith": "startswith"}
CHANGING: Final = frozenset({"append", "add", "update", "extend", "discard", "remove", "setdefault"})
COMBINING: Final = frozenset({"each", "all_of"})
VERDICTS: Final = frozenset({"fail", "undetermined"})
SPOKEN: Final = VERDICTS | {"show", "describe"}
# What the analyzer and the tests hold a rule to; the rest is for readers.
DECIDING: Final = frozenset({"checks", "relations", "remediation", "configure"})
NEVER_READ: Final = frozenset({"annotation", "returns", "decorator_list", "type_comment", "bases", "type_params"})
MARK: Final = "~"
LONGEST_SHOWN: Final = 90  # characters


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """``apply`` changes the tree that the mutant was found in, for good. ``where``: the function, by its dotted name."""

    file: str
    line: int
    where: str
    before: str
    after: str
    apply: Callable[[], None]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The same from one version of the file to the next, as long as the line itself is."""
        return self.file, self.where, self.before, self.after

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.where or '(module)'}: {self.before}  ->  {self.after}"


@dataclass(frozen=True)
class _Scope:
    where: str = ""
    spoken: bool = False  # inside what people read
    listed: bool = False  # a text stands among others of a collection, or is compared
    shaped: bool = False  # the members of a tuple are the fields of something


@dataclass(frozen=True)
class _Place:
    """Where a node hangs in the tree."""

    parent: ast.AST
    field: str
    index: int | None = None

    def put(self, node: ast.AST) -> Callable[[], None]:
        def changed() -> None:
            if self.index is None:
                setattr(self.parent, self.field, node)
            else:
                getattr(self.parent, self.field)[self.index] = node

        return changed

    def drop(self) -> Callable[[], None]:
        def changed() -> None:
            del getattr(self.parent, self.field)[self.index]

        return changed


def mutants_of(tree: ast.Module, file: str) -> list[Mutant]:
    """In the order of the file."""
    return sorted((replace(mutant, file=file) for mutant in _within(tree, _Scope())), key=lambda mutant: mutant.line)


def _within(node: ast.AST, scope: _Scope) -> Iterator[Mutant]:
    """Mutants of all that hangs below ``node``."""
    scope = _entered(node, scope)
    for name, value in ast.iter_fields(node):
        if name in NEVER_READ or _is_for_readers(node, name):
            continue
        if isinstance(value, ast.AST):
            yield from _at(_Place(node, name), value, scope)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield from _at(_Place(node, name, index), item, scope)


def _entered(node: ast.AST, scope: _Scope) -> _Scope:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return _Scope(where=f"{scope.where}.{node.name}" if scope.where else node.name)
    if isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and _name(node.func) in SPOKEN):
        return replace(scope, spoken=True)
    listed = isinstance(node, ast.Compare | ast.Set | ast.Tuple | ast.List | ast.Dict)
    return replace(scope, listed=listed) if listed != scope.listed else scope


def _is_for_readers(node: ast.AST, field: str) -> bool:
    return isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom) or field == "ctx"


def _at(place: _Place, node: ast.AST, scope: _Scope) -> Iterator[Mutant]:
    if _is_docstring(node) or _is_about_running(node) or (isinstance(node, ast.keyword) and _is_metadata(place.parent, node)):
        return
    for changed, apply in _changes(place, node, scope):
        shown = _shown(node)
        yield Mutant(file="", line=getattr(node, "lineno", 0), where=scope.where, before=shown, after=changed, apply=apply)
    yield from _within(node, replace(scope, shaped=_has_a_shape(place, node)))


def _has_a_shape(place: _Place, node: ast.AST) -> bool:
    """Whether ``node`` is a tuple that is taken apart again: two results of a function, two values that are assigned."""
    parent = place.parent
    taken_apart = isinstance(parent, ast.Assign) and any(isinstance(target, ast.Tuple) for target in parent.targets)
    many = ast.Return | ast.Yield | ast.Lambda | ast.Subscript | ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp
    return isinstance(node, ast.Tuple) and (taken_apart or isinstance(parent, many))


def _changes(place: _Place, node: ast.AST, scope: _Scope) -> Iterator[tuple[str, Callable[[], None]]]:
    for changed in _replacements(place, node, scope):
        yield _shown(changed), place.put(_located(changed, node))
    if _may_be_dropped(place, node, scope):
        yield "(dropped)", place.drop()
    if isinstance(node, ast.Dict):
        for index, key in enumerate(node.keys):
            yield f"without {_shown(key) if key else '**'}", _entry_dropped(node, index)


def _entry_dropped(node: ast.Dict, index: int) -> Callable[[], None]:
    def changed() -> None:
        del node.keys[index]
        del node.values[index]

    return changed


def _replacements(place: _Place, node: ast.AST, scope: _Scope) -> Iterator[ast.AST]:
    turned = isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant)  # by what follows
    if isinstance(node, ast.expr) and _is_condition(place) and not turned:
        yield ast.UnaryOp(ast.Not(), node)
    if isinstance(node, ast.Compare):
        for position, operator in enumerate(node.ops):
            for other in COMPARISONS.get(type(operator), ()):
                operators = [*node.ops[:position], other(), *node.ops[position + 1 :]]
                yield ast.Compare(node.left, operators, node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for position in range(len(node.values)):
            if _is_empty(node.values[position]):
                continue  # what stands in for nothing: it does not decide
            rest = [*node.values[:position], *node.values[position + 1 :]]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not _joins_texts(node):
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.Constant) and not scope.spoken:
        yield from _constants(place, node, scope)
    elif isinstance(node, ast.Name) and node.id == "PASS" and isinstance(node.ctx, ast.Load):
        yield _of_rule("fail('a mutant')")
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.stmt):
        yield from _statements(node)


def _constants(place: _Place, node: ast.Constant, scope: _Scope) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)
        if not isinstance(place.parent, ast.Subscript | ast.Slice):
            yield ast.Constant(value - 1)
    # A member or a key goes as a whole, which is the same mistake; what has spaces and is compared with nothing is a sentence.
    elif isinstance(value, str) and (scope.listed or " " not in value) and not _goes_as_a_whole(place, node, scope):
        if not value and isinstance(place.parent, ast.BoolOp):
            return  # `or ""` stands in for nothing
        yield ast.Constant(value + MARK)


def _goes_as_a_whole(place: _Place, node: ast.AST, scope: _Scope) -> bool:
    return _may_be_dropped(place, node, scope) or place.field == "keys"


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    name = _name(node.func)
    if name in VERDICTS and isinstance(node.func, ast.Name):
        yield _of_rule("PASS")
    if name == "undetermined" and isinstance(node.func, ast.Name):
        yield ast.Call(_of_rule("fail"), node.args, node.keywords)
    if name in CALLS:
        other = CALLS[name]
        changed = (
            ast.Attribute(node.func.value, other, ast.Load())
            if isinstance(node.func, ast.Attribute)
            else ast.Name(other, ast.Load())
        )
        yield ast.Call(changed, node.args, node.keywords)


def _statements(node: ast.stmt) -> Iterator[ast.AST]:
    if isinstance(node, ast.Continue):
        yield ast.Break()
    elif isinstance(node, ast.Break):
        yield ast.Continue()
    elif isinstance(node, ast.AugAssign | ast.Raise) or _changes_something(node):
        yield ast.Pass()


def _changes_something(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _name(node.value.func) in CHANGING


def _may_be_dropped(place: _Place, node: ast.AST, scope: _Scope) -> bool:
    """A member of a collection, a condition of a comprehension, an argument of what combines verdicts."""
    parent = place.parent
    if scope.shaped:
        return False
    if isinstance(parent, ast.comprehension):
        return place.field == "ifs"
    if isinstance(parent, ast.Call) and place.field == "args":
        return _name(parent.func) in COMBINING and len(parent.args) > 1
    if isinstance(parent, ast.Set):
        return len(parent.elts) > 1  # an empty set has no literal
    return (
        isinstance(parent, ast.Tuple | ast.List) and place.field == "elts" and _is_data(parent) and isinstance(node, ast.expr)
    )


def _is_data(node: ast.Tuple | ast.List) -> bool:
    """Whether the members stand for one another, rather than for the fields of something."""
    kinds = {type(member) for member in node.elts}
    return isinstance(node.ctx, ast.Load) and (
        isinstance(node, ast.List)
        or len(node.elts) == 1
        or kinds <= {ast.Starred, ast.Call}
        or kinds <= {ast.Starred, ast.Name, ast.Attribute}
        or all(isinstance(member, ast.Constant | ast.Starred) and not _is_number(member) for member in node.elts)
    )


def _is_empty(node: ast.expr) -> bool:
    return not ast.unparse(node).strip("\"'()[]{}")


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def _is_condition(place: _Place) -> bool:
    return place.field == "test" or (isinstance(place.parent, ast.comprehension) and place.field == "ifs")


def _joins_texts(node: ast.BinOp) -> bool:
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_about_running(node: ast.AST) -> bool:
    """``if __name__ == "__main__"``, ``if TYPE_CHECKING``, ``Literal`` and ``Callable``: nothing for a test of the module."""
    if isinstance(node, ast.Subscript):
        return _name(node.value) in ("Literal", "Callable")
    return isinstance(node, ast.If) and any(name in ast.unparse(node.test) for name in ("__name__", "TYPE_CHECKING"))


def _is_metadata(parent: ast.AST, node: ast.keyword) -> bool:
    if node.arg == "encoding":  # Python reads "utf-8~" as utf-8
        return True
    return isinstance(parent, ast.Call) and _name(parent.func) == "Rule" and node.arg not in DECIDING


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""


def _of_rule(expression: str) -> ast.expr:
    """Something of ``policies.rule``, whether or not the module has imported it."""
    return ast.parse(f"__import__('policies.rule', fromlist=['rule']).{expression}", mode="eval").body


def _located(node: ast.AST, origin: ast.AST) -> ast.AST:
    return ast.fix_missing_locations(ast.copy_location(node, origin))


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split()).replace("__import__('policies.rule', fromlist=['rule']).", "")
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
