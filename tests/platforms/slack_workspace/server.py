"""The HTTP round the workspace: routes, credentials, encodings, and faults on demand. It has a thread and a loop of its own."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_plus

from aiohttp import web
from slack_workspace import page
from slack_workspace.delivery import Sockets
from slack_workspace.workspace import Refusal, Workspace

# These take no JSON body: https://docs.slack.dev/apis/web-api, "POST bodies".
FORM_ONLY = frozenset(("conversations.replies", "conversations.history", "users.info"))
STRUCTURED = ("files", "metadata", "blocks")  # JSON within a form


@dataclass
class Fault:
    """What goes wrong with ``method`` (or ``upload``), ``times`` times.

    ``error`` answers 200 with that word, ``status`` with that status (and ``retry_after``), ``reset`` cuts the connection,
    ``slow`` waits ``seconds`` and goes on, ``garbage`` answers 200 with ``body``, ``redirect`` 307. ``after_effect``: the call
    has its effect first, so only the answer is lost. ``place``: another upload address is named.
    """

    method: str
    kind: Literal["error", "status", "reset", "slow", "garbage", "redirect", "place"] = "error"
    error: str = "internal_error"
    status: int = 500
    times: int = 1
    after_effect: bool = False
    seconds: float = 1.0
    retry_after: str | None = None
    body: str = "not json"
    location: str = "http://127.0.0.1:9/"


class Server:
    """``write``: somebody writes. ``record``: what is shown at ``/record``. ``changed`` guards everything."""

    def __init__(
        self,
        workspace: Workspace,
        sockets: Sockets,
        changed: threading.Condition,
        *,
        host: str,
        port: int,
        write: Callable[..., str],
        record: Callable[[], dict[str, Any]],
        say: Callable[[str], None],
    ) -> None:
        self._workspace, self._sockets, self._changed = workspace, sockets, changed
        self._host, self.port = host, port
        self._write, self._record, self._say = write, record, say
        self.loop = asyncio.new_event_loop()
        self.faults: list[Fault] = []
        self.calls: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = threading.Event()
        self._failure: OSError | None = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    def start(self) -> None:
        """Raises :class:`OSError` where the address is taken."""
        self._thread.start()
        self._started.wait(10)
        if self._failure:
            raise self._failure

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do ``work`` in the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.add_routes(
            [
                web.route("*", "/api/{method}", self._serve_method),
                web.get("/oauth/v2/authorize", self._serve_authorisation),
                web.post("/upload/v1/{ticket}", self._serve_upload),
                web.get("/link", self._serve_socket),
                web.get("/", self._serve_page),
                web.post("/say", self._serve_say),
                web.get("/record", self._serve_record),
                web.route("*", "/faults", self._serve_faults),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        try:
            self.loop.run_until_complete(runner.setup())
            site = web.TCPSite(runner, self._host, self.port, reuse_address=True)
            self.loop.run_until_complete(site.start())
            self.port = runner.addresses[0][1]
            self._workspace.base_url = self.url
        except OSError as error:
            self._failure = error
            return
        finally:
            self._started.set()
        self.loop.run_forever()
        self.loop.run_until_complete(runner.cleanup())
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.loop.close()

    async def _serve_method(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        fault = self._take_fault(method)
        if fault and fault.kind == "slow" and not fault.after_effect:
            await asyncio.sleep(fault.seconds)
            fault = None
        if fault and not fault.after_effect and fault.kind != "place":
            return self._break(request, fault)
        arguments, is_json = await _arguments(request)
        with self._changed:
            try:
                values, headers, status = self._act(method, request, arguments, is_json)
            except Refusal as refusal:
                values, status = refusal.values, 200 if refusal.retry_after is None else 429
                headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
                self.refused.append({"method": method, **refusal.values})
                self._say(f"(refused {method}: {refusal})")
            self._changed.notify_all()
        if fault and fault.kind == "place" and "upload_url" in values:
            values["upload_url"] = fault.location
        elif fault:
            if fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
            else:
                return self._break(request, fault)
        return web.json_response(values, status=status, headers=headers)

    def _act(
        self, method: str, request: web.Request, arguments: dict[str, Any], is_json: bool
    ) -> tuple[dict[str, Any], dict[str, str], int]:
        credential = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        self.calls.append({"method": method, "arguments": {k: v for k, v in arguments.items() if "secret" not in k}})
        if method == "oauth.v2.access":
            return {"ok": True, **self._workspace.oauth_v2_access(_client(request, arguments), arguments)}, {}, 200
        if method == "apps.connections.open":
            return {"ok": True, **self._workspace.apps_connections_open(credential)}, {}, 200
        act = getattr(self._workspace, method.replace(".", "_").lower(), None)
        if act is None:
            raise Refusal("unknown_method")
        token = self._workspace.who(credential or str(arguments.get("token", "")))
        if method in FORM_ONLY and is_json:
            raise Refusal("invalid_arguments")
        return {"ok": True, **act(token, arguments)}, {"X-OAuth-Scopes": token.scopes}, 200

    def _take_fault(self, method: str) -> Fault | None:
        with self._changed:
            for fault in self.faults:
                if fault.method == method and fault.times > 0:
                    fault.times -= 1
                    return fault
            return None

    def _break(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        match fault.kind:
            case "error":
                return web.json_response({"ok": False, "error": fault.error})
            case "garbage":
                return web.Response(text=fault.body)
            case "redirect":
                return web.Response(status=307, headers={"Location": fault.location})
            case "reset":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        return web.Response(status=fault.status, headers=headers, text="on demand")

    async def _serve_upload(self, request: web.Request) -> web.StreamResponse:
        fault = self._take_fault("upload")
        if fault:
            return self._break(request, fault)
        content = await request.read()
        with self._changed:
            taken = self._workspace.upload(request.match_info["ticket"], content)
        return web.Response(text=f"OK - {len(content)}") if taken else web.Response(status=404)

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        with self._changed:
            if request.query.get("ticket", "") not in self._workspace.tickets:
                return web.Response(status=401)
            self._workspace.tickets.discard(request.query["ticket"])  # an address is good for one connection
        return await self._sockets.serve(request)

    async def _serve_authorisation(self, request: web.Request) -> web.StreamResponse:
        with self._changed:
            try:
                return web.Response(status=302, headers={"Location": self._workspace.authorise(request.query)})
            except Refusal as refusal:
                self.refused.append({"method": "authorize", **refusal.values})
                return web.json_response(refusal.values, status=400)

    async def _serve_say(self, request: web.Request) -> web.StreamResponse:
        arguments, is_json = await _arguments(request)
        stamp = self._write(
            str(arguments.get("text", "")),
            channel=str(arguments.get("channel") or "D0ADA"),
            user=str(arguments.get("user") or "U0ADA"),
            thread_ts=str(arguments.get("thread_ts") or "") or None,
        )
        return web.json_response({"ts": stamp}) if is_json else web.Response(status=303, headers={"Location": "/"})

    async def _serve_record(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._record())

    async def _serve_faults(self, request: web.Request) -> web.StreamResponse:
        with self._changed:
            if request.method == "DELETE":
                self.faults.clear()
            else:
                self.faults.append(Fault(**await request.json()))
        return web.json_response({})

    async def _serve_page(self, request: web.Request) -> web.StreamResponse:
        with self._changed:
            return web.Response(text=page.rendered(self._workspace), content_type="text/html")


async def _arguments(request: web.Request) -> tuple[dict[str, Any], bool]:
    values: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError:
            body = None
        return (values | body if isinstance(body, dict) else values), True
    form = await request.post()
    values |= {key: value for key, value in form.items() if isinstance(value, str)}
    for name in STRUCTURED:
        if isinstance(values.get(name), str):
            values[name] = json.loads(values[name])
    return values, False


def _client(request: web.Request, arguments: dict[str, Any]) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
            return unquote_plus(client), unquote_plus(secret)
        except (binascii.Error, ValueError):
            return "", ""
    return str(arguments.get("client_id", "")), str(arguments.get("client_secret", ""))
