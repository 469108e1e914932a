"""What ``make up`` ends with: the address, an answered question, a task carried out, and what to type next."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.local.layout import Layout
from infra.settings import LOCAL_PLATFORM
from tools.stack import conversation
from tools.stack.assistant import Assistant
from tools.stack.engine import Engine

QUESTION = "What is the capital of France?"

NEXT = """\
Next
  make ask Q="Who wrote Hamlet?"                        a question
  make say TEXT="创建一个周会的日程在2026-12-01"        a task, and its way through the pipeline
  make outputs                                          addresses and names (SECRETS=1: the API key too)
  make logs · make refresh · make down                  look, compare with what is really there, remove it all
"""


def show(engine: Engine, outputs: Mapping[str, Any]) -> int:
    """0, or 1 where the task was not carried out."""
    assistant = Assistant.from_outputs(outputs)
    print(f"\nThe assistant is up at {outputs['url']} — its API at {outputs['url']}/docs — model {outputs['modelName']}\n")
    start = time.monotonic()
    answer = assistant.ask(QUESTION)
    print(f"Question  {QUESTION}\nAnswer    {answer}   ({time.monotonic() - start:.1f} s)\n", flush=True)
    code = 0
    if conversation.is_emulated(
        engine.settings().platforms.generic.url or LOCAL_PLATFORM
    ):  # nobody's real calendar gets an entry unasked
        sentence = f"创建一个周会的日程在{(datetime.now(UTC) + timedelta(days=7)).date()}"
        print("A task, as a platform sends it", flush=True)
        code = conversation.say(engine, outputs, sentence)
    event = conversation.sign("What is the capital of Japan?", conversation.webhook_secret(outputs))
    authority = Layout(engine.state_directory()).certificate / "ca.pem"
    print("\nThe same by hand (signed just now; a signature is valid for five minutes)\n")
    print(f"  {event.curl(outputs['webhookUrls']['generic'], authority)}\n\n{NEXT}", end="")
    return code
