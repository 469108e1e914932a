"""Which wordings are one question, and which are not."""

from __future__ import annotations

import pytest

from app.pipeline.question_key import normalised, question_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the capital of France?", "what is  the capital of france"),
        ("What's new?", " what's new "),
        ("Who are you?!", "Who are you"),
        ("法国的首都是哪里？", "法国的首都是哪里"),
        ("法国的首都是哪里？", "法国的首都是哪里?"),
        ("Ｗｈａｔ　ｉｓ ＡＩ？", "What is AI?"),
        ("Où est le cafe\u0301 ?", "où est le café ?"),
        ("ｶﾞｽとは", "ガスとは"),
        ("What costs 5\u00a0EUR?", "what costs 5 EUR"),
        ("Where is (the) Rhine, please?", "where is (the) rhine, please"),
    ],
)
def test_two_wordings_of_one_question_are_the_same(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 2²?", "What is 22?"),
        ("What is ½?", "What is 1/2?"),
        ("Is ℝ a set?", "Is R a set?"),
        ("What does ① mean?", "What does 1 mean?"),
        ("Who is WHO?", "Who is who?"),
        ("What does grep -V do?", "What does grep -v do?"),
        ("Is C a language?", "Is c a language?"),
        ("What is README.md?", "What is readme.md?"),
        ("What does userName mean?", "What does username mean?"),
        ("die Maße", "die Masse"),
        ("What does the operator ! do", "What does the operator ? do"),
        ("Explain the operator !", "Explain the operator ?"),
        ("What is C++?", "What is C?"),
        ("Why does `if x:  y` fail?", "Why does `if x: y` fail?"),
        ("Why?\nif x:\n    y", "Why?\nif x:\n  y"),
        ("Explain `Print`.", "Explain `print`."),
    ],
)
def test_what_may_be_another_question_is_one(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_normalising_twice_changes_nothing() -> None:
    for text in ("What is  IT?", "２²？", "Who, WHO?!", "", " \t", "?", "…", "ＡＢ。", "\ud800?"):
        assert normalised(normalised(text)) == normalised(text)


ASKED = {"question": "Why?", "context": "", "tenant": "acme", "digest": "d" * 64, "instructions": ""}


def key(**changes: str) -> str:
    values = ASKED | changes
    return question_key(
        values.pop("question"), values.pop("context"), tenant=values["tenant"], digest=values["digest"],
        instructions=values["instructions"],
    )  # fmt: skip


@pytest.mark.parametrize("part", ASKED)
def test_another_value_of_any_part_is_another_key(part: str) -> None:
    assert key() == key()
    assert key(**{part: "other"}) != key()


def test_no_text_can_pass_for_a_neighbouring_part() -> None:
    assert key(tenant='a","b', digest="c") != key(tenant="a", digest='b","c')
    assert key(context="a", instructions="b") != key(context="b", instructions="a")
    assert key(tenant="a\x00b", digest="c") != key(tenant="a", digest="\x00bc")


def test_a_key_says_nothing_of_the_question_and_takes_half_a_surrogate_pair() -> None:
    found = key(question="canary \ud800")
    assert len(found) == 64
    assert set(found) <= set("0123456789abcdef")
