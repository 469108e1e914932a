"""Slack: what to enter, what to copy, and whether it is right."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote_plus, urlencode

from app.http.outbound import CallFailed, client_for, post
from app.platforms.slack import signature
from app.platforms.slack.connect import CheckFailed, Identity, check_app_token, identify, say_hello
from app.platforms.slack.manifest import EVENTS, SCOPES, manifest
from app.platforms.slack.web_api import CALL_SECONDS, WebApi
from infra.platform_settings import Platform
from tools.connect.fields import Field, Wrong
from tools.connect.plan import Plan
from tools.connect.vendor import Challenge, Checked, Instructions, Values

CONSOLE = "https://api.slack.com/apps"
MANIFEST = "slack-manifest.json"
_CHARACTERS = "[A-Za-z0-9-]{8,250}"
_HEX = re.compile(r"[0-9a-f]{32}")

BOT_TOKEN: Final = Field(
    name="SLACK_BOT_TOKEN",
    title="Bot User OAuth Token",
    where='"OAuth & Permissions", which shows it once the application is installed ("Install App")',
    form=re.compile(rf"(xoxb|xoxe\.xoxb)-{_CHARACTERS}"),
    looks="begins with xoxb-",
    likely={
        "xapp-": "an app-level token, which is SLACK_APP_TOKEN",
        "xoxp-": 'a user\'s token: copy the one below it, "Bot User OAuth Token"',
        "xoxe-": "a refresh token, and the workspace's tokens rotate: connect it by installation (SLACK_CLIENT_ID)",
    },
)
SIGNING_SECRET: Final = Field(
    name="SLACK_SIGNING_SECRET",
    title="Signing Secret",
    where='"Basic Information", "App Credentials", beside it "Show"',
    form=_HEX,
    looks="has 32 hexadecimal digits",
    several=True,
    likely={"xoxb-": "a bot token, which is SLACK_BOT_TOKEN", "xapp-": "an app-level token, which Socket Mode needs"},
)
APP_TOKEN: Final = Field(
    name="SLACK_APP_TOKEN",
    title="App-Level Token",
    where='"Basic Information", "App-Level Tokens", "Generate Token and Scopes", with the scope connections:write',
    form=re.compile(f"xapp-{_CHARACTERS}"),
    looks="begins with xapp-",
    likely={"xoxb-": "a bot token, which is SLACK_BOT_TOKEN", "xoxp-": "a user's token"},
)
CLIENT_ID: Final = Field(
    name="SLACK_CLIENT_ID",
    title="Client ID",
    where='"Basic Information", "App Credentials"',
    form=re.compile(r"[0-9]+\.[0-9]+"),
    looks="is two numbers with a point between them",
    secret=False,
    likely={"A": 'the "App ID"'},
)
CLIENT_SECRET: Final = Field(
    name="SLACK_CLIENT_SECRET",
    title="Client Secret",
    where='"Basic Information", "App Credentials", beside it "Show"',
    form=_HEX,
    looks="has 32 hexadecimal digits",
)


class SlackVendor:
    """``several``: workspaces install the application themselves, by its client id, and their tokens rotate."""

    platform: Platform = "slack"
    title = "Slack"

    def __init__(self, api_url: str, authorize_url: str, defaults: Mapping[str, str], *, several: bool) -> None:
        self._api_url, self._authorize_url, self._defaults = api_url, authorize_url, defaults
        self._several = several

    def fields(self, plan: Plan) -> tuple[Field, ...]:
        receives = SIGNING_SECRET if plan.webhook else APP_TOKEN
        return (CLIENT_ID, CLIENT_SECRET, receives) if self._several else (BOT_TOKEN, receives)

    def instructions(self, plan: Plan, folder: str) -> Instructions:
        if self._several and plan.redirect_uri is None:
            raise Wrong(
                "SLACK_CLIENT_ID", "workspaces install an application through a public https:// address, and there is none"
            )
        text = json.dumps(
            manifest(
                url=plan.events_url,
                redirect_uri=plan.redirect_uri if self._several else None,
                transport="webhook" if plan.webhook else "socket-mode",
            ),
            indent=2,
        )
        steps = [
            f"Open {CONSOLE} and sign in to the workspace. Create New App, From a manifest.",
            "Choose the workspace. Next. Replace what stands under JSON by this (it is in\n"
            f"{folder}/{MANIFEST} too). Next, Create.\n\n{text}\n",
        ]
        if not self._several:
            steps.append('On the page that opens: "Install App" on the left, Install, Allow.')
        if not plan.webhook:
            steps.append(
                '"Basic Information" on the left, "App-Level Tokens", Generate Token and Scopes:\n'
                "any name, Add Scope connections:write, Generate."
            )
        scopes = "\n".join(f"  {name:<20} {reason}" for name, reason in SCOPES.items())
        reasons = f"The manifest asks for these scopes, and no more:\n{scopes}\nand hears of {' and '.join(EVENTS)}."
        return Instructions(text=f"{numbered(steps)}\n\n{reasons}", files={MANIFEST: f"{text}\n"})

    async def check(self, plan: Plan, values: Values) -> Checked:
        api = WebApi(self._api_url)
        right: list[str] = []
        wrong: list[Wrong] = []
        bot = "@Assistant"
        try:
            if token := values.get(BOT_TOKEN.name):
                try:
                    identity = await identify(api, token)
                    right.append(_identity(identity))
                except CheckFailed as failed:
                    wrong.append(_wrong(failed))
            if token := values.get(APP_TOKEN.name):
                try:
                    await check_app_token(api, token)
                    right.append("SLACK_APP_TOKEN: Slack lets Socket Mode connect with it")
                except CheckFailed as failed:
                    wrong.append(_wrong(failed))
        finally:
            await api.aclose()
        if values.get(CLIENT_SECRET.name):
            try:
                await self._check_client(values)
                right.append("SLACK_CLIENT_ID and SLACK_CLIENT_SECRET: Slack knows them")
            except Wrong as failed_:
                wrong.append(failed_)
        if values.get(SIGNING_SECRET.name):
            right.append("SLACK_SIGNING_SECRET: its form is right; the first event shows whether it is this application's")
        return Checked(right=tuple(right), wrong=tuple(wrong), bot=bot)

    def settings(self, plan: Plan, values: Values) -> Mapping[str, str]:
        own = {"apiUrl": self._api_url, "authorizeUrl": self._authorize_url}
        return {
            "platforms.slack.transport": plan.transport,
            **({"platforms.slack.clientId": values[CLIENT_ID.name]} if CLIENT_ID.name in values else {}),
            **{f"platforms.slack.{key}": value for key, value in own.items() if value != self._defaults[key]},
        }

    def challenge(self, values: Values, now: float) -> Challenge:
        word = secrets.token_hex(16)
        body = json.dumps({"type": "url_verification", "challenge": word, "token": "of make connect"}).encode()
        secret, stamp = values[SIGNING_SECRET.name].split()[0].encode(), str(int(now))
        headers = {
            "Content-Type": "application/json",
            signature.TIMESTAMP_HEADER: stamp,
            signature.SIGNATURE_HEADER: signature.sign(secret, stamp, body),
        }
        return Challenge(body=body, headers=headers, answer={"challenge": word})

    async def hello(self, values: Values, to: str, text: str) -> None:
        api = WebApi(self._api_url)
        try:
            await say_hello(api, values[BOT_TOKEN.name], to, text)
        except KeyError:
            raise Wrong("CHANNEL", "a message needs SLACK_BOT_TOKEN: leave CHANNEL out, and write to the assistant") from None
        except CheckFailed as failed:
            raise _wrong(failed, {"channel": "CHANNEL"}) from None
        finally:
            await api.aclose()

    def once_up(self, plan: Plan) -> str:
        steps = []
        if plan.webhook:
            steps.append(
                'In the console, "Event Subscriptions" must say Verified beside the request URL; press Retry where it does not.'
            )
        if self._several:
            steps.append(f"Install it in a workspace: open {plan.base}/oauth/slack/start in a browser.")
        return "\n".join(steps)

    def nothing_came(self, plan: Plan) -> tuple[str, ...]:
        way = (
            f'"Event Subscriptions": on, and "Verified" beside the request URL {plan.events_url}'
            if plan.webhook
            else '"Socket Mode": on; "Event Subscriptions": on'
        )
        return (
            "You wrote to the assistant itself, or mentioned it in a channel that it was invited to (/invite)",
            way,
            f'"Event Subscriptions", "Subscribe to bot events": {", ".join(EVENTS)}',
            '"App Home", "Messages Tab": on, with messages from users allowed',
            '"Install App": installed again after the last change',
            *(() if plan.webhook else (f"The process slack-transport runs and is connected: make logs{plan.option}",)),
        )

    def refused(self, plan: Plan) -> str:
        return (
            "SLACK_SIGNING_SECRET is another application's, or this machine's clock is more than 5 minutes off. Copy it again: "
            f"{SIGNING_SECRET.found}"
        )

    async def _check_client(self, values: Values) -> None:
        """Asks for the token of a code that nobody issued: what is refused first tells what Slack knows.

        Raises :class:`Wrong`."""
        client = f"{quote_plus(values[CLIENT_ID.name])}:{quote_plus(values[CLIENT_SECRET.name])}"
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": f"Basic {base64.b64encode(client.encode()).decode()}",
        }
        url = f"{self._api_url.rstrip('/')}/oauth.v2.access"
        try:
            async with client_for(url) as http:
                answer = await post(http, url, urlencode({"code": "of-make-connect"}).encode(), headers, CALL_SECONDS)
            word = json.loads(answer.body).get("error", "")
        except CallFailed as error:
            raise Wrong("SLACK_API_URL", f"{error}: is this machine allowed to reach it?", passing=True) from None
        except (ValueError, AttributeError):
            raise Wrong("SLACK_API_URL", "no answer of Slack's came to oauth.v2.access", passing=True) from None
        if word == "invalid_client_id":
            raise Wrong(CLIENT_ID.name, f"Slack knows no such application. {CLIENT_ID.found}")
        if word == "bad_client_secret":
            raise Wrong(CLIENT_SECRET.name, f"is not this application's. {CLIENT_SECRET.found}")


def numbered(steps: list[str]) -> str:
    lines = (f"{letter}  {step}".replace("\n", "\n   ") for letter, step in zip("abcdefghij", steps, strict=False))
    return "\n".join(line.replace("\n   \n", "\n\n") for line in lines)


def _identity(identity: Identity) -> str:
    place = f"{identity.team_name} ({identity.team})" if identity.team_name else identity.team
    return f"SLACK_BOT_TOKEN: the workspace {place}, all scopes are there"


def _wrong(failed: CheckFailed, names: Mapping[str, str] | None = None) -> Wrong:
    name = (names or {}).get(failed.field, failed.field)
    return Wrong(name, str(failed).removeprefix(f"{failed.field}: "), passing=failed.passing)
