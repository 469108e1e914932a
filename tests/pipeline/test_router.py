from __future__ import annotations

from typing import Any

import pytest

from app.pipeline.router import AnswerRoute, HelpRoute, TaskRoute, route
from app.tasks.actions import registry
from app.tasks.template import load_library

LIBRARY = load_library(None, registry())


@pytest.mark.parametrize(
    "text", ["创建一个周会的日程在2026-12-01", " 创建周会的日程。 ", "create an event called Weekly on 2026-12-01"]
)
def test_a_command_goes_to_its_task(text: str, make_event: Any) -> None:
    assert isinstance(route(make_event(text=text), LIBRARY), TaskRoute)


@pytest.mark.parametrize(
    "text", ["如何创建一个会议的日程?", "创建周会的日程？", "How do I create an event called X?", "法国的首都是哪里"]
)
def test_a_question_goes_to_the_model_even_if_it_names_a_task(text: str, make_event: Any) -> None:
    assert route(make_event(text=text), LIBRARY) == AnswerRoute(text)


@pytest.mark.parametrize("text", ["", "  \n", "help", "/HELP", "帮助", "？", "!!!", "🙂"])
def test_who_asks_for_help_or_says_nothing_gets_help(text: str, make_event: Any) -> None:
    assert route(make_event(text=text), LIBRARY) == HelpRoute()
