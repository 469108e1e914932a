"""Which questions are the same one: what may differ between two wordings before one's answer is told for the other's.

A key too many costs an inference; a key too few tells somebody the wrong answer. So only what cannot change what is asked is
levelled:

- *Width and composition* (NFKC): Ａ and A, ｶﾞ and ガ, é as one character or two, a no-break space. Not what NFKC would take for
  the same although it is not: 2² is not 22, ½ not 1/2, ℝ not R, ① not 1.
- *Case*, of words that consist of letters and have at most their first as a capital: France and france, as people type. Not of
  WHO and who, iPhone, -V and -v, README.md, nor of single letters (C, c). Lower case, not full case folding, which would make
  Maße and Masse one.
- *White space* within a line, and round it.
- *The closing mark*, where it stands at a word: whatever is sent is asked as a question. "the operator !" keeps its own.

A question of several lines, or with a backtick, may hold code, where all of this has a meaning: it is taken as it is.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import Final

from app.pipeline.language import language_of

VERSION: Final = 1  # of the rules above and of the prompt: raise it when either changes, and nothing kept before is found

# Kinds of compatibility (Unicode Standard Annex 44, Decomposition_Mapping) under which a character is the same one, drawn
# otherwise; "" is canonical equivalence.
_SAME = frozenset({"", "<wide>", "<narrow>", "<noBreak>", "<compat>"})
# Letters, also with an apostrophe (what's), in what may stand round a word.
_PLAIN = re.compile(r"[(\"'“‘]*([^\W\d_]+(?:['’][^\W\d_]+)*)[)\"'”’,;:?!.…。]*")
_CLOSING = re.compile(r"(?<=[\w)\]}\"'”’」』》）])[?!.。…？！]+$")


def question_key(question: str, context: str, *, tenant: str, digest: str, instructions: str) -> str:
    """64 hexadecimal digits: equal for what must get one answer, and from no other tenant or model."""
    parts = [VERSION, tenant, digest, language_of(question), normalised(question), context, instructions]
    # JSON keeps the parts apart, whatever they contain, and is ASCII also where a text holds half a surrogate pair.
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()


def normalised(question: str) -> str:
    question = question.strip()
    if "`" in question or len(question.splitlines()) > 1:
        return question
    composed = unicodedata.normalize("NFC", "".join(map(_levelled, question)))
    words = " ".join(_in_lower_case(word) for word in composed.split())
    return _CLOSING.sub("", words)


def _levelled(character: str) -> str:
    mapping = unicodedata.decomposition(character)
    kind = mapping.split(" ", 1)[0] if mapping.startswith("<") else ""
    return unicodedata.normalize("NFKC", character) if kind in _SAME else character


def _in_lower_case(word: str) -> str:
    found = _PLAIN.fullmatch(word)
    return word.lower() if found and len(found[1]) > 1 and found[1][1:].islower() else word
