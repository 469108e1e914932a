"""The chat template: what a model was trained to see around a user's message.

The template comes with the model and is run in a sandbox, once, at the start: it is given a placeholder as the message, and
what it writes before and after is kept. So no text of a user ever passes through Jinja, and control tokens are known to come
from the template.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.inference.errors import StartError


@dataclass(frozen=True)
class Frame:
    """What stands around the user's message; ``strips`` when the template trims the message."""

    before: str = ""
    after: str = ""
    strips: bool = False

    def content(self, message: str) -> str:
        return message.strip() if self.strips else message


def frame(template: str, *, bos: str = "", eos: str = "") -> Frame:
    """Render ``template`` round a placeholder, as one user message that awaits the assistant's.

    Raises :class:`StartError` when the template fails or does not show the message exactly once.
    """
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(raise_exception=_raise, strftime_now=lambda form: datetime.now(UTC).strftime(form))
    mark = f"placeholder-{secrets.token_hex(16)}"
    message = f"\n {mark} \n"
    try:
        text = environment.from_string(template).render(
            messages=[{"role": "user", "content": message}],
            add_generation_prompt=True,
            bos_token=bos,
            eos_token=eos,
            tools=None,
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        raise StartError(f"the model's chat template cannot be rendered: {type(error).__name__}: {error}") from None
    if text.count(mark) != 1:
        raise StartError(f"the model's chat template shows the user's message {text.count(mark)} times; once is expected")
    strips = message not in text
    before, _, after = text.partition(mark if strips else message)
    return Frame(before, after, strips)


def _raise(message: str) -> Any:
    raise TemplateError(message)
