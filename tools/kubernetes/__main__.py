"""`python -m tools.kubernetes`: bring up a Kubernetes cluster on this machine, or take the one that is there; remove it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.kubernetes import lifecycle, packages
from tools.kubernetes.cluster import load
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.host import TIERS


def report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m tools.kubernetes", description=__doc__)
    commands = result.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring a cluster up, or mend it")
    up.add_argument("--context", help="take the cluster that this kube-context names; nothing is started")
    up.add_argument("--tier", choices=TIERS, help="a cluster of our own: with a node, or an API server alone (needs no root)")
    up.add_argument(
        "--addons",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="metrics-server, KEDA and network policies; by default where `up` makes the cluster",
    )
    commands.add_parser("down", help="remove what `up` made, all of it")
    commands.add_parser("status", help="say what runs; exit code 1 if the cluster is not whole")
    loading = commands.add_parser("load", help="hand an image archive to the cluster's nodes")
    loading.add_argument("archive", type=Path)
    return result


def main(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    os.environ["PATH"] = packages.search_path(os.environ)
    try:
        match options.command:
            case "up":
                lifecycle.up(report, context=options.context, tier=options.tier, addons=options.addons)
            case "down":
                return 0 if lifecycle.down(report) else 1
            case "status":
                return 0 if lifecycle.status(print) else 1
            case _:
                load(options.archive, report=report)
    except ClusterError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here, and `down` removes what there is", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
