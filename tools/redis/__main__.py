"""`python -m tools.redis`: find a Redis server or unpack one, print its path."""

from __future__ import annotations

import os
import sys

from tools.redis import debian
from tools.redis.server import MissingRedisError, locate


def main() -> int:
    found = locate(os.environ)
    if found is None:
        try:
            debian.install(os.environ, lambda line: print(line, file=sys.stderr, flush=True))
        except MissingRedisError as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
        found = locate(os.environ)
    if found is None:
        print("\nA Redis was unpacked, but is not found again; look at TMPDIR and XDG_CACHE_HOME.", file=sys.stderr)
        return 1
    print(found.description, file=sys.stderr)
    print(found.path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
