"""The whole dialogue, against the emulated platforms: right, and with each thing wrong that a person may get wrong."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from infra.credentials import Credentials
from tools.connect.asking import NotGiven
from tools.connect.dialogue import Dialogue, NotUp, Wishes
from tools.connect.fields import Wrong
from tools.stack.engine import Engine

MakeDialogue = Callable[..., Dialogue]
OF = {
    ("slack", "socketMode"): ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"),
    ("slack", "webhook"): ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"),
    ("feishu", "longConnection"): ("FEISHU_APP_SECRET",),
    ("feishu", "webhook"): ("FEISHU_APP_SECRET", "FEISHU_ENCRYPT_KEY", "FEISHU_VERIFICATION_TOKEN"),
}


def give(somebody: Any, platform: str, transport: str, **changes: str) -> None:
    of_feishu = {"FEISHU_APP_ID": "cli_a1b2c3"} if platform == "feishu" else {}
    somebody.give(*OF[platform, transport], **{**of_feishu, **changes})


def kept(engine: Engine) -> dict[str, str]:
    folder = Credentials("trial", engine.checkout).directory
    return {file.name: file.read_text() for file in folder.iterdir()} if folder.exists() else {}


def configured(engine: Engine, platform: str) -> Any:
    return (yaml.safe_load(engine.configuration.read_text())["config"].get("assistant:platforms") or {}).get(platform)


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(("platform", "transport"), list(OF))
def test_what_is_right_is_kept_in_private_files_and_the_rest_in_the_settings(
    make_dialogue: MakeDialogue, somebody: Any, engine: Engine, platform: str, transport: str
) -> None:
    give(somebody, platform, transport)
    assert make_dialogue(platform, transport).run(Wishes()) == 0
    assert kept(engine) == {name.lower(): somebody.canaries[name] for name in OF[platform, transport]}
    for name in kept(engine):
        assert stat.S_IMODE(Credentials("trial", engine.checkout).path(name).stat().st_mode) == 0o600
    assert configured(engine, platform)["transport"] == transport
    assert engine.settings().platforms.connected == (platform,)
    written = engine.configuration.read_text() + somebody.screen
    assert not any(canary in written for canary in somebody.canaries.values())
    assert "The stack is not up yet." in somebody.screen
    assert f"make up STACK=trial, then make connect PLATFORM={platform} STACK=trial TRY=1" in somebody.screen


@pytest.mark.usefixtures("public")
def test_slack_gets_a_manifest_that_a_file_has_too(make_dialogue: MakeDialogue, somebody: Any, engine: Engine) -> None:
    give(somebody, "slack", "webhook")
    make_dialogue("slack").run(Wishes())
    file = engine.checkout / ".state" / "connect" / "trial" / "slack-manifest.json"
    assert json.loads(file.read_text())["settings"]["event_subscriptions"] == {
        "request_url": "https://assistant.example.com/events/slack",
        "bot_events": ["app_mention", "message.im"],
    }
    assert '"request_url": "https://assistant.example.com/events/slack"' in somebody.screen


@pytest.mark.usefixtures("public")
def test_feishu_gets_permissions_events_and_addresses(make_dialogue: MakeDialogue, somebody: Any, engine: Engine) -> None:
    give(somebody, "feishu", "webhook")
    make_dialogue("feishu").run(Wishes())
    for wanted in (
        "https://assistant.example.com/events/feishu",
        "https://assistant.example.com/oauth/feishu/callback",
        "im.message.receive_v1",
        "calendar:calendar",
        "Encryption strategy",
    ):
        assert wanted in somebody.screen


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    ("platform", "transport", "changes", "expected"),
    [
        ("slack", "socketMode", {"SLACK_BOT_TOKEN": "xapp-1-canaryapp"}, "SLACK_BOT_TOKEN: begins with .xapp-.*OAuth & Perm"),
        (
            "slack",
            "socketMode",
            {"SLACK_BOT_TOKEN": "xoxp-1-canaryuser"},
            "SLACK_BOT_TOKEN: begins with .xoxp-.*a user's token",
        ),
        ("slack", "socketMode", {"SLACK_APP_TOKEN": "canary"}, "SLACK_APP_TOKEN: .*App-Level Tokens.*connections:write"),
        ("slack", "webhook", {"SLACK_SIGNING_SECRET": "canary"}, "SLACK_SIGNING_SECRET: .*32 hexadecimal digits.*Basic Inf"),
        ("slack", "webhook", {"SLACK_BOT_TOKEN": "xoxb-a canary"}, "SLACK_BOT_TOKEN: has a blank in it"),
        ("feishu", "webhook", {"FEISHU_APP_ID": "canary"}, "FEISHU_APP_ID: .*begins with cli_.*Credentials & Basic Info"),
        ("feishu", "webhook", {"FEISHU_APP_SECRET": "cli_canary"}, "FEISHU_APP_SECRET: .*the App ID, which is FEISHU_APP_ID"),
    ],
)
def test_a_wrong_form_names_its_field_and_where_the_right_one_stands(
    make_dialogue: MakeDialogue,
    somebody: Any,
    engine: Engine,
    platform: str,
    transport: str,
    changes: dict[str, str],
    expected: str,
) -> None:
    give(somebody, platform, transport, **changes)
    before = engine.configuration.read_text()
    with pytest.raises(Wrong, match=expected) as wrong:
        make_dialogue(platform, transport).run(Wishes())
    assert "canary" not in str(wrong.value) + somebody.screen
    assert (kept(engine), engine.configuration.read_text()) == ({}, before)


@pytest.mark.parametrize(
    ("platform", "transport", "changes", "expected"),
    [
        ("slack", "socketMode", {"SLACK_BOT_TOKEN": "xoxb-000-canaryother"}, "wrong      SLACK_BOT_TOKEN: "),
        ("slack", "socketMode", {"SLACK_APP_TOKEN": "xapp-000-canaryother"}, "wrong      SLACK_APP_TOKEN: "),
        ("feishu", "longConnection", {"FEISHU_APP_ID": "cli_other"}, "wrong      FEISHU_APP_ID: "),
        ("feishu", "longConnection", {"FEISHU_APP_SECRET": "canaryothercanaryother"}, "wrong      FEISHU_APP_SECRET: "),
    ],
)
def test_what_the_platform_does_not_know_is_named_and_nothing_stored(
    make_dialogue: MakeDialogue,
    somebody: Any,
    engine: Engine,
    platform: str,
    transport: str,
    changes: dict[str, str],
    expected: str,
) -> None:
    give(somebody, platform, transport, **changes)
    with pytest.raises(Wrong, match="stands above"):
        make_dialogue(platform, transport).run(Wishes())
    assert expected in somebody.screen
    assert "canary" not in somebody.screen
    assert (kept(engine), configured(engine, platform)) == ({}, None)


def test_missing_scopes_are_named(make_dialogue: MakeDialogue, somebody: Any, slack: Any, feishu: Any) -> None:
    slack.workspace.tokens[somebody.canaries["SLACK_BOT_TOKEN"]].scopes = "app_mentions:read,im:history"
    give(somebody, "slack", "socketMode")
    with pytest.raises(Wrong):
        make_dialogue("slack").run(Wishes())
    assert "chat:write (answers)" in somebody.screen
    feishu.scopes.remove("im:resource")
    give(somebody, "feishu", "longConnection")
    with pytest.raises(Wrong):
        make_dialogue("feishu").run(Wishes())
    assert "Permissions & Scopes: im:resource" in somebody.screen


@pytest.mark.usefixtures("public")
def test_several_workspaces_install_it_by_its_client(make_dialogue: MakeDialogue, somebody: Any, engine: Engine) -> None:
    give(somebody, "slack", "webhook", SLACK_CLIENT_ID="111.222", SLACK_CLIENT_SECRET="0" * 32)
    with pytest.raises(Wrong):
        make_dialogue("slack").run(Wishes())
    assert "wrong      SLACK_CLIENT_SECRET: is not this application's" in somebody.screen
    give(somebody, "slack", "webhook", SLACK_CLIENT_SECRET=somebody.canaries["SLACK_CLIENT_SECRET"])
    assert make_dialogue("slack").run(Wishes()) == 0
    assert sorted(kept(engine)) == ["slack_client_secret", "slack_signing_secret"]
    assert configured(engine, "slack")["clientId"] == "111.222"
    assert "https://assistant.example.com/oauth/slack/callback" in somebody.screen


def test_who_cannot_be_asked_is_told_every_variable_that_lacks(make_dialogue: MakeDialogue, somebody: Any) -> None:
    with pytest.raises(NotGiven, match=r"SLACK_BOT_TOKEN .*\n.*SLACK_APP_TOKEN .*\nNothing was stored"):
        make_dialogue("slack").run(Wishes())


def test_a_person_is_asked_again_for_the_one_that_is_wrong_and_enter_keeps_what_is_stored(
    make_dialogue: MakeDialogue, somebody: Any, engine: Engine
) -> None:
    bot, app = somebody.canaries["SLACK_BOT_TOKEN"], somebody.canaries["SLACK_APP_TOKEN"]
    somebody.typed = ["", app, "xoxb-000-canaryother", app, bot]  # empty; of the wrong kind; unknown to Slack; the other; right
    assert make_dialogue("slack").run(Wishes()) == 0
    assert [prompt.split(":")[0].strip() for prompt in somebody.prompts] == [
        *["SLACK_BOT_TOKEN"] * 3,
        "SLACK_APP_TOKEN",
        "SLACK_BOT_TOKEN",
    ]
    assert kept(engine) == {"slack_bot_token": bot, "slack_app_token": app}
    somebody.typed = ["", ""]
    assert make_dialogue("slack").run(Wishes()) == 0
    assert "Enter: the stored one stays" in somebody.prompts[-1]
    assert kept(engine) == {"slack_bot_token": bot, "slack_app_token": app}
    assert "canary" not in somebody.screen


def test_a_scope_is_mended_in_the_console_and_checked_again(make_dialogue: MakeDialogue, somebody: Any, slack: Any) -> None:
    token = slack.workspace.tokens[somebody.canaries["SLACK_BOT_TOKEN"]]
    scopes, token.scopes = token.scopes, "chat:write"

    def mended() -> str:
        token.scopes = scopes
        return ""

    somebody.typed = [somebody.canaries["SLACK_BOT_TOKEN"], somebody.canaries["SLACK_APP_TOKEN"], mended]
    assert make_dialogue("slack").run(Wishes()) == 0
    assert "press Enter to check again" in somebody.prompts[-1]


@pytest.mark.parametrize("when", ["asked", "kept"])
def test_an_interruption_leaves_nothing_half(
    make_dialogue: MakeDialogue, somebody: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    before = engine.configuration.read_text()
    credentials = Credentials("trial", engine.checkout)
    credentials.write("slack_bot_token", "xoxb-of-before")
    if when == "asked":
        somebody.typed = [somebody.canaries["SLACK_BOT_TOKEN"], KeyboardInterrupt()]
    else:
        give(somebody, "slack", "socketMode")
        real = Engine.settings
        asked: list[int] = []

        def interrupted(self: Engine) -> Any:
            if configured(engine, "slack"):  # all was written; now somebody presses ^C
                asked.append(1)
                raise KeyboardInterrupt
            return real(self)

        monkeypatch.setattr(Engine, "settings", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_dialogue("slack").run(Wishes())
    assert kept(engine) == {"slack_bot_token": "xoxb-of-before"}
    assert engine.configuration.read_text() == before


def test_trying_alone_wants_what_is_stored_and_a_stack_that_is_up(make_dialogue: MakeDialogue, somebody: Any) -> None:
    with pytest.raises(Wrong, match="SLACK_BOT_TOKEN, SLACK_APP_TOKEN: is not stored yet"):
        make_dialogue("slack").run(Wishes(only_try=True))
    give(somebody, "slack", "socketMode")
    make_dialogue("slack").run(Wishes())
    with pytest.raises(NotUp, match=r"The stack is not up\. Bring it up.*make up STACK=trial"):
        make_dialogue("slack").run(Wishes(only_try=True))


def test_a_stack_that_runs_without_the_process_is_told(make_dialogue: MakeDialogue, somebody: Any, engine: Engine) -> None:
    give(somebody, "slack", "socketMode")
    make_dialogue("slack").run(Wishes())
    (engine.checkout / "exported").write_text('{"deployment": {}}')
    with pytest.raises(NotUp, match="without the process that brings the events"):
        make_dialogue("slack", outputs={"url": "https://localhost:8443"}).run(Wishes(only_try=True))
