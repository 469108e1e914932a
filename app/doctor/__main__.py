"""``python -m app.doctor``: look at the process beside which it stands, with that process's environment.

Exit status: 0 all is well (notes included), 1 warnings, 2 something is broken, 3 the doctor itself could not look.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping

from app.doctor.examine import CHECKS, NAMES, examine
from app.doctor.finding import exit_status
from app.doctor.place import SERVICES, place_of, service_in
from app.doctor.report import as_json, as_text

UNABLE = 3


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    options = _options(arguments)
    if options.list:
        print("\n".join(f"{check.name:<12}{check.about} ({', '.join(check.of)})" for check in CHECKS))
        return 0
    service = options.service or service_in(environment)
    if service is None:
        print(
            "doctor: no process of the assistant has this environment: it names no model, no inference key, no transport's "
            f"token. Run it in the process's own place, or say --service {'|'.join(SERVICES)}",
            file=sys.stderr,
        )
        return UNABLE
    place = place_of(service, environment)
    try:
        examined = asyncio.run(examine(place, tuple(options.only), options.name, alone=options.alone))
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return UNABLE
    print(as_json([examined]) if options.json else as_text([examined], everything=options.all))
    return exit_status([examined])


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m app.doctor", description="What is wrong with this process, and what to do."
    )
    parser.add_argument("--service", choices=SERVICES, help="whose place this is (default: told by the settings)")
    parser.add_argument(
        "--only", action="append", choices=NAMES, default=[], metavar="CHECK", help="this check; may be repeated"
    )
    parser.add_argument(
        "--alone", action="store_true", help="the process is not here (a task of the doctor's own): ask it nothing"
    )
    parser.add_argument("--all", action="store_true", help="what is well too, with its evidence")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--list", action="store_true", help="the checks, and in which places each looks")
    parser.add_argument("--name", default="", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
