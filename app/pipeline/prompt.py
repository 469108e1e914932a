"""The prompt that the inference service is asked to complete. The template follows the question's script."""

from __future__ import annotations

from app.pipeline.language import Language, language_of


def prompt_for(question: str, context: str = "", instructions: str = "") -> str:
    """``instructions``: how a tenant wants its questions answered; a prompt without them has no line for them."""
    if language_of(question) is Language.CHINESE:
        wanted = f"要求: {instructions}\n" if instructions else ""
        return f"问题: {question}\n{wanted}上下文: {context}\n回答:"
    wanted = f"Instructions: {instructions}\n" if instructions else ""
    return f"Question: {question}\n{wanted}Context: {context}\nAnswer:"
