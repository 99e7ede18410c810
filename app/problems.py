"""Problems: every failure as application/problem+json (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from reprlib import Repr

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from engine.errors import (
    ConflictError,
    DataError,
    FullError,
    LiverecError,
    NotFoundError,
    QueryError,
    StoreError,
    UnreadyError,
    UnsupportedError,
)

MEDIA_TYPE = "application/problem+json"
PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
RETRY_SECONDS = "1"
MOST_ERRORS = 10_000
MOST_SHOWN = 100
STATUS: dict[type[LiverecError], HTTPStatus] = {
    QueryError: HTTPStatus.UNPROCESSABLE_ENTITY,
    DataError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    UnsupportedError: HTTPStatus.CONFLICT,
    FullError: HTTPStatus.INSUFFICIENT_STORAGE,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    UnreadyError: HTTPStatus.SERVICE_UNAVAILABLE,
}


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **members: object) -> Response:
    """Return a problem document; `members` join type, title, status and detail."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": int(status), "detail": detail, **members}
    encoded = json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace")
    return Response(encoded, status, headers, MEDIA_TYPE)


def body_problem(error: ValidationError) -> Response:
    """Return a 422 for a body that a model refused."""
    if (count := error.error_count()) > MOST_ERRORS:
        # Merely to list them would take seconds.
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"body: {count} errors; send less at once to see which")
    return validation_problem(error.errors(include_url=False, include_context=False))


def validation_problem(errors: list[ErrorDetails]) -> Response:
    """Return a 422 that names each wrong field and its value."""
    fields = _fields(errors)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, _detail(fields), errors=fields)


def validation_detail(error: ValidationError) -> str:
    """Return in a line what a model refused."""
    return _detail(_fields(error.errors(include_url=False, include_context=False)))


def problem_of(error: LiverecError | RequestValidationError) -> Response:
    """Return what answers a request that failed."""
    if isinstance(error, RequestValidationError):
        return validation_problem(list(error.errors()))
    status = STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {"Retry-After": RETRY_SECONDS} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem(status, str(error), headers, **error.members)


def install_problems(app: FastAPI) -> None:
    """Make every error of the app a problem document."""
    app.exception_handler(LiverecError)(_foreseen)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)


def _fields(errors: list[ErrorDetails]) -> list[dict[str, str]]:
    return [
        {
            "field": ".".join(str(part) for part in error["loc"]) or "body",
            "message": error["msg"].removeprefix("Value error, "),
            "value": _shown(error.get("input")),
        }
        for error in errors[:20]
    ]


def _detail(fields: list[dict[str, str]]) -> str:
    return "; ".join(f"{field['field']}: {field['message']} (got {field['value']})" for field in fields[:3])


def _shown(value: object) -> str:
    # The whole of a large value takes seconds to write out.
    short = Repr()
    short.maxstring = short.maxother = MOST_SHOWN
    return short.repr(value)[:MOST_SHOWN]


async def _foreseen(_request: Request, error: LiverecError) -> Response:
    return problem_of(error)


async def _invalid(_request: Request, error: RequestValidationError) -> Response:
    return problem_of(error)


async def _http(request: Request, error: HTTPException) -> Response:
    if isinstance(error.__cause__, UnicodeDecodeError | RecursionError):
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"body: it cannot be read as JSON in UTF-8 ({error.__cause__})")
    return problem(error.status_code, f"{request.method} {request.url.path}: {error.detail}", error.headers)
