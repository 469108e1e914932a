"""What the engine runs: `pulumi … --policy-pack policies`. Builds the analyzer and serves it."""

import sys
from pathlib import Path

# Run as a folder, its modules would stand first on the path, and `resource` would hide the standard library's: put the
# checkout there instead, so that `policies.…` is the package beside this file.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import contextlib  # noqa: E402
import threading  # noqa: E402

from policies.analyzer import Analyzer, serve  # noqa: E402
from policies.pack import NAME, policies  # noqa: E402
from policies.rules import RULES, STACK_RULES  # noqa: E402
from policies.rules.application import gateway_routes  # noqa: E402


def warm_up() -> None:
    """Import the gateway's routes while the program itself starts; the rule imports them again if this fails, and says why."""
    with contextlib.suppress(Exception):
        gateway_routes()


threading.Thread(target=warm_up, daemon=True).start()
serve(Analyzer(NAME, policies(), RULES, STACK_RULES))
