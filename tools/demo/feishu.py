"""Feishu on the stage: a group in which people mention the assistant, events encrypted and signed."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Mapping
from typing import Any

from tools.demo.processes import Running
from tools.demo.stage import Message, emulator

GROUP, CHAT = "oc_group", "oc_ada"
RETRY_SCALE = 0.01  # what Feishu waits for, a hundred times sooner


class FeishuStage:
    title = "Feishu"
    limit = "28,000 bytes"
    played_by = "tests/platforms/feishu"

    def __init__(self) -> None:
        self._secrets = {
            "FEISHU_APP_SECRET": secrets.token_hex(16),
            "FEISHU_ENCRYPT_KEY": secrets.token_hex(16),
            "FEISHU_VERIFICATION_TOKEN": secrets.token_hex(16),
        }
        self._played: Any = None
        self._url = ""
        self._context: ssl.SSLContext | None = None

    def environment(self, url: str) -> Mapping[str, str]:
        played = emulator("feishu.emulator")
        self._played = played.Emulator(
            app_secret=self._secrets["FEISHU_APP_SECRET"],
            encrypt_key=self._secrets["FEISHU_ENCRYPT_KEY"],
            verification_token=self._secrets["FEISHU_VERIFICATION_TOKEN"],
        ).start()
        return {
            **self._secrets,
            "FEISHU_APP_ID": self._played.app_id,
            "FEISHU_URL": self._played.url,
            "FEISHU_ACCOUNTS_URL": self._played.url,
            "FEISHU_BOT_OPEN_ID": played.BOT_OPEN_ID,
        }

    def open(self, assistant: Running) -> None:
        self._url, self._context = f"{assistant.url}/events/feishu", assistant.context()

    def challenge(self) -> bool:
        asked = self._played.challenge(self._url, "asked-by-make-demo", context=self._context).wait()
        return bool(asked.answer == {"challenge": "asked-by-make-demo"})

    def install(self) -> str | None:
        return None

    def write(self, text: str) -> Message:
        wire, played = emulator("feishu.wire"), emulator("feishu.emulator")
        mentioned = [wire.mention("@_user_1", played.BOT_OPEN_ID, "Assistant", "bot")]
        thread = f"omt_{secrets.token_hex(6)}"
        event = self._played.event(
            f"@_user_1 {text}", chat=GROUP, chat_type="group", mentions=mentioned, thread_id=thread, root_id=""
        )
        return self._delivered(event)

    def talk(self, text: str) -> Message:
        return self._delivered(self._played.event(text, chat=CHAT))

    def deliver_again(self, message: Message) -> bool:
        again = self._played.deliver(self._url, dict(message.event), time_scale=RETRY_SCALE, context=self._context).wait()
        return bool(again.taken)

    def replies(self, message: Message) -> list[str]:
        return [str(one["text"]) for one in self._played.record()["messages"] if one["parent_id"] == message.id]

    def calendar(self) -> list[str]:
        return [
            f"{entry['summary']}, {entry['start_time'].get('date') or entry['start_time']['timestamp']}, with "
            f"{', '.join(entry['attendees'])}"
            for entry in self._played.record()["calendar"]
        ]

    def busy_once(self, seconds: int) -> None:
        reset = {"x-ogw-ratelimit-reset": str(seconds)}
        self._played.fail("/reply$", 99991400, status=429, msg="request trigger frequency limit", headers=reset)

    def expire_tokens(self) -> None:
        self._played.expire_tokens()

    def tokens_issued(self) -> int:
        return int(self._played.tokens_issued)

    def refusals(self) -> int:
        return len(self._played.refused)

    @property
    def page(self) -> str:
        return ""

    def stop(self) -> None:
        if self._played is not None:
            self._played.stop()

    def _delivered(self, event: Mapping[str, Any]) -> Message:
        self._played.deliver(self._url, dict(event), time_scale=RETRY_SCALE, context=self._context)
        number = str(event["event"]["message"]["message_id"])
        return Message(id=number, key=f"feishu:{event['header']['tenant_key']}:{number}", event=event)
