"""``python -m app.models``: have a model in the store, and print where.

Progress goes to standard error, ``[ 40%] quantise to INT8``; the result is one line of JSON on standard output, and in the file
of ``--report``, which says after a failure what it was. Exit status: 0 done, 1 failed, 2 wrong usage, 3 the quantised model
missed the gate, 130 or 143 interrupted. In no case but the first is anything published.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pydantic import ValidationError

from app.models import default, report
from app.models.bucket import Bucket
from app.models.errors import GateError, ModelError
from app.models.manifest import Manifest, Thresholds
from app.models.progress import Progress
from app.models.recipe import Recipe, admit
from app.models.sources import SCHEMES, parse
from app.models.store import Store, default_root

FAILED, MISSED_GATE = 1, 3
# A plain file name; 64 hexadecimal digits would be a model's own directory.
LINK = re.compile(r"(?![0-9a-f]{64}$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        thresholds = Thresholds(max_kl=options.max_kl, min_top1=options.min_top1)
    except ValidationError:
        print(
            f"--max-kl {options.max_kl} --min-top1 {options.min_top1}: KL is >= 0, top-1 a share from 0 to 1", file=sys.stderr
        )
        return 2
    try:
        recipe = Recipe(source=parse(options.source, options.sha256), precision=options.precision, thresholds=thresholds)
        store = Store((options.store or default_root(os.environ)).expanduser().absolute())
        if options.publish:
            place, manifest, made = _have_published(recipe, Bucket(options.publish), store, verify=options.verify)
        else:
            path, manifest, made = _have(recipe, store, verify=options.verify)
            place = str(path)
        link = store.link(options.link, manifest.digest) if options.link else None
    except GateError as error:
        return _failed(f"{error}\nNothing was published.", MISSED_GATE, options.report)
    except ModelError as error:
        return _failed(str(error), FAILED, options.report)
    except KeyboardInterrupt:
        return _failed("interrupted; nothing was published", 128 + signal.SIGINT, options.report)
    summary = _summary(place, manifest, made=made) | ({"link": str(link)} if link else {})
    print(json.dumps(summary, ensure_ascii=False))
    report.write(options.report, summary)
    return 0


def _failed(message: str, status: int, path: Path | None) -> int:
    print(message, file=sys.stderr)
    report.write(path, {"error": message, "status": status})
    return status


def _have(recipe: Recipe, store: Store, *, verify: bool) -> tuple[Path, Manifest, bool]:
    if found := store.find(recipe.key, sizes_only=not verify):
        admit(found[1].gate, recipe.thresholds)
        return *found, False
    from app.models.convert import convert  # NumPy, ONNX and its runtime: a second that an answer from the store saves

    return convert(recipe, store, Progress())


def _have_published(recipe: Recipe, bucket: Bucket, store: Store, *, verify: bool) -> tuple[str, Manifest, bool]:
    """The same in a bucket, where others look for it: nothing is converted that is there already."""
    found, made = bucket.recipe(recipe.key), False
    if found:
        admit(found.gate, recipe.thresholds)
    else:
        path, manifest, made = _have(recipe, store, verify=verify)
        found = bucket.publish(recipe.key, path, manifest, Progress())
    return bucket.uri(bucket.key_of(found.digest, "")), found, made


def _summary(place: str, manifest: Manifest, *, made: bool) -> dict[str, object]:
    return {
        "path": place,
        "name": manifest.name,
        "digest": manifest.digest,
        "precision": manifest.precision,
        "kl": manifest.gate.kl,
        "top1": manifest.gate.top1,
        "perplexity": manifest.gate.perplexity,
        "perplexity_fp32": manifest.gate.perplexity_fp32,
        "tokens": manifest.gate.tokens,
        "source": manifest.source.uri,
        "source_sha256": manifest.source.sha256,
        "licence": manifest.source.licence,
        "context_length": manifest.architecture.context_length,
        "parameters": manifest.sizes.parameters,
        "bytes": manifest.sizes.bytes,
        "made": made,
    }


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app.models", description="Fetch, convert, quantise and admit a model.")
    schemes = ", ".join(f"{scheme}:" for scheme in SCHEMES)
    parser.add_argument(
        "--source", default=default.SOURCE, help=f"where the GGUF file comes from ({schemes}); default: {default.NAME}"
    )
    parser.add_argument("--sha256", help="of the GGUF file; required unless the source is the default")
    parser.add_argument("--precision", choices=("int8", "fp32"), default="int8")
    parser.add_argument("--max-kl", type=float, default=default.MAX_KL, help="nats, mean (default %(default)s)")
    parser.add_argument("--min-top1", type=float, default=default.MIN_TOP1, help="share of positions (default %(default)s)")
    parser.add_argument("--store", type=Path, help="default: assistant-stack/models in $XDG_CACHE_HOME or ~/.cache")
    parser.add_argument("--link", type=_link, metavar="NAME", help="point the symbolic link NAME in the store at the model")
    parser.add_argument(
        "--publish", metavar="s3://BUCKET/PREFIX", help="have it there for `python -m app.models.pull`; --store is then scratch"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the result there too, at most 4096 bytes of JSON")
    parser.add_argument(
        "--verify", action="store_true", help="compare the full digests of a model that is in the store already"
    )
    options = parser.parse_args(arguments)
    if options.publish and options.link:
        parser.error("--link is a name in the store, and --publish a place that needs none: give one of the two")
    return options


def _link(name: str) -> str:
    if not LINK.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{name!r}: a file name of letters, digits and . _ - is allowed, and no digest")
    return name


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds the stack, so that the scratch directory is removed; after SIGKILL the next conversion removes it."""
    print("terminated; nothing was published", file=sys.stderr)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
