"""Problems: every failure as application/problem+json (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from engine.errors import (
    ConflictError,
    DataError,
    LiverecError,
    NotFoundError,
    QueryError,
    StoreError,
    UnsupportedError,
)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = "1"
STATUS: dict[type[LiverecError], HTTPStatus] = {
    QueryError: HTTPStatus.UNPROCESSABLE_ENTITY,
    DataError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    UnsupportedError: HTTPStatus.CONFLICT,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
}


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **members: object) -> Response:
    """Return a problem document; `members` join type, title, status and detail."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": int(status), "detail": detail, **members}
    encoded = json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace")
    return Response(encoded, status, headers, MEDIA_TYPE)


def validation_problem(errors: list[ErrorDetails]) -> Response:
    """Return a 422 that names each wrong field and its value."""
    fields = [
        {
            "field": ".".join(str(part) for part in error["loc"]) or "body",
            "message": error["msg"].removeprefix("Value error, "),
            "value": f"{error.get('input')!r:.100}",
        }
        for error in errors[:20]
    ]
    detail = "; ".join(f"{field['field']}: {field['message']} (got {field['value']})" for field in fields[:3])
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=fields)


def install_problems(app: FastAPI) -> None:
    """Make every error of the app a problem document."""
    app.exception_handler(LiverecError)(_foreseen)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)


async def _foreseen(_request: Request, error: LiverecError) -> Response:
    status = STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {"Retry-After": RETRY_SECONDS} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem(status, str(error), headers, **error.members)


async def _invalid(_request: Request, error: RequestValidationError) -> Response:
    return validation_problem(list(error.errors()))


async def _http(request: Request, error: HTTPException) -> Response:
    return problem(error.status_code, f"{request.method} {request.url.path}: {error.detail}", error.headers)
