"""See README.md."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0:1] = [str(HERE.parents[1] / "infra")]

from ecs_stand_in import converts, ecs_stand_in, pointer  # noqa: E402

PERMISSION = "ASSISTANT_TEST_PROVIDERS"
REGION = "us-east-1"  # where everything is listed, whichever region it is in


def main(folder: Path) -> None:
    # Both take a second to import, which whoever is refused need not wait for.
    import boto3
    from moto.secretsmanager import models
    from moto.server import ThreadedMotoServer

    from tools.rehearsal.api import name_in

    models.__dict__["get_secret_name_from_partial_arn"] = name_in
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url, manifest = f"http://{host}:{port}", folder / "manifest.json"
    manifest.write_bytes(pointer())
    keys = {"aws_access_key_id": "stand-in", "aws_secret_access_key": "stand-in"}
    with ecs_stand_in() as ecs:
        converts(ecs, boto3.client("s3", endpoint_url=url, region_name=REGION, **keys))
        environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ENDPOINT_URL_ECS": ecs.url,
            "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": ecs.url,
            "ASSISTANT_AWS_MIRROR": url,
            "ASSISTANT_KUBERNETES_PUBLISHES": str(manifest),
        }
        print(json.dumps(environment), flush=True)
        sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    if os.environ.get(PERMISSION) != "1":
        sys.exit(f"This plays an AWS account for tests and reviews; it runs where {PERMISSION}=1 says that it is meant.")
    main(Path(sys.argv[1]))
