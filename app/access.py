"""Access: lets in who has a key with the scope that a request needs, before any of its body is read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from http import HTTPStatus
from re import Pattern

from fastapi import Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app import api_keys
from app.api_keys import API_KEY, ApiKey, ApiKeys
from app.metrics import Metrics
from app.problems import problem
from app.rate_limits import RateLimits

KEY_HEADER, BEARER = b"x-api-key", b"bearer "
DOCUMENTATION = ("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc")
STATIC = "/static-offline-docs"
STATIC_FILES = f"{STATIC}/"
METRICS = "/metrics"
SAFE = ("GET", "HEAD")
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="liverec"'}
Headers = Iterable[tuple[bytes, bytes]]


class ScopeTable:
    """Which scope a request needs, as its route says."""

    def __init__(self, routes: Iterable[tuple[APIRoute, api_keys.Scope | None]]) -> None:
        self._open_paths = set(DOCUMENTATION)
        self._routes: dict[tuple[str, str], list[tuple[Pattern[str], api_keys.Scope]]] = {}
        for route, needed in routes:
            if needed is None:
                self._open_paths.add(route.path)
                continue
            for method in route.methods or ():
                self._routes.setdefault((method, _first_segment(route.path)), []).append((route.path_regex, needed))

    def is_open(self, method: str, path: str) -> bool:
        """Return whether a request needs no key."""
        return method in SAFE and (path in self._open_paths or path.startswith(STATIC_FILES))

    def is_free(self, method: str, path: str) -> bool:
        """Return whether a request needs no permit: it must get through, or costs next to nothing."""
        return self.is_open(method, path) or (path == METRICS and method in SAFE)

    def takes(self, method: str, path: str) -> bool:
        """Return whether a route that needs a key takes a request; no other reads a body."""
        return any(pattern.match(path) for pattern, _ in self._routes.get((method, _first_segment(path)), ()))

    def needed(self, method: str, path: str) -> api_keys.Scope | None:
        """Return the scope that a request needs, None if nothing is there."""
        routes = self._routes.get((method, _first_segment(path)), [])
        # Mostly all routes below a word need the same; to match them all would cost more than the rest of the check.
        if len({needed for _, needed in routes}) == 1:
            return routes[0][1]
        return next((needed for pattern, needed in routes if pattern.match(path)), None)


class Access:
    """Answers 401 without a good key, 403 to one without the scope, 429 to one that has used up its rate."""

    def __init__(self, app: ASGIApp, keys: ApiKeys, table: ScopeTable, limits: RateLimits, metrics: Metrics) -> None:
        self._app = app
        self._keys = keys
        self._table = table
        self._limits = limits
        self._requests = metrics.key_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or self._table.is_open(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        given = _credentials(scope["headers"])
        key = self._keys.find(given[0]) if len(given) == 1 else None
        if key is None:
            return self._refused("", "unauthenticated", _unauthenticated(len(given)))
        needed = self._table.needed(scope["method"], scope["path"])
        if needed is not None and not may(key, needed):
            return self._refused(key.name, "forbidden", forbidden(needed))
        if key.limit is not None and (seconds := await self._limits.wait(key)) is not None:
            return self._refused(key.name, "limited", _limited(key, seconds))
        self._requests.labels(key.name, "let in").inc()
        scope[API_KEY] = key
        return None

    def _refused(self, name: str, outcome: str, response: Response) -> Response:
        self._requests.labels(name, outcome).inc()
        return response


def may(key: ApiKey, needed: api_keys.Scope) -> bool:
    """Return whether a key has a scope; metrics count all tenants, so they are not for the key of one."""
    return needed in key.scopes and not (key.tenant and needed is api_keys.Scope.METRICS)


def forbidden(needed: api_keys.Scope) -> Response:
    """Return a 403 that says which scope is needed."""
    whose = " and belongs to no tenant" if needed is api_keys.Scope.METRICS else ""
    return problem(HTTPStatus.FORBIDDEN, f"this needs a key that has the scope {needed}{whose}; ask who runs liverec")


def _first_segment(path: str) -> str:
    return path[1:].partition("/")[0]


def _credentials(headers: Headers) -> list[bytes]:
    return [
        value if name == KEY_HEADER else value[len(BEARER) :].strip()
        for name, value in headers
        if name == KEY_HEADER or (name == b"authorization" and value[: len(BEARER)].lower() == BEARER)
    ]


def _unauthenticated(count: int) -> Response:
    why = "the key is none that is good now" if count == 1 else f"the request has {count} keys, it must have one"
    detail = f"{why}; send it as X-API-Key, or as Authorization: Bearer"
    return problem(HTTPStatus.UNAUTHORIZED, detail, CHALLENGE)


def _limited(key: ApiKey, seconds: float) -> Response:
    assert key.limit is not None  # noqa: S101 (only what has a limit reaches it)
    wait, amount, window = max(1, math.ceil(seconds)), key.limit.amount, key.limit.get_expiry()
    # As the IETF's draft of RateLimit header fields spells them.
    headers = {
        "Retry-After": str(wait),
        "RateLimit-Policy": f'"key";q={amount};w={window}',
        "RateLimit": f'"key";r=0;t={wait}',
    }
    return problem(HTTPStatus.TOO_MANY_REQUESTS, f"this key may make {amount} requests in {window} s; wait", headers)
