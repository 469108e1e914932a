"""Several processes' halves of the token store in one, over the same Redis, and Redis' clock turned on for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2

from app.auth.grants import IssuedToken
from app.auth.renewal import FeishuRenewal, SlackRenewal
from app.auth.shared_tokens import SharedTokens
from app.auth.token_endpoint import TokenEndpoint
from app.auth.token_store import TokenStore
from app.auth.vault import Vault
from app.pipeline.redis_client import connect
from app.platforms.secret_set import SecretSet
from app.settings import RedisSettings
from tests.auth.token_server import FEISHU_PATH, SLACK_PATH, TokenServer

KEY = bytes(32)
SLOTS = {platform: f"{{assistant}}:token:{platform}:T1" for platform in ("feishu", "slack")}
FIRST = IssuedToken("xoxe.xoxb-first", 43_200, "xoxe-1-first")
PATIENT_SECONDS = 10.0


@dataclass
class Processes:
    """Makes :class:`SharedTokens` as each process has its own, all over the same Redis."""

    redis: Any  # the server
    server: TokenServer
    client: httpx2.AsyncClient

    def __post_init__(self) -> None:
        self.connections: list[Any] = []

    def store(self, vault: Vault | None = None, timeout: float = PATIENT_SECONDS) -> TokenStore:
        settings = RedisSettings(
            redis_url=self.redis.url, redis_password=self.redis.password, redis_timeout_seconds=timeout, redis_cluster=False
        )
        self.connections.append(connect(settings))
        return TokenStore(self.connections[-1], vault or Vault(SecretSet(KEY)))

    def start(
        self, platform: str, *, timeout: float = PATIENT_SECONDS, vault: Vault | None = None, **more: Any
    ) -> SharedTokens:
        path, client_id = (FEISHU_PATH, "cli_a") if platform == "feishu" else (SLACK_PATH, "1.2")
        return SharedTokens(
            platform,
            FeishuRenewal() if platform == "feishu" else SlackRenewal(),
            endpoint=TokenEndpoint(self.client, self.server.url + path, client_id, "secret", timeout_seconds=3.0),
            **{"store": self.store(vault, timeout), **more},
        )

    def field(self, platform: str, name: str, value: object | None = None) -> Any:
        """Read, or set, a field of the team's slot: Redis keeps its own time, so deadlines are moved instead."""
        if value is None:
            return self.redis.command("HGET", SLOTS[platform], name)
        return self.redis.command("HSET", SLOTS[platform], name, str(value))

    def expire(self, platform: str) -> None:
        self.field(platform, "renew_at", 1)
        self.field(platform, "expires_at", 1)
