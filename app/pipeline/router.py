"""Where an event goes: to a task, to the model, or to the help text. Pure: nothing is asked and nothing happens here."""

from __future__ import annotations

from dataclasses import dataclass

from app.auth.permissions import ASK, run
from app.pipeline.event import Event
from app.tasks.template import Match
from app.tenants.tenant import Tasks

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


Route = TaskRoute | AnswerRoute | HelpRoute


def permission_of(chosen: Route) -> str | None:
    """What the sender needs for it; None where everybody may have it."""
    match chosen:
        case TaskRoute(match=match):
            return run(match.template.action.name)
        case AnswerRoute():
            return ASK
        case HelpRoute():
            return None


def route(event: Event, library: Tasks) -> Route:
    """A task where a template matches; help where somebody asks for it or says nothing a model could read; else an answer."""
    text = event.text.strip()
    if match := library.match(text):
        return TaskRoute(match)
    if text.lower() in HELP_WORDS or not any(character.isalnum() for character in text):
        return HelpRoute()
    return AnswerRoute(text)
