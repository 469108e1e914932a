from __future__ import annotations

import pytest

from app.pipeline.language import Language, language_of
from app.pipeline.prompt import prompt_for


def test_a_chinese_question_gets_the_chinese_template_byte_for_byte() -> None:
    assert prompt_for("法国的首都是哪里？", "法国概况").encode() == "问题: 法国的首都是哪里？\n上下文: 法国概况\n回答:".encode()
    assert prompt_for("法国的首都是哪里？") == "问题: 法国的首都是哪里？\n上下文: \n回答:"


def test_another_question_gets_the_english_template_whatever_its_context() -> None:
    assert prompt_for("Who wrote it?", "作者是鲁迅") == "Question: Who wrote it?\nContext: 作者是鲁迅\nAnswer:"


def test_a_tenants_instructions_stand_before_the_context_in_both_templates() -> None:
    chinese = prompt_for("法国的首都是哪里？", "法国概况", "用一句话回答")
    assert chinese == "问题: 法国的首都是哪里？\n要求: 用一句话回答\n上下文: 法国概况\n回答:"
    assert prompt_for("Why?", instructions="Be brief.") == "Question: Why?\nInstructions: Be brief.\nContext: \nAnswer:"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("什么是量子计算？", Language.CHINESE),
        ("什麼是量子計算？", Language.CHINESE),
        ("用 Python 写一个 hello world 程序", Language.CHINESE),
        ("𠮷野家在哪里", Language.CHINESE),
        ("卡尔・马克思是谁", Language.CHINESE),  # a katakana middle dot is no kana
        ("首都はどこですか？", Language.ENGLISH),
        ("東京タワー", Language.ENGLISH),
        ("東京ﾀﾜｰ", Language.ENGLISH),
        ("한국의 首都는?", Language.ENGLISH),
        ("What does 你好 mean?", Language.ENGLISH),
        ("What is the capital of France?", Language.ENGLISH),
        ("¿Cuál es la capital?", Language.ENGLISH),
        ("1 + 1 = ?", Language.ENGLISH),
        ("", Language.ENGLISH),
    ],
)
def test_the_language_follows_the_script(text: str, language: Language) -> None:
    assert language_of(text) is language
