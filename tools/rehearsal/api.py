"""``python -m tools.rehearsal.api -H ADDRESS -p PORT``: AWS' APIs by moto, in which a secret is also found by the ARN that the
stand-in for its resource gave it: AWS' own has six letters at its end, drawn at random, and so has each of the two."""

from __future__ import annotations

import re
import sys

DRAWN = re.compile(r"-[A-Za-z0-9]{6}$")


def name_in(arn: str) -> str:
    """``arn:aws:secretsmanager:…:secret:<name>-1a2b3c`` -> name; what is no ARN is one. Pure."""
    return DRAWN.sub("", arn.rpartition(":secret:")[2]) if arn.startswith("arn:") else arn


def main(arguments: list[str]) -> None:
    from moto.secretsmanager import models
    from moto.server import main as serve

    models.__dict__["get_secret_name_from_partial_arn"] = name_in
    serve(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
