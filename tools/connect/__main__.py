"""``python -m tools.connect``: what ``make connect`` calls. Secrets come from the terminal or the environment, never as
arguments."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from app.settings import FeishuSettings, SlackSettings
from infra.credentials import NAMES
from infra.errors import DeploymentError
from infra.platform_settings import Platform
from infra.settings import ON_AWS
from tools.connect.asking import Asker, NotGiven, Say, asker
from tools.connect.dialogue import Dialogue, NotUp, Wishes, outputs_of
from tools.connect.feishu import LARK, FeishuVendor
from tools.connect.fields import Wrong
from tools.connect.plan import plan_for
from tools.connect.slack import CLIENT_ID, SlackVendor
from tools.connect.stored import value_at
from tools.connect.trying import log_lines
from tools.connect.vendor import Vendor
from tools.pulumi.environment import engine_environment
from tools.stack.assistant import AssistantError
from tools.stack.engine import Engine, EngineError
from tools.stack.place import place_of

CHECKOUT = Path(__file__).resolve().parents[2]
PLATFORMS = ("slack", "feishu", "lark")
USAGE = """\
Which platform? For example: make connect PLATFORM=slack (or feishu, or lark)
  STACK=…      the stack to connect (local)
  TRANSPORT=…  webhook, or the connection that goes out: socketMode (Slack), longConnection (Feishu, Lark)
  UP=1         bring the stack up in between, and try it at once
  TRY=1        only try, with what is stored
  CHANNEL=…    a channel, chat or person to greet (an id)"""


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    options = _parser().parse_args(arguments)
    if options.platform not in PLATFORMS:
        print(
            USAGE if not options.platform else f"PLATFORM={options.platform[:40]} is none of {', '.join(PLATFORMS)}.\n{USAGE}"
        )
        return 2
    engine = Engine(
        checkout=CHECKOUT,
        stack=options.stack,
        environment=engine_environment(CHECKOUT, environment=without_secrets(environment), stack=options.stack),
    )
    return run(engine, options, asker(environment, _say))


def run(engine: Engine, options: argparse.Namespace, asking: Asker) -> int:
    wishes = Wishes(to=options.to, bring_up=options.up, only_try=options.only_try, seconds=options.wait)
    try:
        return dialogue(engine, options, asking).run(wishes)
    except (Wrong, NotGiven, NotUp, EngineError, AssistantError, DeploymentError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("\nInterrupted. What is not stored above was not stored.", file=sys.stderr)
        return 130


def dialogue(engine: Engine, options: argparse.Namespace, asking: Asker) -> Dialogue:
    if not engine.configuration.exists():
        place_of(engine).configure(engine)
    settings = engine.settings()
    platform: Platform = "slack" if options.platform == "slack" else "feishu"
    outputs = outputs_of(engine)

    def bring_up() -> int:
        commands = [["tools.aws", "secrets"]] if settings.target in ON_AWS else []
        for module, *words in [*commands, ["tools.stack", "up", "--no-welcome"]]:
            command = [sys.executable, "-m", module, "--stack", engine.stack, *words]
            if code := subprocess.run(command, cwd=engine.checkout, env=dict(engine.environment), check=False).returncode:
                return code
        return 0

    return Dialogue(
        engine=engine,
        vendor=vendor_of(options.platform, engine, asking.environment),
        plan=plan_for(
            "slack" if platform == "slack" else "feishu", engine.stack, engine.make_option, settings, outputs, options.transport
        ),
        asker=asking,
        outputs=lambda: outputs_of(engine),
        bring_up=bring_up,
        follow=lambda: log_lines(engine),
    )


def vendor_of(platform: str, engine: Engine, environment: Mapping[str, str]) -> Vendor:
    """Its addresses: from the environment, else from the stack's file, else the vendor's own."""
    document = engine.document()

    def address(variable: str, key: str, own: str) -> str:
        return environment.get(variable) or str(value_at(document, key) or own)

    if platform == "slack":
        slack = {name: str(SlackSettings.model_fields[f"slack_{name}"].default) for name in ("api_url", "authorize_url")}
        defaults = {"apiUrl": slack["api_url"], "authorizeUrl": slack["authorize_url"]}
        return SlackVendor(
            address("SLACK_API_URL", "platforms.slack.apiUrl", defaults["apiUrl"]),
            address("SLACK_AUTHORIZE_URL", "platforms.slack.authorizeUrl", defaults["authorizeUrl"]),
            defaults,
            several=bool(environment.get(CLIENT_ID.name) or value_at(document, "platforms.slack.clientId")),
        )
    feishu = {name: str(FeishuSettings.model_fields[f"feishu_{name}"].default) for name in ("url", "accounts_url")}
    defaults = {"url": feishu["url"], "accountsUrl": feishu["accounts_url"]}
    if platform == "lark":
        return FeishuVendor(LARK["url"], LARK["accountsUrl"], defaults)
    return FeishuVendor(
        address("FEISHU_URL", "platforms.feishu.url", defaults["url"]),
        address("FEISHU_ACCOUNTS_URL", "platforms.feishu.accountsUrl", defaults["accountsUrl"]),
        defaults,
    )


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """For the programs that are started from here: they read the files."""
    return {name: value for name, value in environment.items() if name.lower() not in NAMES}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.connect", description=__doc__)
    parser.add_argument("--stack", default="local")
    parser.add_argument("--platform", default="", metavar="{slack,feishu,lark}")
    parser.add_argument("--transport", default="", help="webhook, socketMode or longConnection; default: what the stack can do")
    parser.add_argument("--to", default="", help="a channel, chat or person to greet (an id)")
    parser.add_argument("--up", action="store_true", help="bring the stack up in between")
    parser.add_argument("--try", dest="only_try", action="store_true", help="only try, with what is stored")
    parser.add_argument("--wait", type=float, default=180.0, help="seconds for somebody to write; default: %(default)g")
    return parser


_say: Say = lambda line: print(line, flush=True)  # noqa: E731


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
