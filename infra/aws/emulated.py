"""How what the stack runs signs in where an emulator stands in AWS' place (the setting ``aws.endpointUrl``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# As pods and tasks sign in to AWS itself: by a role and a token that lies in a file. An emulator looks at neither, so any file
# serves; a key in the environment would serve too, and be what the policies forbid.
CREDENTIALS: Final[Mapping[str, str]] = {
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/emulated",
    "AWS_ROLE_SESSION_NAME": "emulated",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/etc/os-release",
}


def environment(endpoint_url: str | None) -> dict[str, str]:
    """Empty where AWS itself is asked."""
    return {"AWS_ENDPOINT_URL": endpoint_url, **CREDENTIALS} if endpoint_url else {}
