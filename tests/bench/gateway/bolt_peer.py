"""The peer: slack-bolt's asynchronous adapter in one uvicorn process, whose listener does nothing but let it acknowledge.

``SLACK_SIGNING_SECRET`` and ``PORT`` come from the environment. Nothing is stored.
"""

from __future__ import annotations

import logging
import os

import uvicorn
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def application(signing_secret: str) -> Starlette:
    async def authorize() -> AuthorizeResult:
        # As if the token store had answered at once: no call to Slack is measured.
        return AuthorizeResult(enterprise_id=None, team_id="T1", bot_user_id="UBOT", bot_token="xoxb-of-the-benchmark")

    bolt = AsyncApp(signing_secret=signing_secret, authorize=authorize)

    @bolt.event("message")
    async def nothing() -> None:
        return None

    handler = AsyncSlackRequestHandler(bolt)

    async def events(request: Request) -> Response:
        return await handler.handle(request)

    return Starlette(routes=[Route("/events/slack", events, methods=["POST"])])


if __name__ == "__main__":
    logging.getLogger("slack_bolt").setLevel(logging.ERROR)
    uvicorn.run(
        application(os.environ["SLACK_SIGNING_SECRET"]),
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        log_level="error",
        access_log=False,
        loop="uvloop",
        http="httptools",
    )
