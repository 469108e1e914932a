"""Which of the assistant's languages somebody writes in, by script: no model, no guess at a locale."""

from __future__ import annotations

import re
from enum import StrEnum

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# Hiragana, katakana (full, phonetic extensions, half width) and Hangul. Not U+30FB, the middle dot: Chinese uses it too.
_KANA_OR_HANGUL = re.compile(r"[\u3041-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
_WORD = re.compile(r"[A-Za-z\u00c0-\u024f\u0370-\u04ff]+")  # Latin, Greek, Cyrillic


class Language(StrEnum):
    CHINESE = "zh"
    ENGLISH = "en"  # also stands for everything else


def language_of(text: str) -> Language:
    """Chinese where there are Han characters, no kana and no Hangul (that would be Japanese or Korean), and at least as many
    Han characters as words in an alphabet: "用 Python 写一个 hello world" is Chinese, "What does 你好 mean?" is not.

    Japanese written in kanji alone ("東京大学") looks Chinese: nothing in the script tells them apart.
    """
    han = len(_HAN.findall(text))
    if han == 0 or _KANA_OR_HANGUL.search(text) or han < len(_WORD.findall(text)):
        return Language.ENGLISH
    return Language.CHINESE
