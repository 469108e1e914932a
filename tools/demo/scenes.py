"""What is shown, scene by scene. Each waits for what must happen, and fails aloud where it does not."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from tools.demo.model import HANDBOOK, SECTIONS
from tools.demo.processes import DemoFailed
from tools.demo.stage import SENTENCE, Message, Say, Stage
from tools.stack.assistant import Assistant

PATIENCE_SECONDS = 60.0
QUIET_SECONDS = 1.0  # in which a second answer would have come
POLL_SECONDS = 0.05
SHOWN = 110  # characters of a line
BUSY_SECONDS = 2
QUESTION = "What is the capital of France?"


@dataclass(kw_only=True)
class Scenes:
    """``assistant``: whose operator looks at an event's trace."""

    stage: Stage
    assistant: Assistant
    say: Say
    number: int = 0
    asked: Message | None = None

    def all(self) -> list[Callable[[], None]]:
        return [
            *([self.installed] if self.stage.title == "Slack" else []),
            self.challenge,
            self.question,
            self.duplicate,
            self.calendar,
            self.long_answer,
            self.busy,
            self.expired,
        ]

    def installed(self) -> None:
        self._title("A workspace installs the assistant: sign-in, consent, and back with a code that is good once")
        self._line("browser", self.stage.install() or "")

    def challenge(self) -> None:
        self._title(f"{self.stage.title} asks whether the address is ours")
        begun = time.monotonic()
        if not self.stage.challenge():
            raise DemoFailed("The challenge was not answered.")
        self._line("gateway", "answers the challenge", time.monotonic() - begun)

    def question(self) -> None:
        self._title("A question, answered in its thread")
        self.asked = self._ask(QUESTION)

    def duplicate(self) -> None:
        self._title("The same message once more, as when an acknowledgement is lost: taken, and not answered again")
        assert self.asked is not None  # noqa: S101 (asked before)
        before = len(self.stage.replies(self.asked))
        taken = self.stage.deliver_again(self.asked)
        self._line("gateway", "200: seen before" if taken else "not taken")
        time.sleep(QUIET_SECONDS)
        after = len(self.stage.replies(self.asked))
        if not taken or after != before:
            raise DemoFailed(f"A duplicate was {'answered again' if taken else 'refused'}.")
        self._line("thread", f"{after} answer, as before")

    def calendar(self) -> None:
        self._title("A task: an entry in a calendar")
        message, replies = self._written(SENTENCE)
        for entry in self.stage.calendar():
            self._line("calendar", entry)
        if self.stage.title == "Slack":
            # Slack has none: that is said, and a file comes for a calendar of one's own.
            if not self._until(lambda: any(is_file(text) for text in self.stage.replies(message))):
                raise DemoFailed("No file came.")
            self._line("assistant", next(text for text in self.stage.replies(message) if is_file(text)))
        elif not self.stage.calendar():
            raise DemoFailed(f"No entry was made: {' '.join(replies)}")

    def long_answer(self) -> None:
        self._title(f"An answer longer than a message may be ({self.stage.limit}); for this one the model is played")
        message = self.stage.write(HANDBOOK)
        self._line("ada", HANDBOOK)
        begun = time.monotonic()

        def whole() -> bool:
            return sections(self.stage.replies(message)) == list(range(1, SECTIONS + 1))

        if not self._until(whole):
            raise DemoFailed(f"Not all of {SECTIONS} sections came: {sections(self.stage.replies(message))}")
        parts = self.stage.replies(message)
        for number, part in enumerate(parts, start=1):
            found = sections([part])
            self._line(
                "assistant", f"part {number} of {len(parts)}: {len(part):,} characters, sections {found[0]} to {found[-1]}"
            )
        if any(part.count("```") % 2 for part in parts):
            raise DemoFailed("A code block was torn.")
        self._line("", f"all {SECTIONS} sections, each once, no code block torn", time.monotonic() - begun)

    def busy(self) -> None:
        self._title(f"{self.stage.title} says 429, wait {BUSY_SECONDS} s: waited for, sent once")
        self.stage.busy_once(BUSY_SECONDS)
        message = self._ask("Name a colour of the rainbow.")
        waits = [step["detail"] for step in self.assistant.trace(message.key)["timeline"] if step["stage"] == "retry"]
        for wait in waits:
            self._line("trace", f"retry {wait}")
        if len(waits) != 1 or len(self.stage.replies(message)) != 1:
            raise DemoFailed(f"{len(waits)} waits and {len(self.stage.replies(message))} answers, where one of each was to be.")

    def expired(self) -> None:
        self._title("The token has expired: refreshed once, and the answer sent")
        issued, refused = self.stage.tokens_issued(), self.stage.refusals()
        self.stage.expire_tokens()
        self._ask("Name a month of the year.")
        tokens = self.stage.tokens_issued() - issued
        self._line("token", f"{self.stage.refusals() - refused} call refused, {tokens} token issued")
        if tokens != 1:
            raise DemoFailed(f"{tokens} tokens were issued instead of one.")

    def _ask(self, text: str) -> Message:
        return self._written(text)[0]

    def _written(self, text: str) -> tuple[Message, list[str]]:
        """``text`` and its answer, both shown."""
        self._line("ada", text)
        begun = time.monotonic()
        message = self.stage.write(text)
        if not self._until(lambda: bool(self.stage.replies(message))):
            raise DemoFailed(f"No answer came within {PATIENCE_SECONDS:.0f} s.")
        replies = self.stage.replies(message)
        self._line("assistant", replies[0], time.monotonic() - begun)
        return message, replies

    def _until(self, condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _title(self, text: str) -> None:
        self.number += 1
        self.say(f"\n{self.number}  {text}")

    def _line(self, who: str, text: str, seconds: float | None = None) -> None:
        self.say(line(who, text, seconds))


def line(who: str, text: str, seconds: float | None = None) -> str:
    """One line for a terminal: no control characters, not endless."""
    shown = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    shown = shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 1]}…"
    return f"   {who:<11}{shown}" + ("" if seconds is None else f"   ({seconds:.1f} s)")


def is_file(text: str) -> bool:
    return text.startswith("[") and text.endswith(".ics]")


def sections(parts: list[str]) -> list[int]:
    """The numbers of the handbook's sections, in the order in which they stand."""
    return [int(number) for part in parts for number in re.findall(r"Section (\d+)", part)]
