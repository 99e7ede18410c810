"""Admission: a permit or an immediate 429, so that a queue never grows until everything in it is late."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from app.problems import RETRY_SECONDS, problem

FREE = ("/health/", "/metrics")


class Admission:
    """Lets a bounded number of requests be under way at once; health and metrics always get through."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith(FREE):
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most:
            detail = f"{self._most} requests are under way in this worker (LIVEREC_MAX_CONCURRENCY); try again"
            response = problem(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": RETRY_SECONDS})
            await response(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1
