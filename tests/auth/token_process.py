"""A process that wants a token: says that it is ready, waits for a line, asks ten times at once and prints what it got."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from app.auth.renewal import FeishuRenewal, SlackRenewal
from app.auth.shared_tokens import SharedTokens
from app.auth.token_endpoint import TokenEndpoint
from app.auth.token_store import TokenStore
from app.auth.vault import Vault
from app.http.outbound import client_for
from app.pipeline.redis_client import connect
from app.platforms.secret_set import SecretSet
from app.settings import RedisSettings, load


async def main(platform: str, token_url: str) -> None:
    redis = connect(load(RedisSettings, os.environ))
    async with client_for(token_url) as client:
        endpoint = TokenEndpoint(client, token_url, "cli_a" if platform == "feishu" else "1.2", "secret")
        renewal = FeishuRenewal() if platform == "feishu" else SlackRenewal()
        store = TokenStore(redis, Vault(SecretSet(bytes(32))))
        tokens = SharedTokens(platform, renewal, endpoint=endpoint, store=store)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        found = await asyncio.gather(*(tokens.token("T1") for _ in range(10)))
        await tokens.aclose()
    await redis.close()
    print(json.dumps(sorted(set(found))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
