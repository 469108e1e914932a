"""Keeps a copy of the API server's objects of one kind: list, then watch from there. Standard library only."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

Object = Mapping[str, Any]
WATCH_SECONDS = 240  # the server ends a watch then, and it begins anew
PAUSE = 1.0
PAST = (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.CONFLICT)  # it is gone already, or there already


class Server:
    """The API server, with a client certificate."""

    def __init__(self, url: str, pki: Path, certificate: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._trust = ssl.create_default_context(cafile=pki / "ca.crt")
        self._trust.load_cert_chain(pki / f"{certificate}.crt", pki / f"{certificate}.key")

    def open(self, path: str, **query: str) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=WATCH_SECONDS + 30, context=self._trust)
        connection.request("GET", f"{path}?{urlencode(query)}", headers={"Accept": "application/json"})
        return connection, connection.getresponse()

    def send(self, method: str, path: str, body: Object) -> int:
        """The status of the answer. Raises `OSError` for one that is neither a success nor said to be past (404, 409)."""
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=30, context=self._trust)
        try:
            connection.request(method, path, body=json.dumps(body), headers={"Content-Type": "application/json"})
            response = connection.getresponse()
            said = response.read()
        finally:
            connection.close()
        if response.status >= http.HTTPStatus.BAD_REQUEST and response.status not in PAST:
            raise OSError(f"{method} {path}: {response.status} {said.decode(errors='replace')[:300]}")
        return response.status


class Gone(Exception):
    """The watch must begin with a new list."""


class Copy(threading.Thread):
    """All objects at `path`, in every namespace. `changed` is called after each change, from this thread."""

    def __init__(self, server: Server, path: str, changed: Callable[[], None], complain: Callable[[str], None]) -> None:
        super().__init__(daemon=True, name=path)
        self._server, self._path, self._changed, self._complain = server, path, changed, complain
        self._lock = threading.Lock()
        self._objects: dict[str, Object] = {}
        self._listed = False

    def objects(self) -> list[Object] | None:
        """None until the first list has come."""
        with self._lock:
            return list(self._objects.values()) if self._listed else None

    def run(self) -> None:
        pause = threading.Event()
        while True:
            try:
                version = self._list()
                while True:
                    version = self._watch(version)
            except (Gone, OSError, http.client.HTTPException, ValueError, KeyError) as error:
                if not isinstance(error, Gone):
                    self._complain(f"{self._path}: {error!r}")
                pause.wait(PAUSE)

    def _list(self) -> str:
        connection, response = self._server.open(self._path)
        try:
            body = json.loads(response.read())
            if response.status != http.HTTPStatus.OK:
                raise OSError(f"{response.status} {body.get('message', '')}")
        finally:
            connection.close()
        with self._lock:
            self._objects = {item["metadata"]["uid"]: item for item in body["items"]}
            self._listed = True
        self._changed()
        return str(body["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> str:
        """Until the server ends it; the version that was seen last. Raises `Gone`."""
        connection, response = self._server.open(
            self._path, watch="1", resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds=str(WATCH_SECONDS)
        )
        try:
            if response.status != http.HTTPStatus.OK:
                raise Gone
            for line in response:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise Gone
                version = self._take(event["type"], event["object"])
        finally:
            connection.close()
        return version

    def _take(self, kind: str, item: Object) -> str:
        if kind != "BOOKMARK":
            with self._lock:
                if kind == "DELETED":
                    self._objects.pop(item["metadata"]["uid"], None)
                else:
                    self._objects[item["metadata"]["uid"]] = item
            self._changed()
        return str(item["metadata"]["resourceVersion"])
