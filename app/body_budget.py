"""BodyBudget: how much of the bodies of items a worker holds at once."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.middleware import is_of_items
from app.problems import RETRY_SECONDS, problem


class CrowdedError(Exception):
    """The bodies under way have more bytes together than they may."""


class BodyBudget:
    """Answers 429 to an item whose body does not fit beside those under way; one alone always fits.

    Ratings pass, and requests without a body.

    Plain ASGI, around what reads the body and holds it until the answer is sent.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not is_of_items(scope["path"]):
            await self._app(scope, receive, send)
            return
        own = 0

        async def counted() -> Message:
            nonlocal own
            message = await receive()
            size = len(message.get("body", b""))
            own += size
            self._held += size
            if size and self._most < self._held > own:
                raise CrowdedError
            return message

        try:
            await self._app(scope, counted, send)
        except CrowdedError:
            detail = f"the items under way in this worker have {self._most} bytes (LIVEREC_MAX_BODIES_BYTES); try again"
            response = problem(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": RETRY_SECONDS})
            await response(scope, receive, send)
        finally:
            self._held -= own
