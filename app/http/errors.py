"""One error body for every HTTP surface: ``{"error": {"message", "type", "code", "param"}}``, the OpenAI API's form.

Code that refuses a request raises :class:`ApiError`; :func:`install` renders it, and renders Starlette's own refusals (no
such route, method not allowed, validation) and unforeseen failures in the same form, so that a caller parses one shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
CODES = {404: "not_found", 405: "method_not_allowed"}


class ApiError(Exception):
    """A request is refused or fails: what the caller is told.

    ``status`` is the HTTP status, ``code`` a stable word a program can act on, ``message`` a sentence for a person that says
    what came, what is allowed and what to do, ``param`` the field at fault. ``retry_after`` (seconds) becomes the header
    ``Retry-After``. The message must hold no secret and no text of a conversation.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))


def error_body(status: int, code: str, message: str, param: str | None = None) -> dict[str, dict[str, str | None]]:
    """The body alone, for places without a framework (a protocol-level refusal, an event of a stream)."""
    kind = TYPES.get(status) or ("server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


def render(error: ApiError) -> JSONResponse:
    return JSONResponse(error_body(error.status, error.code, error.message, error.param), error.status, error.headers)


def install(app: FastAPI) -> None:
    """Let ``app`` answer every refusal and failure with the one error body."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(Exception, _unforeseen)


async def _api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 (registered for this type alone)
    return render(error)


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    status = error.status_code
    code = CODES.get(status) or HTTPStatus(status).name.lower()
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    return render(ApiError(status, code, message, headers=error.headers))


async def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path", "header"))
    return render(ApiError(400, "invalid_value", f"{param or 'request'}: {first['msg']}", param=param or None))


async def _unforeseen(_request: Request, _error: Exception) -> JSONResponse:
    # The traceback goes to the log (uvicorn logs what is raised past the application), never to the caller.
    return render(unforeseen())


def unforeseen() -> ApiError:
    return ApiError(500, "internal_error", "the server failed on this request; the operator's log has the cause")
