"""``python -m tools.compose up|down``: the assistant on this machine, in containers.

``up`` builds the images that are missing, makes the secrets that are missing, starts everything and waits until it answers.
Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import ssl
import sys
import time
from pathlib import Path

from tools.cache import cache_root
from tools.compose import credentials
from tools.compose.project import Project
from tools.images import build, engine, inputs, secrets
from tools.images.errors import ImageError

CHECKOUT = Path(__file__).resolve().parents[2]
ENVIRONMENT_FILE = CHECKOUT / "app" / ".env"
SECRETS = CHECKOUT / ".state" / "compose"
# The variable of app/compose.yaml that takes the image of a target.
VARIABLES = {
    "gateway": "GATEWAY_IMAGE",
    "inference-cpu": "INFERENCE_IMAGE",
    "redis": "REDIS_IMAGE",
    "reverse-proxy": "REVERSE_PROXY_IMAGE",
}
# Given to `up` in the environment (make compose-up HTTPS_PORT=9443), they are kept in app/.env for what comes after.
KEPT = ("HTTPS_PORT", "HTTP_PORT", "BIND_ADDRESS", "SERVER_NAME", "CERTIFICATE_DIRECTORY", "EXTRA_CA")
READY_SECONDS = 120.0


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        if options.command == "up":
            _up()
        else:
            _down(volumes=options.volumes)
    except ImageError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; `make compose-down` removes what was started", file=sys.stderr)
        return 130
    return 0


def _up() -> None:
    images = {VARIABLES[target]: build.build(target, CHECKOUT, _say).reference for target in inputs.DEFAULT_TARGETS}
    credentials.ensure(SECRETS)
    bundle = secrets.bundle(os.environ)
    given = {"EXTRA_CA": str(bundle)} if bundle else {}
    given |= {name: os.environ[name] for name in KEPT if os.environ.get(name)}
    values = credentials.ensure_environment(ENVIRONMENT_FILE, {**given, **images})
    _say("starting; the first time the model is fetched, converted and measured, which takes one to three minutes")
    project(values).up(_say)
    port = int(values.get("HTTPS_PORT", "8443"))
    await_ready(port, READY_SECONDS)
    key = SECRETS / "gateway_api_key"
    body = json.dumps({"question": "What is the capital of France?"})
    print(
        f"\nThe assistant answers at https://localhost:{port}, with a certificate of its own making. Ask it:\n\n"
        f"  curl --insecure https://localhost:{port}/api/v1/answer -H 'Content-Type: application/json' \\\n"
        f"    -H \"Authorization: Bearer $(cat {key.relative_to(CHECKOUT)})\" -d '{body}'\n"
    )


def _down(*, volumes: bool) -> None:
    if not ENVIRONMENT_FILE.exists():
        print("nothing was started from this checkout")
        return
    values = credentials.parse(ENVIRONMENT_FILE.read_text(encoding="utf-8"))
    project(values).down(volumes=volumes)
    print("stopped and removed" + ("" if volumes else "; the model, the queue and the certificate stay in their volumes"))


def project(values: dict[str, str]) -> Project:
    log = cache_root(os.environ) / "images" / "logs" / "compose.log"
    return Project(engine.find(), CHECKOUT, "assistant", ENVIRONMENT_FILE, bool(values.get("EXTRA_CA")), log)


def await_ready(port: int, seconds: float) -> None:
    """Wait until gateway and model answer through the reverse proxy. Raises :class:`ImageError`."""
    deadline, said = time.monotonic() + seconds, "nothing listens"
    while time.monotonic() < deadline:
        try:
            status, body = _get(port)
        except (OSError, http.client.HTTPException) as error:
            said = str(error) or type(error).__name__
        else:
            if status == 200 and '"inference":"ready"' in body.replace(" ", ""):
                return
            said = f"{status} {body[:200]}"
        time.sleep(0.5)
    raise ImageError(f"https://localhost:{port}/readyz did not become ready in {seconds:.0f} s: {said}")


def _get(port: int) -> tuple[int, str]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # self-signed, on this machine
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=3, context=context)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.compose", description="The assistant on this machine, in containers."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="build what is missing, start, wait until it answers")
    down = commands.add_parser("down", help="stop and remove the containers and networks")
    down.add_argument("--volumes", action="store_true", help="and the model, the queue and the certificate")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
