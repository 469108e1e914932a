"""``python -m app.aws.deliver``: fetch this workload's secrets from Secrets Manager into files that only it can read.

As it stands it is an init container (EKS); with ``-- command …`` it then becomes that command (Fargate), in an environment
without ``SECRET_IDS``: a JSON object, file name to secret id or ARN. The files appear in ``SECRETS_DIRECTORY``, which should be
in memory. A secret is created empty and gets its value later, so a missing value is waited for. Exit status: 0 done, 1 not
delivered, 2 wrong usage, 127 the command cannot be run, 143 terminated; no value is ever printed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import NoReturn

from app.aws.secret_reader import Denied, NotYet, Reader

DIRECTORY = "/run/secrets/assistant"
MODE = 0o440
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 10.0
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
FAILED, USAGE, NO_COMMAND = 1, 2, 127

Report = Callable[[str], None]


class UsageError(Exception):
    """SECRET_IDS does not say what to fetch; the message is for who wrote it."""


class NotDeliveredError(Exception):
    """A secret could not be had or written; the message names it and what to do."""


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    # The first process of a container gets no default action for a signal: without a handler it would wait on.
    signal.signal(signal.SIGTERM, _terminate)
    directory = Path(os.environ.get("SECRETS_DIRECTORY", DIRECTORY))
    try:
        wanted = parse(os.environ.get("SECRET_IDS"))
        if not in_memory(directory, Path("/proc/mounts")):
            _say(f"warning: {directory} is no tmpfs: the secrets will lie on a disk")
        deliver(wanted, directory, Reader(), options.seconds, _say)
    except UsageError as error:
        _say(str(error))
        return USAGE
    except NotDeliveredError as error:
        _say(str(error))
        return FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return _become(options.command) if options.command else 0


def parse(text: str | None) -> dict[str, str]:
    """Secret ids by file name. Raises :class:`UsageError`."""
    allowed = 'a JSON object, file name to secret id or ARN, is needed: {"api_key": "assistant/prod/api_key"}'
    if text is None:
        raise UsageError(f"SECRET_IDS is not set: {allowed}")
    try:
        found = json.loads(text)
    except ValueError:
        raise UsageError(f"SECRET_IDS is no JSON: {allowed}") from None
    if not isinstance(found, dict) or not found or not all(isinstance(value, str) and value for value in found.values()):
        raise UsageError(f"SECRET_IDS is JSON of another form: {allowed}")
    if wrong := [name for name in found if not NAME.fullmatch(name)]:
        raise UsageError(f"SECRET_IDS: {wrong[0]!r} is no plain file name (letters, digits and . _ - are allowed)")
    return found


def deliver(wanted: Mapping[str, str], directory: Path, reader: Reader, seconds: float, report: Report) -> None:
    """Write every secret of ``wanted``, waiting up to ``seconds`` for all. Raises :class:`NotDeliveredError`."""
    deadline = time.monotonic() + seconds
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        for name, secret in wanted.items():
            write(directory / name, _await(secret, reader, deadline, seconds, report))
    except OSError as error:
        raise NotDeliveredError(f"{error.filename or directory} cannot be written: {error.strerror}") from None
    report(f"{len(wanted)} secrets are in {directory}")


def _await(secret: str, reader: Reader, deadline: float, seconds: float, report: Report) -> bytes:
    pause, told = FIRST_PAUSE_SECONDS, ""
    while True:
        try:
            return reader.read(secret)
        except Denied as error:
            raise NotDeliveredError(str(error)) from None
        except NotYet as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotDeliveredError(f"{error}; given up after {seconds:g} seconds") from None
            if str(error) != told:
                told = str(error)
                report(f"{told}; trying again for {left:.0f} seconds")
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def write(path: Path, value: bytes) -> None:
    """``path`` appears whole, or with its new value, in one step, and was never readable by others."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), MODE)  # whatever the umask
            file.write(value)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def in_memory(directory: Path, mounts: Path) -> bool:
    """Whether ``directory`` is, or will be made, on a tmpfs. True where nobody can tell."""
    try:
        lines = [line.split() for line in mounts.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return True
    path = directory.absolute()
    found = [(Path(point), kind) for _, point, kind, *_ in lines if path.is_relative_to(point)]
    return max(found, key=lambda mount: len(mount[0].parts))[1] in ("tmpfs", "ramfs") if found else True


def _become(command: list[str]) -> int:
    environment = {name: value for name, value in os.environ.items() if name != "SECRET_IDS"}
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 the entry point's own command
    except OSError as error:
        _say(f"{command[0]} cannot be run: {error.strerror}")
        return NO_COMMAND


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m app.aws.deliver",
        description="Fetch the secrets that SECRET_IDS names into files; then become a command.",
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="how long values are waited for (default %(default)g)")
    parser.add_argument("command", nargs="*", help="after --: what to run then, in place of this process")
    options = parser.parse_args(arguments)
    if not 0 <= options.seconds <= 24 * 3600:
        parser.error(f"--seconds {options.seconds}: from 0 to {24 * 3600}")
    return options


def _say(line: str) -> None:
    print(f"deliver: {line}", file=sys.stderr, flush=True)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
