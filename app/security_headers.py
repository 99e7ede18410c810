"""SecurityHeaders: what tells a browser to do with an answer no more than it must."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Headers = tuple[tuple[bytes, bytes], ...]
PAGES = ("/docs", "/redoc", "/static-offline-docs/")
CACHE = b"cache-control"
COMMON: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NOTHING = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
OWN = (
    b"content-security-policy",
    # The pages come with a script of their own in them, and ReDoc searches in a worker made of a blob.
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    b" font-src 'self'; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none';"
    b" frame-ancestors 'none'",
)
NO_STORE = (CACHE, b"no-store")
CONSTANT = {name.decode(): value.decode() for name, value in (*COMMON, NOTHING, NO_STORE)}
"""What even an answer has that no app gave."""


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ASKED = ("Authorization", "Content-Type", "Idempotency-Key", "X-API-Key", "X-Deadline-Ms", "X-Request-ID")
TOLD = ("RateLimit", "RateLimit-Policy", "Retry-After", "X-Cache", "X-Request-ID")


def cors(origins: Sequence[str]) -> dict[str, Any]:
    """Return the options of Starlette's CORSMiddleware for pages of these origins; cookies are never taken."""
    return {"allow_origins": origins, "allow_methods": METHODS, "allow_headers": ASKED, "expose_headers": TOLD}


class SecurityHeaders:
    """Adds them to every answer, so that it must be outermost.

    `hsts_seconds`: for how long browsers shall insist on HTTPS; 0 says nothing.
    """

    def __init__(self, app: ASGIApp, hsts_seconds: int = 0) -> None:
        self._app = app
        hsts = ((b"strict-transport-security", b"max-age=%d" % hsts_seconds),) if hsts_seconds else ()
        self._answers = (*COMMON, *hsts, NOTHING)
        self._pages = (*COMMON, *hsts, OWN)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = self._pages if scope["path"].startswith(PAGES) else self._answers

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message["headers"]
                store = () if any(name == CACHE for name, _ in given) else (NO_STORE,)
                message["headers"] = [*given, *added, *store]
            await send(message)

        await self._app(scope, receive, send_with_headers)
