"""``python launch.py PROGRAM.json``: becomes the program that the file describes.

supervisord would pass its own environment on and would read arguments and values through two rounds of quoting; here a
process gets exactly what is written. Standard library only, and run as a file with ``-I -S``: it starts in milliseconds.
"""

from __future__ import annotations

import json
import os
import sys

UMASK = 0o077


def main(file: str) -> None:
    """Replace this process. ``{"command": [absolute path, …], "environment": {…}, "directory": …}``."""
    with open(file, encoding="utf-8") as stream:  # noqa: PTH123 - pathlib costs as much as all the rest
        program = json.load(stream)
    os.umask(UMASK)
    os.chdir(program["directory"])
    os.execve(program["command"][0], program["command"], program["environment"])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1])
