"""What AWS does by itself between one call and the next: a user of MemoryDB is let in with the password that Secrets Manager
has, and a bucket of models holds what was published there before."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from redis.exceptions import RedisError

from app.models.bucket import Bucket
from app.models.errors import ModelError
from app.models.manifest import Manifest
from tools.rehearsal.queue import Queue

PAUSE_SECONDS = 0.5
STAGES = ("AWSPREVIOUS", "AWSCURRENT")
USER, BUCKET = "aws:memorydb/user:User", "aws:s3/bucket:Bucket"


@dataclass(frozen=True, kw_only=True)
class Seed:
    """A model that this machine has converted already, and where in the bucket it belongs."""

    recipe: str
    directory: Path
    manifest: Manifest
    prefix: str


class Background(threading.Thread):
    """``world``: the file of what the stand-in has made. ``secret``: the name of the queue's password. A trouble is kept in
    ``troubles`` and the round is tried again."""

    def __init__(self, world: Path, manager: Any, queue: Queue, secret: str, seed: Seed | None) -> None:
        super().__init__(daemon=True, name="standing-in")
        self._world, self._manager, self._queue, self._secret, self._seed = world, manager, queue, secret, seed
        self._end = threading.Event()
        self._let_in: tuple[str, ...] = ()
        self.published: str | None = None
        self.troubles: list[str] = []

    def run(self) -> None:
        while not self._end.wait(PAUSE_SECONDS):
            for act in (self._users, self._models):
                self._carefully(act)

    def stop(self) -> None:
        self._end.set()
        self.join(timeout=30)

    def _carefully(self, act: Callable[[Iterable[Mapping[str, Any]]], None]) -> None:
        try:
            act(resources(self._world))
        except (BotoCoreError, ClientError, RedisError, ModelError, OSError, ValueError) as error:
            trouble = f"{act.__name__.strip('_')}: {error}"
            if trouble not in self.troubles:
                self.troubles.append(trouble)

    def _users(self, there: Iterable[Mapping[str, Any]]) -> None:
        for user in of_type(there, USER):
            passwords = self._passwords()
            wanted = (str(user["outputs"]["userName"]), str(user["outputs"]["accessString"]), *passwords)
            if passwords and wanted != self._let_in:
                self._queue.let_in(wanted[0], wanted[1], passwords)
                self._let_in = wanted

    def _passwords(self) -> tuple[str, ...]:
        found = []
        for stage in STAGES:
            try:
                found.append(str(self._manager.get_secret_value(SecretId=self._secret, VersionStage=stage)["SecretString"]))
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceNotFoundException":
                    raise
        return tuple(found)

    def _models(self, there: Iterable[Mapping[str, Any]]) -> None:
        seed = self._seed
        if seed is None or self.published is not None:
            return
        for bucket in of_type(there, BUCKET):
            name = str(bucket["outputs"]["bucket"])
            if "-models-" in f"{name}-":
                place = Bucket(f"s3://{name}/{seed.prefix}")
                place.publish(seed.recipe, seed.directory, seed.manifest, lambda _share, _what: None)
                self.published = name


def resources(world: Path) -> list[Mapping[str, Any]]:
    """What exists at the stand-in; empty where nothing was made yet."""
    try:
        document = json.loads(world.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return list(document["resources"].values())


def of_type(there: Iterable[Mapping[str, Any]], token: str) -> list[Mapping[str, Any]]:
    return [record for record in there if record["token"] == token]
