"""Admission: a permit or an immediate 429, so that a queue never grows until everything in it is late."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access import ScopeTable
from app.permits import Permits
from app.problems import RETRY_SECONDS, problem

BATCH = "/recommend/batch"


class Admission:
    """Lets a bounded number of requests be under way at once; health, metrics and documentation always get through."""

    def __init__(self, app: ASGIApp, permits: Permits, table: ScopeTable) -> None:
        self._app = app
        self._permits = permits
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or self._table.is_free(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        permits, is_patient = self._permits, waits_for_turns(scope["path"])
        if not permits.has_room(is_patient=is_patient):
            await crowded(permits)(scope, receive, send)
            return
        permits.take(is_patient=is_patient)
        try:
            await self._app(scope, receive, send)
        finally:
            permits.give(is_patient=is_patient)


def waits_for_turns(path: str) -> bool:
    """Return whether a request leaves the processor to others again and again: a batch does."""
    return path == BATCH


def crowded(permits: Permits) -> Response:
    """Return the answer to a request for which there is no permit."""
    why = "LIVEREC_MAX_CONCURRENCY" if permits.limit == permits.most else "no more are done in LIVEREC_MAX_WAIT_MS"
    detail = f"{permits.limit} requests are under way in this worker ({why}); try again"
    return problem(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": RETRY_SECONDS})
