"""``python -m tools.images build|engine|list|sbom|save``: the images of the assistant (docs/images.md).

Progress goes to standard error, the result to standard output. Exit status: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tools.images import build, engine, inputs, installation
from tools.images.errors import ImageError
from tools.images.sbom import extract

CHECKOUT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        if options.command == "build":
            _build(options.target or list(inputs.DEFAULT_TARGETS), options.registry, fresh=options.fresh)
        elif options.command == "engine":
            found = installation.ensure(os.environ, _report) if options.install else engine.find(os.environ)
            print(f"images are built with {found.kind}")
        elif options.command == "list":
            _list()
        else:
            (built,) = _have([options.target], fresh=False)
            if options.command == "sbom":
                print(extract(engine.find(), built.reference))
            else:
                build.archive(built, options.archive)
    except ImageError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _have(targets: list[str], *, fresh: bool) -> list[build.Built]:
    return [build.build(target, CHECKOUT, _report, fresh=fresh) for target in targets]


def _build(targets: list[str], registry: str | None, *, fresh: bool) -> None:
    result = {}
    for built in _have(targets, fresh=fresh):
        result[built.target] = {"reference": built.reference, "digest": built.digest, "bytes": built.size}
        if registry:
            result[built.target]["pushed"] = build.push(built, registry)
    print(json.dumps(result))


def _list() -> None:
    container_engine = engine.find()
    for target in inputs.TARGETS:
        name = inputs.reference(target, CHECKOUT)
        found = container_engine.inspect(name)
        state = f"{int(found['Size']) / 1e6:6.0f} MB" if found else "not built"
        print(f"{state:>9}  {name}")


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.images", description="The images of the assistant.")
    commands = parser.add_subparsers(dest="command", required=True)
    names = tuple(inputs.TARGETS)
    build_command = commands.add_parser("build", help="build what the engine does not have; the result is one line of JSON")
    build_command.add_argument("--target", action="append", choices=names, help=f"default: {' '.join(inputs.DEFAULT_TARGETS)}")
    build_command.add_argument("--registry", help="push there as well: host[:port][/path]")
    build_command.add_argument(
        "--fresh", action="store_true", help="build anew without any cache, for Debian's newest packages"
    )
    engine_command = commands.add_parser("engine", help="the container engine that is used")
    engine_command.add_argument("--install", action="store_true", help="where none runs: podman, with apt-get (root)")
    commands.add_parser("list", help="the images of this checkout, and whether the engine has them")
    sbom_command = commands.add_parser("sbom", help="an image's bill of materials, CycloneDX as JSON")
    sbom_command.add_argument("target", choices=names)
    save_command = commands.add_parser("save", help="an image as a docker-archive tar")
    save_command.add_argument("target", choices=names)
    save_command.add_argument("archive", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
