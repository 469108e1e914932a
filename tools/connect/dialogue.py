"""The five steps: enter, copy, check, keep, try."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from infra.credentials import Credentials
from tools.connect import gateway, trying
from tools.connect.asking import Asker
from tools.connect.fields import Field, Wrong
from tools.connect.plan import NAMES, Plan
from tools.connect.stored import keep, stored, value_at
from tools.connect.trying import Lines, Trial
from tools.connect.vendor import Checked, Values, Vendor
from tools.stack.assistant import Assistant
from tools.stack.engine import Engine
from tools.stack.place import place_of
from tools.stack.reach import reached

# Names of the fields that are settings and no secrets, and the setting that each is.
SETTINGS = {"SLACK_CLIENT_ID": "platforms.slack.clientId", "FEISHU_APP_ID": "platforms.feishu.appId"}
HELLO = "Hello. This is a test of the connection: please write something to me, or mention me where I am one of several."


class NotUp(Exception):
    """There is nothing to try yet; the message says what to do first."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """``to``: the channel, chat or person to greet. ``bring_up``: run `make up` between keeping and trying. ``only_try``: with
    what is stored. ``seconds``: how long to wait for somebody to write."""

    to: str = ""
    bring_up: bool = False
    only_try: bool = False
    seconds: float = 180.0


@dataclass(kw_only=True)
class Dialogue:
    """``outputs``: the stack's, empty where it is not up; asked for again after ``bring_up``, which brings it up.
    ``follow``: the stack's log while somebody tries it."""

    engine: Engine
    vendor: Vendor
    plan: Plan
    asker: Asker
    outputs: Callable[[], dict[str, Any]]
    bring_up: Callable[[], int]
    follow: Callable[[], AbstractContextManager[Lines]]

    def run(self, wishes: Wishes) -> int:
        """Raises :class:`Wrong`, :class:`NotUp`, :class:`tools.connect.asking.NotGiven` and what the stack's commands raise."""
        say, plan = self.asker.say, self.plan
        say(f"{self.vendor.title} and the stack {plan.stack}, by {NAMES[plan.transport]}")
        say(f"\n{_indented(plan.why)}")
        credentials = Credentials(plan.stack, self.engine.checkout)
        names = [field.name for field in self.vendor.fields(plan)]
        known = stored(credentials, names) | self._settings(names)
        if wishes.only_try:
            return self._try(self._complete(known), Checked(), wishes)
        self._tell()
        say("\n2  Copy from the console" + ("" if self.asker.interactive else " (taken from the environment)"))
        values, checked = self._checked(self.asker.values(self.vendor.fields(plan), known))
        say("\n4  Keep")
        changed = keep(self.engine, credentials, values, self.vendor.settings(plan, values))
        say(f"   secrets    {credentials.directory.relative_to(self.engine.checkout)}/, for you alone (0600)")
        say(f"   settings   stacks/{self.engine.configuration.name}: platforms.{plan.platform}")
        return self._after(values, checked, changed, wishes)

    def _tell(self) -> None:
        folder = self.engine.checkout / ".state" / "connect" / self.plan.stack
        told = self.vendor.instructions(self.plan, str(folder.relative_to(self.engine.checkout)))
        for name, text in told.files.items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        self.asker.say(f"\n1  Enter in {self.vendor.title}'s console\n{_indented(told.text)}")

    def _checked(self, values: dict[str, str]) -> tuple[Values, Checked]:
        """Until all is right; who cannot be asked gets the first mistake as :class:`Wrong`, after all were shown."""
        fields = {field.name: field for field in self.vendor.fields(self.plan)}
        while True:
            self.asker.say(f"\n3  Check with {self.vendor.title}")
            checked = asyncio.run(self.vendor.check(self.plan, values))
            for line in checked.right:
                self.asker.say(f"   right      {line}")
            for wrong in checked.wrong:
                self.asker.say(f"   wrong      {wrong}")
            if not checked.wrong:
                return values, checked
            if not self.asker.interactive:
                raise Wrong(self.vendor.title, "what is wrong stands above. Nothing was stored")
            values = self._mended(values, fields, checked.wrong)

    def _mended(self, values: dict[str, str], fields: Mapping[str, Field], wrongs: tuple[Wrong, ...]) -> dict[str, str]:
        for wrong in wrongs:
            if wrong.name in fields and not wrong.passing:
                values = {**values, **self.asker.again(fields[wrong.name], wrong)}
            else:
                self.asker.read("   Mend it, then press Enter to check again (^C ends, and nothing is stored): ")
        return values

    def _after(self, values: Values, checked: Checked, changed: tuple[str, ...], wishes: Wishes) -> int:
        if wishes.bring_up:
            self.asker.say(f"\n   {' and '.join(self._bringing)}")
            if code := self.bring_up():
                return code
        elif (state := self._state(values, changed))[0] != "right":
            again = f"make connect PLATFORM={self.plan.platform}{self.plan.option} TRY=1"
            self.asker.say(f"\n5  Try\n   {state[1]}\n   Next       {', then '.join((*self._bringing, again))}")
            return 0
        return self._try(values, checked, wishes)

    def _state(self, values: Values, changed: tuple[str, ...]) -> tuple[gateway.State, str]:
        """Whether the running stack has what is stored now."""
        outputs = self.outputs()
        if not outputs.get("url"):
            return "old", "The stack is not up yet."
        if changed:
            return "old", f"The stack runs without {', '.join(changed)} yet."
        return self._asked(values, outputs)

    def _asked(self, values: Values, outputs: Mapping[str, Any]) -> tuple[gateway.State, str]:
        if not self.plan.webhook:
            up = trying.transport_runs(self.engine, self.plan.platform)
            return ("right", "") if up else ("old", "The stack runs without the process that brings the events.")
        url = (outputs.get("webhookUrls") or {}).get(self.plan.platform)
        if not url:
            return "old", f"The stack runs without {self.vendor.title}."
        return gateway.ask(url, outputs.get("caCertificate"), self.vendor.challenge(values, time.time()))

    def _try(self, values: Values, checked: Checked, wishes: Wishes) -> int:
        say = self.asker.say
        say("\n5  Try")
        outputs = self.outputs()
        state, words = self._asked(values, outputs) if outputs.get("url") else ("old", "The stack is not up.")
        if state == "old":
            raise NotUp(f"{words} Bring it up with what is stored: {' and '.join(self._bringing)}")
        if words:
            say(f"   {'address' if state == 'right' else 'address ?':<11}{words}")
        if left := self.vendor.once_up(self.plan):
            say(_indented(left, f"   {'console':<11}"))
        with reached(self.engine, outputs) as here, self.follow() as lines:
            lines(trying.SETTLE_SECONDS)  # what came before somebody's turn is not theirs
            if wishes.to:
                asyncio.run(self.vendor.hello(values, wishes.to, HELLO))
                say(f"   {'sent':<11}a greeting to {wishes.to}")
            say(f"   {'your turn':<11}write to {checked.bot} in {self.vendor.title}: a direct message, or mention it (^C ends)")
            trial = Trial(
                plan=self.plan,
                vendor=self.vendor,
                assistant=Assistant.from_outputs(here, self.plan.option),
                say=say,
                seconds=wishes.seconds,
            )
            return trial.watch(lines)

    @property
    def _bringing(self) -> tuple[str, ...]:
        option = self.plan.option
        return (*((f"make secrets{option}",) if self.plan.on_aws else ()), f"make up{option}")

    def _complete(self, known: dict[str, str]) -> dict[str, str]:
        lacks = [field.name for field in self.vendor.fields(self.plan) if field.required and field.name not in known]
        if lacks:
            command = f"make connect PLATFORM={self.plan.platform}{self.plan.option}"
            raise Wrong(", ".join(lacks), f"is not stored yet, and TRY=1 asks for nothing. Without it: {command}")
        return known

    def _settings(self, names: list[str]) -> dict[str, str]:
        document = self.engine.document()
        found = {name: value_at(document, SETTINGS[name]) for name in names if name in SETTINGS}
        return {name: str(value) for name, value in found.items() if value}


def outputs_of(engine: Engine) -> dict[str, Any]:
    """With values in place of references. Empty where the stack is not up."""
    if not engine.configuration.exists() or not engine.exists():
        return {}
    outputs = engine.outputs(show_secrets=True)
    return place_of(engine).opened(engine, outputs) if outputs.get("url") else {}


def _indented(text: str, first: str = "   ") -> str:
    return "\n".join(
        f"{first if number == 0 else ' ' * len(first)}{line}".rstrip() for number, line in enumerate(text.split("\n"))
    )
