"""Feishu and Lark: what to enter, what to copy, and whether it is right."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr

from app.http.outbound import client_for
from app.platforms.feishu import signature
from app.platforms.feishu.connect import CheckFailed, identify, say_hello
from app.platforms.feishu.console import SCOPES, console_settings
from app.settings import FeishuSettings
from infra.platform_settings import Platform
from tools.connect.fields import Field, Wrong
from tools.connect.plan import Plan
from tools.connect.slack import numbered
from tools.connect.vendor import Challenge, Checked, Instructions, Values

LARK = {"url": "https://open.larksuite.com", "accountsUrl": "https://accounts.larksuite.com"}
_WORD = re.compile(r"[\x21-\x7e]{1,256}")
_BASIC, _STRATEGY = '"Credentials & Basic Info"', '"Events & Callbacks", "Encryption strategy"'

APP_ID: Final = Field(
    name="FEISHU_APP_ID",
    title="App ID",
    where=_BASIC,
    form=re.compile(r"cli_[A-Za-z0-9]+"),
    looks="begins with cli_",
    secret=False,
    likely={"ou_": "a person's or bot's open_id", "oc_": "a chat's id"},
)
APP_SECRET: Final = Field(
    name="FEISHU_APP_SECRET",
    title="App Secret",
    where=_BASIC,
    form=re.compile(r"[A-Za-z0-9]{16,64}"),
    looks="has letters and digits alone, as a rule 32",
    likely={"cli_": "the App ID, which is FEISHU_APP_ID"},
)
ENCRYPT_KEY: Final = Field(
    name="FEISHU_ENCRYPT_KEY",
    title="Encrypt Key",
    where=f"{_STRATEGY}; generate one, or enter one of your own",
    form=_WORD,
    looks="has no blank in it",
    several=True,
    likely={"cli_": "the App ID, which is FEISHU_APP_ID"},
)
VERIFICATION_TOKEN: Final = Field(
    name="FEISHU_VERIFICATION_TOKEN",
    title="Verification Token",
    where=_STRATEGY,
    form=_WORD,
    looks="has no blank in it",
    several=True,
    likely={"cli_": "the App ID, which is FEISHU_APP_ID"},
)


class FeishuVendor:
    """``url`` and ``accounts_url``: Feishu's or Lark's."""

    platform: Platform = "feishu"

    def __init__(self, url: str, accounts_url: str, defaults: Mapping[str, str]) -> None:
        self._url, self._accounts_url, self._defaults = url.rstrip("/"), accounts_url, defaults
        self.title = "Lark" if self._url == LARK["url"] else "Feishu"

    def fields(self, plan: Plan) -> tuple[Field, ...]:
        return (APP_ID, APP_SECRET, *((ENCRYPT_KEY, VERIFICATION_TOKEN) if plan.webhook else ()))

    def instructions(self, plan: Plan, folder: str) -> Instructions:
        console = LARK["url"] if self.title == "Lark" else "https://open.feishu.cn"
        entries = console_settings(plan.events_url, plan.redirect_uri, "webhook" if plan.webhook else "long-connection")
        steps = [
            f"Open {console}/app and sign in. Create App, Custom App: a name and an icon, which people are going to see.",
            *map(str, entries),
        ]
        scopes = "\n".join(f"  {scope.name:<32} {scope.reason}" for scope in SCOPES)
        return Instructions(text=f"{numbered(steps)}\n\nThe permissions, each with its reason:\n{scopes}")

    async def check(self, plan: Plan, values: Values) -> Checked:
        try:
            async with client_for(self._url) as client:
                identity = await identify(self._settings(values), client)
        except CheckFailed as failed:
            return Checked(wrong=(_wrong(failed),))
        right = [
            f'{APP_ID.name} and {APP_SECRET.name}: the bot "{identity.name}" ({identity.open_id}), all permissions are there'
        ]
        if plan.webhook:
            right.append(
                f"{ENCRYPT_KEY.name} and {VERIFICATION_TOKEN.name}: there is nobody to ask; {self.title} proves them when you "
                "save the request URL"
            )
        return Checked(right=tuple(right), bot=f"@{identity.name or 'Assistant'}")

    def settings(self, plan: Plan, values: Values) -> Mapping[str, str]:
        own = {"url": self._url, "accountsUrl": self._accounts_url}
        return {
            "platforms.feishu.appId": values[APP_ID.name],
            "platforms.feishu.transport": plan.transport,
            **{f"platforms.feishu.{key}": value for key, value in own.items() if value != self._defaults[key]},
        }

    def challenge(self, values: Values, now: float) -> Challenge:
        """Signed, which Feishu's own is not, so that it proves the key as well as the token."""
        word, stamp, nonce = secrets.token_hex(16), str(int(now)), secrets.token_hex(8)
        token, key = (values[field.name].split()[0] for field in (VERIFICATION_TOKEN, ENCRYPT_KEY))
        body = json.dumps({"type": "url_verification", "challenge": word, "token": token}).encode()
        headers = {
            "Content-Type": "application/json",
            signature.TIMESTAMP_HEADER: stamp,
            signature.NONCE_HEADER: nonce,
            signature.SIGNATURE_HEADER: signature.sign(key, stamp, nonce, body),
        }
        return Challenge(body=body, headers=headers, answer={"challenge": word})

    async def hello(self, values: Values, to: str, text: str) -> None:
        try:
            async with client_for(self._url) as client:
                identity = await identify(self._settings(values), client)
                await say_hello(self._url, client, identity.token, to, text)
        except CheckFailed as failed:
            raise _wrong(failed, {"the receiver": "CHAT"}) from None

    def once_up(self, plan: Plan) -> str:
        page = '"Events & Callbacks", "Event configuration"'
        if plan.webhook:
            return f"In the console, {page}: save the request URL {plan.events_url} now. The version must be published."
        return (
            f'In the console, {page}: choose "Receive events through persistent connection" and save it now. Publish a version.'
        )

    def nothing_came(self, plan: Plan) -> tuple[str, ...]:
        page = '"Events & Callbacks", "Event configuration"'
        way = f"request URL {plan.events_url}, saved" if plan.webhook else "Receive events through persistent connection, saved"
        return (
            "You wrote to the bot itself, or mentioned it in a group that it is a member of",
            f"{page}: {way}",
            f"{page}: the event im.message.receive_v1 (Receive message) is in the list",
            '"Version Management & Release": the last version is published and approved, and you are in its availability',
            *(() if plan.webhook else (f"The process feishu-transport runs and is connected: make logs{plan.option}",)),
        )

    def refused(self, plan: Plan) -> str:
        return (
            f"{ENCRYPT_KEY.name} or {VERIFICATION_TOKEN.name} is not the console's, or this machine's clock is more than 5 "
            f"minutes off. Copy both again: {_STRATEGY}."
        )

    def _settings(self, values: Values) -> FeishuSettings:
        return FeishuSettings(
            feishu_app_id=values[APP_ID.name], feishu_app_secret=SecretStr(values[APP_SECRET.name]), feishu_url=self._url
        )


def _wrong(failed: CheckFailed, names: Mapping[str, str] | None = None) -> Wrong:
    name = (names or {}).get(failed.field, failed.field)
    return Wrong(name, str(failed).removeprefix(f"{failed.field}: "), passing=failed.passing)
