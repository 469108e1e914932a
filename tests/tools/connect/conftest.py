"""A checkout of the test's own, a `pulumi` that keeps settings in its file, and somebody who is asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from feishu.emulator import Emulator as Feishu
from slack_workspace.emulator import Emulator as Slack

from tools.connect.__main__ import vendor_of
from tools.connect.asking import Asker
from tools.connect.dialogue import Dialogue
from tools.connect.plan import plan_for
from tools.stack.engine import Engine

# No secret of these may ever be printed.
CANARIES = {
    "SLACK_BOT_TOKEN": "xoxb-1111111111-canarybot",
    "SLACK_APP_TOKEN": "xapp-1-A0APP-canaryapp",
    "SLACK_SIGNING_SECRET": "ca4a41e5" * 4,
    "SLACK_CLIENT_SECRET": "ca4a41e6" * 4,
    "FEISHU_APP_SECRET": "canarysecretcanarysecretcanary01",
    "FEISHU_ENCRYPT_KEY": "canary-encrypt-key",
    "FEISHU_VERIFICATION_TOKEN": "canaryverificationtoken",
}
APP_ID = "cli_a1b2c3"
PULUMI = """\
#!{python}
import sys, yaml
words = sys.argv[1:]
if words[:2] == ["config", "set"]:
    stack, key, value = words[words.index("--stack") + 1], words[-3], words[-1]
    file = f"stacks/Pulumi.{{stack}}.yaml"
    document = yaml.safe_load(open(file))
    first, *rest = key.split(".")
    place, name = document["config"], first
    for word in rest:
        place, name = place.setdefault(name, {{}}), word
    place[name] = value
    yaml.safe_dump(document, open(file, "w"))
elif words[:2] == ["stack", "export"]:
    print(open("exported").read())
"""


class Somebody:
    """Plays the person: ``typed`` is what is entered, in order; ``said`` what stood on the screen."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment, self.typed, self.said, self.prompts = environment, [], [], []  # type: ignore[var-annotated]
        self.on_turn: Callable[[], object] = lambda: None

    @property
    def canaries(self) -> dict[str, str]:
        return CANARIES

    def give(self, *names: str, **changes: str) -> None:
        """By the environment: these secrets, right, and ``changes``."""
        self.environment |= {name: CANARIES[name] for name in names} | changes

    def say(self, line: str) -> None:
        self.said.append(line)
        if "your turn" in line:
            self.on_turn()

    def read(self, prompt: str) -> str:
        self.prompts.append(prompt)
        answer = self.typed.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer

    def asker(self) -> Asker:
        return Asker(
            environment=self.environment,
            interactive=bool(self.typed),
            say=self.say,
            read=self.read,
            read_secret=self.read,
        )

    @property
    def screen(self) -> str:
        return "\n".join(self.said)


@pytest.fixture
def slack() -> Iterator[Slack]:
    names = {
        "bot_token": "SLACK_BOT_TOKEN",
        "app_token": "SLACK_APP_TOKEN",
        "signing_secret": "SLACK_SIGNING_SECRET",
        "client_secret": "SLACK_CLIENT_SECRET",
    }
    with Slack(**{name: CANARIES[variable] for name, variable in names.items()}) as running:  # type: ignore[arg-type]
        yield running


@pytest.fixture
def feishu() -> Iterator[Feishu]:
    with Feishu(
        app_id=APP_ID,
        app_secret=CANARIES["FEISHU_APP_SECRET"],
        encrypt_key=CANARIES["FEISHU_ENCRYPT_KEY"],
        verification_token=CANARIES["FEISHU_VERIFICATION_TOKEN"],
    ) as running:
        yield running


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A local stack called trial."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.trial.yaml").write_text(yaml.safe_dump({"config": {"assistant:target": "local"}}))
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(PULUMI.format(python=sys.executable))
    program.chmod(0o755)
    return Engine(
        checkout=tmp_path,
        stack="trial",
        environment={"PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)},
    )


@pytest.fixture
def somebody(slack: Slack, feishu: Feishu) -> Somebody:
    return Somebody({"SLACK_API_URL": slack.api_url, "FEISHU_URL": feishu.url, "FEISHU_ACCOUNTS_URL": feishu.url})


@pytest.fixture
def make_dialogue(engine: Engine, somebody: Somebody) -> Callable[..., Dialogue]:
    def make(platform: str, transport: str = "", *, outputs: dict[str, Any] | None = None, follow: Any = None) -> Dialogue:
        plan = plan_for(platform, "trial", " STACK=trial", engine.settings(), outputs or {}, transport)  # type: ignore[arg-type]
        return Dialogue(
            engine=engine,
            vendor=vendor_of(platform, engine, somebody.environment),
            plan=plan,
            asker=somebody.asker(),
            outputs=lambda: outputs or {},
            bring_up=lambda: 0,
            follow=follow,
        )

    return make


@pytest.fixture
def public(engine: Engine) -> None:
    """The stack has an address that the world reaches."""
    document = yaml.safe_load(engine.configuration.read_text())
    document["config"]["assistant:publicUrl"] = "https://assistant.example.com"
    engine.configuration.write_text(yaml.safe_dump(document))
