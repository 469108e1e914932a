"""``python -m app.models.pull s3://bucket/prefix RECIPE --into STORE``: have a published model in the store of this machine.

For an init container before the inference service: waits until the model is published, downloads it, compares every SHA-256
and links ``STORE/.recipes/RECIPE``; what is complete already is not downloaded again. Progress goes to standard error, one line
of JSON to standard output. Exit status: 0 it is there and every SHA-256 is right, 1 it is not, 2 wrong usage, 130 or 143
interrupted.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from app.models import manifest
from app.models.bucket import Bucket, BucketBusyError, BucketError, Report
from app.models.errors import ModelError, StoreError
from app.models.manifest import Manifest
from app.models.progress import Progress
from app.models.store import Store

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 10.0
LONGEST_SECONDS = 7 * 24 * 3600.0
RECIPE = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T")


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    # The first process of a container gets no default action for a signal: without a handler it would wait on.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        store = Store(options.into.expanduser().absolute())
        path, model, downloaded = pull(Bucket(options.bucket), options.recipe, store, options.seconds, Progress())
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    found = {"path": str(path), "name": model.name, "digest": model.digest, "downloaded": downloaded}
    print(json.dumps(found, ensure_ascii=False))
    return 0


def pull(bucket: Bucket, recipe: str, store: Store, seconds: float, report: Report) -> tuple[Path, Manifest, bool]:
    """The model directory of ``recipe``, its manifest, and whether it had to be downloaded.

    Raises :class:`ModelError` where it is not published within ``seconds`` or is not what its manifest says.
    """
    deadline = time.monotonic() + seconds
    if found := store.find(recipe, sizes_only=False):
        return *found, False
    model = _patiently(lambda: _published(bucket, recipe), deadline, seconds, report)
    with store.converting(recipe, waiting=lambda: report(0.0, "wait for another download of this model")) as work:
        if found := store.find(recipe, sizes_only=False):  # downloaded while this process waited
            return *found, False
        result = work / "model"
        result.mkdir()
        if (free := shutil.disk_usage(work).free) < model.sizes.bytes:
            raise StoreError(f"{store.root} has {free / 1e9:.1f} GB free; the model needs {model.sizes.bytes / 1e9:.1f} GB")
        progress = bucket.progress(model, report)
        for name in sorted(model.files):
            _patiently(_downloading(bucket, model, name, result, progress), deadline, seconds, report)
        (result / manifest.FILE_NAME).write_text(manifest.dump(model), encoding="utf-8")
        manifest.verify(result, sizes_only=True)  # each digest was compared as its file came; the whole's is by this
        path = store.publish(recipe, result, model.digest)
    report(1.0, f"done: {path}")
    return path, model, True


def _published(bucket: Bucket, recipe: str) -> Manifest:
    if found := bucket.recipe(recipe):
        return found
    where = bucket.uri("/".join(filter(None, (bucket.prefix, "recipes", f"{recipe}.json"))))
    raise BucketBusyError(f"{where} is not there yet: `python -m app.models --publish` writes it when the model is converted")


def _downloading(
    bucket: Bucket, model: Manifest, name: str, directory: Path, progress: Callable[[int], None]
) -> Callable[[], None]:
    return lambda: bucket.download(model, name, directory / name, progress)


def _patiently(action: Callable[[], T], deadline: float, seconds: float, report: Report) -> T:
    """What ``action`` gives, tried again while it says that it may succeed soon."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return action()
        except BucketBusyError as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise BucketError(f"{error}; given up after {seconds:g} seconds") from None
            report(0.0, str(error))
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m app.models.pull", description="Download a published model and compare every file with its manifest."
    )
    parser.add_argument("bucket", metavar="s3://BUCKET/PREFIX", help="what the conversion got as --publish")
    parser.add_argument("recipe", metavar="RECIPE", help="the recipe's key, 64 hexadecimal digits")
    parser.add_argument("--into", type=Path, required=True, metavar="STORE", help="the model store to have it in")
    parser.add_argument("--seconds", type=float, default=1800.0, help="how long all may take (default %(default)g)")
    options = parser.parse_args(arguments)
    if not RECIPE.fullmatch(options.recipe):
        parser.error(f"{options.recipe!r} is no recipe's key: 64 hexadecimal digits are needed")
    if not 0 <= options.seconds <= LONGEST_SECONDS:
        parser.error(f"--seconds {options.seconds}: from 0 to {LONGEST_SECONDS:.0f}")
    return options


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds the stack, so that the scratch directory is removed; after SIGKILL the next download removes it."""
    print("terminated; nothing was linked", file=sys.stderr)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
