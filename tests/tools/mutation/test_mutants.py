"""Which wrongs are made of a module, and which of its words are left alone."""

from __future__ import annotations

import ast

import pytest

from tools.mutation.mutants import mutants_of


def mutated(source: str) -> list[str]:
    """Every mutant's source, each from a tree of its own."""
    count = len(mutants_of(ast.parse(source), "m.py"))
    made = []
    for number in range(count):
        tree = ast.parse(source)
        mutants_of(tree, "m.py")[number].apply()
        made.append(ast.unparse(tree).replace("__import__('policies.rule', fromlist=['rule']).", ""))
    return made


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < 1", ["a <= 1", "a >= 1", "a < 2", "a < 0"]),
        ("a == b", ["a != b"]),
        ("0 < a <= b", ["0 <= a <= b", "0 >= a <= b", "0 < a < b", "0 < a > b", "1 < a <= b", "-1 < a <= b"]),
        ("a in b", ["a not in b"]),
        ("a is None", ["a is not None"]),
        ("a and b", ["a or b", "b", "a"]),
        ("b = a or ''", ["b = a and ''", "b = ''"]),
        ("not a", ["a"]),
        ("a = 'x'", ["a = 'x~'"]),
        ("a = True", ["a = False"]),
        ("a = b[0]", ["a = b[1]"]),
        ("a = {'x', 'y'}", ["a = {'y'}", "a = {'x'}"]),
        ("a = ('x', *b)", ["a = (*b,)", "a = ('x',)"]),
        ("a = {'x': c, 'y': d}", ["a = {'y': d}", "a = {'x': c}"]),
        ("a = [b for b in c if d(b)]", ["a = [b for b in c if not d(b)]", "a = [b for b in c]"]),
        ("each(a, b)", ["each(b)", "each(a)"]),
        ("any(a)", ["all(a)"]),
        ("a.startswith(b)", ["a.endswith(b)"]),
        ("a.append(b)", ["pass"]),
        ("a = b - c", ["a = b + c"]),
    ],
)
def test_what_decides_is_changed(source: str, expected: list[str]) -> None:
    assert sorted(mutated(source)) == sorted(expected)


def test_verdicts_are_turned_round() -> None:
    made = mutated("def f(a):\n    if a:\n        return fail('no')\n    return PASS")
    assert [text.replace("\n", " ") for text in made] == [
        "def f(a):     if not a:         return fail('no')     return PASS",
        "def f(a):     if a:         return PASS     return PASS",
        "def f(a):     if a:         return fail('no')     return fail('a mutant')",
    ]
    assert sorted(mutated("a = undetermined('x')")) == ["a = PASS", "a = fail('x')"]


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "a: int",
        "def f(a: 'x | y') -> 'z':\n    g()",
        "from a import b",
        "a = 'a sentence for people'",
        "a = f'text {b}'",
        "a = Rule(id='R01', title='t', severity=Severity.HIGH, controls=('8.24',))",
        "a, b = b, a",
        "A = Literal['x', 'y']",
        "A = Callable[[B], C]",
        "if __name__ == '__main__':\n    f(1)",
        "if TYPE_CHECKING:\n    import a",
        "a.read_text(encoding='utf-8')",
        "def f():\n    return (a, b)",
    ],
)
def test_what_people_read_and_what_only_has_a_shape_is_left_alone(source: str) -> None:
    assert mutated(source) == []


def test_within_a_reason_conditions_are_changed_and_words_are_not() -> None:
    assert mutated("fail('x', *(b for b in c if b == 1))") == [
        "PASS",
        "fail('x', *(b for b in c if b != 1))",
        "fail('x', *(b for b in c))",
    ]


def test_a_rules_checks_and_their_types_are_its_decision() -> None:
    source = "a = Rule(title='t', checks=(Check(types=(X, Y), judge=f),))"
    assert "a = Rule(title='t', checks=(Check(types=(Y,), judge=f),))" in mutated(source)
    assert "a = Rule(title='t', checks=())" in mutated(source)


def test_a_mutant_is_told_by_line_function_and_change() -> None:
    (mutant,) = mutants_of(ast.parse("class C:\n    def f(self, a):\n        g(not a)"), "m.py")
    assert str(mutant) == "m.py:3 C.f: not a  ->  a"
    assert mutant.key == ("m.py", "C.f", "not a", "a")
