"""The prompt that the inference service is asked to complete. The template follows the question's script."""

from __future__ import annotations

from app.pipeline.language import Language, language_of


def prompt_for(question: str, context: str = "") -> str:
    if language_of(question) is Language.CHINESE:
        return f"问题: {question}\n上下文: {context}\n回答:"
    return f"Question: {question}\nContext: {context}\nAnswer:"
