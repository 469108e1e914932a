"""``python -m infra.aws.ecs_task_guard REGION PROFILE CLUSTER TASK``: stops TASK when whoever started this has died.

A provider that is killed stops nothing, and the task would go on and cost money. But the kernel closes its pipes: the end of
standard input without a word before it means that nobody waits any more.
"""

from __future__ import annotations

import sys

DISMISSED = b"done\n"


def main(arguments: list[str]) -> int:
    region, profile, cluster, task = arguments
    if sys.stdin.buffer.read() == DISMISSED:
        return 0
    from infra.aws.session import client, session

    client(session(region, profile or None), "ecs").stop_task(cluster=cluster, task=task, reason="pulumi up was interrupted")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
