"""What AWS does by itself: a user of the queue is let in with what Secrets Manager holds, and both of its values."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tools.rehearsal.standing_in import PAUSE_SECONDS, USER, Background


class Manager:
    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> dict[str, str]:  # noqa: N803 - AWS' names
        if VersionStage not in self.values:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSecretValue")
        return {"SecretString": self.values[VersionStage]}


class Queue:
    def __init__(self) -> None:
        self.let: list[tuple[str, str, tuple[str, ...]]] = []

    def let_in(self, user: str, access: str, passwords: tuple[str, ...]) -> None:
        self.let.append((user, access, tuple(passwords)))


def wait_for(queue: Queue, count: int) -> None:
    end = time.monotonic() + 20 * PAUSE_SECONDS
    while len(queue.let) < count and time.monotonic() < end:
        time.sleep(0.05)


@pytest.mark.timeout(60)
def test_a_user_is_let_in_when_there_is_a_password_and_again_when_it_is_another(tmp_path: Path) -> None:
    world, manager, queue = tmp_path / "world.json", Manager(), Queue()
    record: dict[str, Any] = {"token": USER, "outputs": {"userName": "assistant-prod", "accessString": "on ~* &* +@all"}}
    world.write_text(json.dumps({"resources": {"user": record}}), encoding="utf-8")
    played: Any = queue
    background = Background(world, manager, played, "assistant/prod/redis_password", None)
    background.start()
    try:
        time.sleep(2 * PAUSE_SECONDS)
        assert queue.let == []
        manager.values["AWSCURRENT"] = "one"
        wait_for(queue, 1)
        manager.values |= {"AWSPREVIOUS": "one", "AWSCURRENT": "two"}
        wait_for(queue, 2)
    finally:
        background.stop()
    assert queue.let[0] == ("assistant-prod", "on ~* &* +@all", ("one",))
    assert queue.let[-1] == ("assistant-prod", "on ~* &* +@all", ("one", "two"))
    assert background.troubles == []
