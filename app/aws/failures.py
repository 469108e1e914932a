"""Which answers of AWS pass by themselves, in the words of its error codes."""

from __future__ import annotations

from typing import Literal

# Too many ask, the service has an ill moment, a role is too new to be known everywhere.
PASSING = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "InternalServiceError"}
    | {"InternalServiceErrorException", "ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout"}
    | {"UnrecognizedClientException", "InvalidClientTokenId", "ExpiredTokenException", "SlowDown", "InternalError"}
    | {"InvalidAccessKeyId", "ExpiredToken", "OperationAborted"}
)
DENIED = frozenset({"AccessDeniedException", "AccessDenied", "DecryptionFailure"})

Kind = Literal["passing", "denied", "final"]


def kind_of(code: str, status: int) -> Kind:
    """``code``: of the error; ``status``: of the HTTP answer, 0 if unknown. A code that nobody knows is not waited out."""
    if code in PASSING or status >= 500:
        return "passing"
    return "denied" if code in DENIED or status == 403 else "final"
