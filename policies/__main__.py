"""What the engine runs: `pulumi … --policy-pack policies`. Builds the analyzer and serves it."""

import sys
from pathlib import Path

# Run as a folder, its modules would stand first on the path, and `resource` would hide the standard library's: put the
# checkout there instead, so that `policies.…` is the package beside this file.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import contextlib  # noqa: E402
import datetime  # noqa: E402
import os  # noqa: E402
import threading  # noqa: E402
from collections.abc import Sequence  # noqa: E402

from policies import enforcement, record, waivers  # noqa: E402
from policies.analyzer import VERSION, Analyzer, Terms, serve  # noqa: E402
from policies.evaluation import Result  # noqa: E402
from policies.pack import ALL_RULES, NAME, policies  # noqa: E402
from policies.rules.application import gateway_routes  # noqa: E402

STRICT = "ASSISTANT_POLICY_STRICT"  # "1": what is undetermined about a grave rule stops a preview too
STAND_INS = "ASSISTANT_AWS_WORLD"  # set where the tests' stand-ins answer in place of AWS


def main() -> None:
    threading.Thread(target=_warm_up, daemon=True).start()
    today = datetime.datetime.now(datetime.UTC).date()
    try:
        enforced = enforcement.read()
    except enforcement.EnforcementMistake as mistake:
        sys.exit(f"policies: {mistake}")
    register = waivers.read((rule.id for rule in ALL_RULES), today)
    terms = Terms(enforcement=enforced, register=register, strict=os.environ.get(STRICT) == "1")

    def written(seen: Sequence[record.Seen], results: Sequence[Result], dry: bool) -> None:
        if file := os.environ.get(record.VARIABLE):
            source = "preview" if dry else "update"
            run = {"source": source, "day": today.isoformat(), "version": VERSION, "stand_ins": STAND_INS in os.environ}
            record.write(record.of_run(seen, results, **run), Path(file))

    serve(Analyzer(NAME, policies(), ALL_RULES, terms, written))


def _warm_up() -> None:
    """Import the gateway's routes while the program itself starts; the rule imports them again if this fails, and says why."""
    with contextlib.suppress(Exception):
        gateway_routes()


main()
