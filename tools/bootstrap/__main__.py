"""`python3 tools/bootstrap/__main__.py`: the set-up that `make` calls before everything else.

This file and prerequisites.py are read by Pythons that are too old for the rest (3.8 and newer), so that these can say so.
"""

import os
import sys

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120


def main():  # type: () -> int
    # Called as a script, Python puts this folder first on its path; the checkout belongs there.
    sys.path[0] = CHECKOUT
    if sys.version_info >= (3, 11):  # noqa: UP036 - an older one reads this file too
        from tools.bootstrap import fingerprint

        if fingerprint.up_to_date(CHECKOUT, sys.argv[1:]):  # nearly always: what follows costs more than looking
            return 0
    from tools.bootstrap import prerequisites

    newer = prerequisites.newer_python(sys.version_info[:2], os.environ)
    if newer:
        os.execv(newer, [newer, os.path.abspath(__file__)] + sys.argv[1:])  # noqa: S606, PTH100, RUF005
    missing = prerequisites.check(prerequisites.look_around())
    if missing:
        sys.stderr.write(missing)
        return 1

    from tools.bootstrap import setup

    return setup.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
