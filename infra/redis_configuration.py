"""Redis as the stacks run it: a password, every acknowledged write on the disk, nothing evicted. Pure."""

from __future__ import annotations

from pathlib import Path

CONFIGURATION_FILE = "redis.conf"
ACCESS_FILE = "users.acl"
MAX_MEMORY = "1gb"


def configuration_text(
    *, port: int, directory: Path, bind: str = "127.0.0.1", max_memory: str = MAX_MEMORY, access_file: Path | None = None
) -> str:
    """``redis.conf``; see https://redis.io/docs/latest/operate/oss_and_stack/management/config/ for each word."""
    lines = [
        f"port {port}",
        f"bind {bind}",
        "protected-mode yes",
        "daemonize no",
        # Redis writes its title over its environment, where the stack's marker stands by which it is known again.
        "set-proc-title no",
        f"dir {_quoted(directory)}",
        f"aclfile {_quoted(access_file or directory / ACCESS_FILE)}",
        # The gateway answers 200 once an event is here: it must survive a power cut.
        "appendonly yes",
        "appendfsync always",
        'save ""',
        # Events are not a cache: nothing is evicted. Full, it refuses new events and goes on with those it has; without a
        # bound the kernel would end it instead.
        f"maxmemory {max_memory}",
        "maxmemory-policy noeviction",
        "loglevel notice",
        'logfile ""',
    ]
    return "\n".join(lines) + "\n"


def access_text(password_digest: str) -> str:
    """The ACL file: one user, whose password stands there as its SHA-256 (which is how Redis keeps it as well)."""
    return f"user default on sanitize-payload #{password_digest} ~* &* +@all\n"


def _quoted(path: Path) -> str:
    """A word of redis.conf: in double quotes, where a backslash escapes."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
