"""Errors of the client.

LiverecClientError
  TransportError       no answer came: refused, cut off, too late
  AnswerError          an answer came that is none of liverec's
  ApiError             the service said no; `status`, `problem`
    BadRequest         400, 413, 414, 415, 422, 431: what was sent is wrong; sending it again does not help
    Denied             401, 403: the API key is missing, not good, or lacks the scope
    NotFound           404
    Conflict           409: it contradicts what is there
    TooMany            429: later, after `retry_after` seconds
    Unavailable        502, 503, 504: the same
"""

# ruff: noqa: N818

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

BAD_REQUEST = (400, 413, 414, 415, 422, 431)
UNAVAILABLE = (502, 503, 504)


class LiverecClientError(Exception):
    """The root of all errors of the client."""


class TransportError(LiverecClientError):
    """No answer came. What was asked for may have been done all the same; the same event_id asks for it once."""


class AnswerError(LiverecClientError):
    """What came cannot be read as an answer of liverec; the URL may be another service's."""


class ApiError(LiverecClientError):
    """The service said no."""

    def __init__(
        self,
        call: str,
        status: int,
        problem: Mapping[str, Any],
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        # All of them as arguments, or the error could not pass between processes.
        super().__init__(call, status, problem, retry_after, request_id)
        self.call = call
        self.status = status
        self.problem = problem
        self.retry_after = retry_after
        self.request_id = request_id

    @property
    def detail(self) -> str:
        """What is wrong, in words."""
        return str(self.problem.get("detail") or self.problem.get("title") or "no detail")

    @property
    def fields(self) -> Mapping[str, str]:
        """What is wrong with each field, where the service names fields."""
        return {str(each.get("field")): str(each.get("message")) for each in self.problem.get("errors") or ()}

    def __str__(self) -> str:
        return f"{self.call}: {self.status}: {self.detail}"


class BadRequest(ApiError):
    """What was sent is wrong or too large; nothing was written."""


class Denied(ApiError):
    """The API key is missing, not good any more, or may not do this."""


class NotFound(ApiError):
    """Nobody knows it."""


class Conflict(ApiError):
    """It contradicts what is there: an event_id that was used for something else, a bundle that cannot do it."""


class TooMany(ApiError):
    """The service has as much to do as it may."""


class Unavailable(ApiError):
    """The service, or the store behind it, cannot answer now."""


def error_class(status: int) -> type[ApiError]:
    """Return the class of an error's status."""
    if status in BAD_REQUEST:
        return BadRequest
    if status in UNAVAILABLE:
        return Unavailable
    return {401: Denied, 403: Denied, 404: NotFound, 409: Conflict, 429: TooMany}.get(status, ApiError)


def seconds_after(header: str | None) -> float | None:
    """Return what Retry-After says, a number of seconds or a date, in seconds >= 0; None if it says nothing."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
