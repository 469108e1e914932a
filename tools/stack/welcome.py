"""What ``make up`` ends with: the address, an answered question, a task carried out, and what to type next."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from infra.local.layout import Layout
from tools.stack import conversation
from tools.stack.assistant import Assistant
from tools.stack.engine import Engine
from tools.stack.platform import address_of, is_played, not_connected
from tools.stack.preflight import AUTHORITY
from tools.stack.reach import needs_forward

QUESTION = "What is the capital of France?"


def show(engine: Engine, outputs: Mapping[str, Any], here: Mapping[str, Any]) -> int:
    """0, or 1 where the task was not carried out. ``here``: the outputs with addresses that answer on this machine now."""
    assistant = Assistant.from_outputs(here, engine.make_option)
    url, forwarded = outputs["url"], needs_forward(engine, outputs)
    print(f"\nThe assistant is up at {url} — its API at {url}/docs — model {outputs['modelName']}")
    if forwarded:
        print(f"The cluster's network alone reaches it; from this machine meanwhile: make forward{engine.make_option}")
    start = time.monotonic()
    answer = assistant.ask(QUESTION)
    print(f"\nQuestion  {QUESTION}\nAnswer    {answer}   ({time.monotonic() - start:.1f} s)\n", flush=True)
    settings, code = engine.settings(), 0
    if is_played(settings):  # nobody's real calendar gets an entry unasked
        sentence = f"创建一个周会的日程在{(datetime.now(UTC) + timedelta(days=7)).date()}"
        print("A task, as a platform sends it", flush=True)
        code = conversation.say(engine, here, sentence)
    elif address_of(settings) is None:
        print(not_connected(engine))
    if webhook := (outputs.get("webhookUrls") or {}).get("generic"):
        event = conversation.sign("What is the capital of Japan?", conversation.webhook_secret(outputs))
        print("\nThe same by hand (signed just now; a signature is valid for five minutes)\n")
        print(f"  {event.curl(webhook, authority_file(engine, outputs))}")
    print(f"\n{next_steps(engine.make_option, forwarded)}", end="")
    return code


def next_steps(option: str, forwarded: bool) -> str:
    lines = [
        (f'make ask{option} Q="Who wrote Hamlet?"', "a question"),
        (f'make say{option} TEXT="创建一个周会的日程在2026-12-01"', "a task, and its way through the pipeline"),
        (f"make outputs{option}", "addresses and names (SECRETS=1: the API key too)"),
        *([(f"make forward{option}", "a way to the address above, until ^C")] if forwarded else []),
        (f"make logs{option} · make refresh{option} · make down{option}", "look, compare, remove it all"),
    ]
    width = max(columns(command) for command, _ in lines) + 2
    return "Next\n" + "".join(f"  {command}{' ' * (width - columns(command))}{what}\n" for command, what in lines)


def columns(text: str) -> int:
    """The width on a terminal: an ideograph takes two columns."""
    return sum(2 if "\u4e00" <= character <= "\u9fff" else 1 for character in text)


def authority_file(engine: Engine, outputs: Mapping[str, Any]) -> Path | None:
    """The certificate of the authority, in a file for curl; None where it is a public one."""
    if outputs["target"] == "local":
        return Layout(engine.state_directory()).certificate / "ca.pem"
    certificate = outputs.get("caCertificate")
    if not certificate:
        return None
    file = engine.state_directory() / AUTHORITY
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(certificate, encoding="ascii")
    return file
