"""Which environment variables hold a secret, and which name the file of one."""

from __future__ import annotations

from typing import Final

from policies.secret_scanning import names_a_secret

FILE_SUFFIX: Final = "_FILE"
# Variables that name a private file without the suffix.
PRIVATE_FILES: Final = frozenset({"TLS_PRIVATE_KEY"})


def holds_a_secret(name: str) -> bool:
    return name not in PRIVATE_FILES and names_a_secret(name)


def names_a_file(name: str) -> bool:
    return name in PRIVATE_FILES or (name.endswith(FILE_SUFFIX) and names_a_secret(name.removesuffix(FILE_SUFFIX)))
