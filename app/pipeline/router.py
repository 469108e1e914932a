"""Where an event goes: to a task, to the model, or to the help text. Pure: nothing is asked and nothing happens here."""

from __future__ import annotations

from dataclasses import dataclass

from app.auth.roles import ASK, run
from app.pipeline.event import Event
from app.tasks.template import Library, Match

HELP_WORDS = frozenset({"help", "/help", "帮助", "/帮助"})


@dataclass(frozen=True, slots=True)
class TaskRoute:
    match: Match

    def __str__(self) -> str:
        return f"task {self.match.template.name}"


@dataclass(frozen=True, slots=True)
class AnswerRoute:
    question: str

    def __str__(self) -> str:
        return "answer"


@dataclass(frozen=True, slots=True)
class HelpRoute:
    def __str__(self) -> str:
        return "help"


@dataclass(frozen=True, slots=True)
class DeniedRoute:
    """What the sender wanted is not theirs to have."""

    def __str__(self) -> str:
        return "denied"


Route = TaskRoute | AnswerRoute | HelpRoute | DeniedRoute


def permission_of(chosen: Route) -> str | None:
    """What the sender needs for it; None where everybody may have it."""
    match chosen:
        case TaskRoute(match=match):
            return run(match.template.action.name)
        case AnswerRoute():
            return ASK
    return None


def route(event: Event, library: Library) -> Route:
    """A task where a template matches; help where somebody asks for it or says nothing a model could read; else an answer."""
    text = event.text.strip()
    if match := library.match(text):
        return TaskRoute(match)
    if text.lower() in HELP_WORDS or not any(character.isalnum() for character in text):
        return HelpRoute()
    return AnswerRoute(text)
