"""Names of AWS' things: ``assistant-<stack>-<what>``, each within what its service takes."""

from __future__ import annotations

import hashlib

from infra.kubernetes.names import APPLICATION

# The longest that each takes, from the services' own references.
LOAD_BALANCER = 32  # and target groups
ROLE = 64
BUCKET = 63
MEMORYDB = 40
EKS_NODE_GROUP_PREFIX = 37  # of 63; the provider adds the rest
DIGEST = 6  # hexadecimal digits in place of what was cut


def physical(stack: str, *words: str, longest: int) -> str:
    """The words joined by dashes; what is longer is cut, and a digest of the whole takes the cut part's place. Pure."""
    whole = "-".join((APPLICATION, stack, *words)).lower().replace("_", "-").replace(".", "-")
    if len(whole) <= longest:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:DIGEST]
    return f"{whole[: longest - DIGEST - 1].rstrip('-')}-{digest}"


def log_group(stack: str, *words: str) -> str:
    return "/".join(("", APPLICATION, stack, *words))


def secret_name(stack: str, name: str) -> str:
    """In Secrets Manager. `make secrets` looks for this."""
    return f"{APPLICATION}/{stack}/{name}"


def emf_namespace(stack: str) -> str:
    """CloudWatch's namespace of the application's own metrics."""
    return f"{APPLICATION.capitalize()}/{stack}"
