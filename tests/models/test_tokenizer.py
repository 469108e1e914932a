"""The tokenizer rebuilt from GGUF metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.models.errors import UnsupportedModelError
from app.models.gguf import GgufFile
from app.models.tokenizer import rebuild

TEXTS = ["the other", "a\n\n b", "Ünïcödé 你好 🙂", "x" * 50, "12345", "don't", "\x00\ttab", ""]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_survives_the_way_through_its_tokens(text: str, tiny_gguf: Path) -> None:
    with GgufFile(tiny_gguf) as file:
        tokenizer, _ = rebuild(file)
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_merges_are_applied_and_digits_stand_alone(tiny_gguf: Path) -> None:
    with GgufFile(tiny_gguf) as file:
        tokenizer, _ = rebuild(file)
    assert tokenizer.encode("the the 42").tokens == ["the", "Ġthe", "Ġ", "4", "2"]


def test_control_tokens_are_single_tokens_and_nothing_is_added(tiny_gguf: Path) -> None:
    with GgufFile(tiny_gguf) as file:
        tokenizer, record = rebuild(file)
    assert tokenizer.encode("<|im_start|>a<|im_end|>").ids == [1, tokenizer.token_to_id("a"), 2]
    assert record.bos == 1
    assert record.eos_ids == [0, 2]  # eos, and <|endoftext|>, which ends a text wherever it is known
    assert record.add_bos is False
    assert "<|im_start|>" in (record.chat_template or "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer_model": "llama"}, r"tokenizer model 'llama'; byte-level BPE"),
        ({"pre": "qwen2"}, r"pre-tokenizer 'qwen2'; supported are gpt-2, smollm"),
        ({"metadata": {"tokenizer.ggml.eos_token_id": 9999}}, r"eos_token_id 9999 is not in the vocabulary"),
    ],
)
def test_a_tokenizer_that_was_not_proved_is_refused(change: dict[str, Any], message: str, tiny: Any, tmp_path: Path) -> None:
    with GgufFile(tiny(**change).write(tmp_path / "t.gguf")) as file, pytest.raises(UnsupportedModelError, match=message):
        rebuild(file)
