"""Where a text may be cut without tearing what a reader sees as one character.

The rules of Unicode's annex 29 that matter in messages: accents and other combining marks, variation selectors, emoji with skin
tones, joined emoji, flags, tags, Hangul written in letters, conjuncts of Indic scripts. A few cuts that the annex allows are
not made here; none that it forbids is, but beside prepended signs of a few scripts.
"""

from __future__ import annotations

import unicodedata

ZERO_WIDTH_JOINER = "\u200d"
ZERO_WIDTH_NON_JOINER = "\u200c"
VIRAMA = 9  # the combining class of the signs that join two consonants


def is_boundary(text: str, index: int) -> bool:
    if index <= 0 or index >= len(text):
        return True
    before, after = text[index - 1], text[index]
    if after < "\u0300":  # fast: most text; only a carriage return's line feed belongs to what stands before it
        return before != "\r" or after != "\n"
    if before == ZERO_WIDTH_JOINER or _extends(after):
        return False
    if unicodedata.category(after) == "Lo" and _ends_with_virama(text, index):
        return False
    if _is_flag_letter(before) and _is_flag_letter(after):
        return _flag_letters_before(text, index) % 2 == 0
    return not _joins_hangul(before, after)


def boundary_before(text: str, index: int) -> int:
    """The last place at or before ``index`` where a cut tears nothing; 0 where the first character is longer than that."""
    while not is_boundary(text, index):
        index -= 1
    return max(index, 0)


def _extends(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Mn", "Me", "Mc")
        or character in (ZERO_WIDTH_JOINER, ZERO_WIDTH_NON_JOINER, "\u0e33", "\u0eb3")  # the vowel am of Thai and Lao
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= character <= "\U000e007f"  # tags
        or "\uff9e" <= character <= "\uff9f"  # half-width voicing marks
    )


def _ends_with_virama(text: str, index: int) -> bool:
    """Perhaps with other marks behind it."""
    while index and _extends(text[index - 1]):
        index -= 1
        if unicodedata.combining(text[index]) == VIRAMA:
            return True
    return False


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_letters_before(text: str, index: int) -> int:
    first = index
    while first and _is_flag_letter(text[first - 1]):
        first -= 1
    return index - first


def _joins_hangul(before: str, after: str) -> bool:
    lead, syllable = _is_lead(before), "\uac00" <= before <= "\ud7a3"
    vowel_or_tail = "\u1160" <= after <= "\u11ff" or "\ud7b0" <= after <= "\ud7fb"
    if lead and (_is_lead(after) or "\uac00" <= after <= "\ud7a3"):
        return True
    continues = lead or syllable or "\u1160" <= before <= "\u11ff" or "\ud7b0" <= before <= "\ud7fb"
    return continues and vowel_or_tail


def _is_lead(character: str) -> bool:
    return "\u1100" <= character <= "\u115f" or "\ua960" <= character <= "\ua97c"
