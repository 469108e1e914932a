"""Models in an S3 bucket: written once by whoever converts, read by every pod.

::

    <prefix>/models/<digest>/…          the files of a model directory, without its manifest
    <prefix>/recipes/<recipe>.json      the manifest, with the digest and each file's SHA-256; written last, and by one alone

An upload that is killed leaves objects that nobody points at, and the next one uses them. Encryption is the bucket's own.
boto3 is imported when a bucket is used: converting and serving without one costs nothing.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.aws.failures import kind_of
from app.models import manifest
from app.models.errors import ModelError
from app.models.manifest import FileRecord, Manifest
from app.models.sources import Source

# A bucket's name (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html) and plain segments.
URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*))?/?")
SHA256 = "sha256"  # the name under which an object carries the digest of its whole content
MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})

Report = Callable[[float, str], None]


class BucketError(ModelError):
    """The bucket cannot be used, or what lies in it is not what it says."""


class BucketBusyError(BucketError):
    """The bucket does not answer now, and may soon."""


class Bucket:
    """The part of a bucket under a prefix. Raises :class:`BucketError` and :class:`BucketBusyError`."""

    def __init__(self, uri: str) -> None:
        found = URI.fullmatch(uri)
        if not found:
            raise BucketError(f"{uri!r} is no place in a bucket; s3://bucket or s3://bucket/prefix is allowed")
        self.name, self.prefix = found["bucket"], found["prefix"] or ""
        self._client: Any = None

    def uri(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    def recipe(self, recipe: str) -> Manifest | None:
        """The manifest of a model that was published whole, or None."""
        key = self._key("recipes", f"{recipe}.json")
        with self.explained(key) as s3:
            try:
                content = s3.get_object(Bucket=self.name, Key=key)["Body"].read()
            except s3.exceptions.ClientError as error:
                if _code(error) in MISSING:
                    return None
                raise
        return manifest.parse(content, self.uri(key))

    def publish(self, recipe: str, directory: Path, model: Manifest, report: Report) -> Manifest:
        """Upload the model directory, then point ``recipe`` at it; the manifest that the pointer holds in the end, which is
        another's if that was written meanwhile."""
        # The largest last: what can be refused is refused early.
        files = sorted(model.files.items(), key=lambda item: item[1].size)
        progress = _Bytes(model, "publish", report)
        for name, record in files:
            self._upload(directory / name, model.digest, record, progress)
        key = self._key("recipes", f"{recipe}.json")
        with self.explained(key) as s3:
            body = manifest.dump(model).encode()
            try:
                s3.put_object(Bucket=self.name, Key=key, Body=body, IfNoneMatch="*", ContentType="application/json")
            except s3.exceptions.ClientError as error:
                if _code(error) not in TAKEN:
                    raise
                model = self.recipe(recipe) or model
        report(1.0, f"done: {self.uri(self.key_of(model.digest, ''))}")
        return model

    def download(self, model: Manifest, name: str, path: Path, progress: Callable[[int], None]) -> None:
        """One file of ``model`` to ``path``, and proof that it is the one."""
        key, record = self.key_of(model.digest, name), model.files[name]
        with self.explained(key) as s3:
            s3.download_file(self.name, key, str(path), Callback=progress)
        if (came := manifest.sha256_of(path)) != record.sha256:
            raise BucketError(
                f"{self.uri(key)} has sha256 {came}, its manifest says {record.sha256}: it was changed. Delete it together with"
                f" {self.uri(self._key('recipes', '…'))} and publish the model again"
            )

    def progress(self, model: Manifest, report: Report) -> Callable[[int], None]:
        """What :meth:`download` calls with the bytes that came, for all files of ``model`` together."""
        return _Bytes(model, "download", report)

    def key_of(self, digest: str, name: str) -> str:
        return self._key("models", digest, name)

    def _upload(self, path: Path, digest: str, record: FileRecord, progress: _Bytes) -> None:
        key = self.key_of(digest, path.name)
        with self.explained(key) as s3:
            if self._there(s3, key, record):
                progress(record.size)
                return
            extra = {"Metadata": {SHA256: record.sha256}}
            s3.upload_file(str(path), self.name, key, ExtraArgs=extra, Callback=progress)

    def _there(self, s3: Any, key: str, record: FileRecord) -> bool:
        try:
            found = s3.head_object(Bucket=self.name, Key=key)
        except s3.exceptions.ClientError as error:
            if _code(error) in MISSING:
                return False
            raise
        return bool(found["ContentLength"] == record.size and found["Metadata"].get(SHA256) == record.sha256)

    def _key(self, *parts: str) -> str:
        return "/".join((self.prefix, *parts) if self.prefix else parts)

    @contextmanager
    def explained(self, key: str) -> Iterator[Any]:
        """A client, and this project's words for what goes wrong with it."""
        import boto3
        from boto3.exceptions import Boto3Error
        from botocore import exceptions
        from botocore.config import Config

        try:
            if self._client is None:
                config = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "max_attempts": 5})
                self._client = boto3.session.Session().client("s3", config=config)
            yield self._client
        except exceptions.ClientError as error:
            raise self._judge(key, _code(error), _status(error)) from None
        except (exceptions.NoCredentialsError, exceptions.CredentialRetrievalError, exceptions.PartialCredentialsError):
            self._client = None  # a session never looks for credentials twice
            raise BucketBusyError(f"{self.uri(key)}: this process has no AWS credentials") from None
        except exceptions.BotoCoreError as error:  # refused, timed out, cut off
            raise BucketBusyError(f"{self.uri(key)}: S3 is not reachable ({type(error).__name__})") from None
        except Boto3Error as error:  # the transfer manager wraps a ClientError in words
            kind = BucketError if "AccessDenied" in str(error) or "NoSuchBucket" in str(error) else BucketBusyError
            raise kind(f"{self.uri(key)} could not be transferred: {str(error)[:300]}") from None

    def _judge(self, key: str, code: str, status: int) -> BucketError:
        kind = kind_of(code, status)
        if kind == "passing":
            return BucketBusyError(f"{self.uri(key)}: S3 answers {code}")
        if code == "NoSuchBucket":
            return BucketError(f"there is no bucket {self.name}")
        if code in MISSING:
            return BucketError(f"{self.uri(key)} is not there; if a manifest names it, publish the model again")
        if kind == "denied":
            return BucketError(
                f"{self.uri(key)} may not be used by this workload's role ({code}): it needs s3:GetObject (to publish also"
                " s3:PutObject) on the prefix, s3:ListBucket on the bucket (or a missing object looks like a forbidden one) and"
                " the use of the bucket's key"
            )
        return BucketError(f"{self.uri(key)}: S3 answers {code}")


def fetch_object(source: Source, path: Path, report: Callable[[float], None]) -> None:
    """The object that an ``s3:`` source names, whole, to ``path``."""
    name, _, key = source.place.removeprefix("//").partition("/")
    done, lock = [0], threading.Lock()
    bucket = Bucket(f"s3://{name}")
    with bucket.explained(key) as s3:
        total = max(1, s3.head_object(Bucket=name, Key=key)["ContentLength"])

        def came(count: int) -> None:
            with lock:
                done[0] += count
                report(min(1.0, done[0] / total))

        s3.download_file(name, key, str(path), Callback=came)


class _Bytes:
    """Bytes of all files of a model, told as a share; called from the transfer manager's threads."""

    def __init__(self, model: Manifest, what: str, report: Report) -> None:
        self._total, self._what, self._report = max(1, sum(file.size for file in model.files.values())), what, report
        self._done, self._lock = 0, threading.Lock()

    def __call__(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._report(min(1.0, self._done / self._total), self._what)


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
