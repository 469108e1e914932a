"""Stacks rendered in full, for another tool to look at: the pack's record of an `up` on stand-ins, with every value known.

``python tests/peers/rendered.py FOLDER`` writes ``prod.json`` and ``serverless.json``, for which AWS is played as in
``make test-cloud``, and ``cluster.json``, a preview: an `up` would build images. The pack advises, so that a finding does not
hide what comes after it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), *(str(CHECKOUT / "tests" / folder) for folder in ("", "infra", "cloud", "providers", "stack"))]

import yaml  # noqa: E402
from conftest import Aws  # noqa: E402
from ecs_stand_in import converts, ecs_stand_in, pointer  # noqa: E402

from policies import record  # noqa: E402
from tools.aws.standins import on_standins, throwaway  # noqa: E402
from tools.pulumi.environment import engine_environment, with_folders  # noqa: E402
from tools.stack.engine import POLICY_PACK, Engine, EngineError  # noqa: E402

ON_AWS = ("prod", "serverless")
RECORDED = CHECKOUT / "tests" / "providers" / "recorded"
NOWHERE = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "nowhere",
    "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
    "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "nobody", "user": {"token": "none"}}],
}


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for stack in ON_AWS:
            with stand_ins(stack) as engine:
                _run(engine, folder, "up", "--yes", "--skip-preview")
        with kubernetes_nowhere("cluster") as engine:
            _run(engine, folder, "preview")
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(engine: Engine, folder: Path, *command: str) -> None:
    levels = engine.checkout / "levels.json"
    levels.write_text(json.dumps({"all": "advisory"}), encoding="utf-8")
    written = folder.resolve() / f"{engine.stack}.json"
    written.unlink(missing_ok=True)
    print(f"{engine.stack}: {command[0]} on stand-ins", flush=True)
    engine = _with(engine, {record.VARIABLE: str(written)})
    engine.read(*command, "--policy-pack", POLICY_PACK, "--policy-pack-config", str(levels))


@contextlib.contextmanager
def stand_ins(stack: str) -> Iterator[Engine]:
    """An engine on which an `up` of a stack on AWS comes to its end."""
    from moto.server import ThreadedMotoServer  # takes seconds to import

    logging.getLogger("werkzeug").setLevel(logging.ERROR)

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    aws = Aws(f"http://{host}:{port}")
    try:
        with _copy(stack) as engine, ecs_stand_in() as ecs:
            converts(ecs, aws.client("s3"))
            published = engine.checkout / "manifest.json"
            published.write_bytes(pointer())
            own = {name: value for name, value in aws.environment.items() if name not in ("PATH", "AWS_DEFAULT_REGION")}
            yield _with(
                engine,
                {
                    **own,
                    "PATH": with_folders(engine.environment["PATH"], [RECORDED]),
                    "ASSISTANT_AWS_MIRROR": aws.url,
                    "AWS_ENDPOINT_URL_ECS": ecs.url,
                    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": ecs.url,
                    "ASSISTANT_KUBERNETES_WORLD": str(engine.checkout / "objects.json"),
                    "ASSISTANT_KUBERNETES_PUBLISHES": str(published),
                },
            )
    finally:
        server.stop()


@contextlib.contextmanager
def kubernetes_nowhere(stack: str) -> Iterator[Engine]:
    """An engine for the preview of a stack in a cluster that nobody can reach."""
    with _copy(stack) as engine:
        kubeconfig = engine.checkout / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(NOWHERE), encoding="utf-8")
        yield _with(engine, {"KUBECONFIG": str(kubeconfig)})


@contextlib.contextmanager
def _copy(stack: str) -> Iterator[Engine]:
    """The stack as its tracked example has it, whatever this checkout's own configuration says."""
    environment = engine_environment(CHECKOUT, environment=os.environ, stack=stack)
    engine = Engine(checkout=CHECKOUT, stack=stack, environment=environment)
    with throwaway(engine) as copy, tempfile.TemporaryDirectory(prefix="assistant-home-") as home:
        copy.configuration.write_bytes(engine.example.read_bytes())
        prepared = on_standins(copy, CHECKOUT)
        # The plugins' place is in HOME; nothing else of it is anybody's business here.
        prepared = _with(prepared, {"PULUMI_HOME": str(Path(home) / "pulumi")})
        prepared.prepare()
        yield prepared


def _with(engine: Engine, more: Mapping[str, Any]) -> Engine:
    return dataclasses.replace(engine, environment={**engine.environment, **more})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/peers/rendered.py FOLDER")
    sys.exit(main(Path(sys.argv[1])))
