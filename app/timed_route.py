"""TimedRoute: routes that say which scope of a key they need, and measure how long each call takes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, ClassVar

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.access import SAFE, forbidden, may
from app.api_keys import API_KEY, Scope
from app.problems import PROBLEM
from app.serving import serving_of

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}
BUSY = "This worker has as many requests under way as it may, or the key has used up its rate; try again"


class OpenRoute(APIRoute):
    """Needs no key."""

    needed: Scope | None = None


class TimedRoute(APIRoute):
    """Times its calls under the name of its function. Only its subclasses, which need a scope, can be made."""

    needed: ClassVar[Scope]

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 (as its base takes them)
        """Raises TypeError for a class that says no scope."""
        if not hasattr(self, "needed"):
            raise TypeError(f"{type(self).__name__} says no scope; use ReadRoute, WriteRoute, AdminRoute, MetricsRoute")
        options["responses"] = {**self._refusals(options.get("methods") or ()), **(options.get("responses") or {})}
        security: list[dict[str, list[str]]] = [{name: []} for name in SCHEMES]
        options["openapi_extra"] = {"security": security, **(options.get("openapi_extra") or {})}
        super().__init__(*args, **options)

    def get_route_handler(self) -> Handler:
        """Return what handles a request."""
        handle, names = super().get_route_handler(), self._query_names()

        async def checked(request: Request) -> Response:
            if names is not None and request.scope["query_string"]:
                _check_names(request, names)
            return await handle(request)

        return self.timed(checked)

    def timed(self, handle: Handler) -> Handler:
        """Return a handler that lets in who may, and measures how long the other one takes."""

        async def timed(request: Request) -> Response:
            # Access has looked at it before; should it and the router ever differ, nobody is let in.
            key = request.scope.get(API_KEY)
            if request.app.state.needs_keys and (key is None or not may(key, self.needed)):
                return forbidden(self.needed)
            with serving_of(request).metrics.seconds.labels(self.name).time():
                return await handle(request)

        return timed

    def _refusals(self, methods: Iterable[str]) -> dict[int | str, dict[str, Any]]:
        changes = not set(methods) <= set(SAFE)
        page = ", or a page of a foreign origin sent the request" if changes else ""
        refusals: dict[int | str, dict[str, Any]] = {
            401: {"description": "Keys are needed here, and the request has none that is good", **PROBLEM},
            403: {"description": f"The key lacks the scope {self.needed}{page}", **PROBLEM},
            429: {"description": BUSY, **PROBLEM},
        }
        return refusals | (
            {415: {"description": "There is a body, and it is not said to be JSON", **PROBLEM}} if changes else {}
        )

    def _query_names(self) -> frozenset[str] | None:
        """Return the parameters that a query may have, None where a model refuses the others itself."""
        fields = self.dependant.query_params
        has_model = any(_is_model(each.field_info.annotation) for each in fields)
        has_own = any(each["in"] == "query" for each in (self.openapi_extra or {}).get("parameters", ()))
        return None if has_model or has_own else frozenset(each.alias for each in fields)


class ReadRoute(TimedRoute):
    """Shows, and changes nothing."""

    needed = Scope.READ


class WriteRoute(TimedRoute):
    """Writes events or items."""

    needed = Scope.WRITE


class AdminRoute(TimedRoute):
    """Shows or removes all that there is."""

    needed = Scope.ADMIN


class MetricsRoute(TimedRoute):
    """Tells how the service fares."""

    needed = Scope.METRICS


def declared_routes(routers: Iterable[APIRouter]) -> list[tuple[APIRoute, Scope | None]]:
    """Return the routes of routers, each with the scope that it needs, None for those that need no key.

    Raises TypeError for a route that says neither.
    """
    routes = [route for router in routers for route in router.routes]
    declared: list[tuple[APIRoute, Scope | None]] = [
        (route, route.needed) for route in routes if isinstance(route, TimedRoute | OpenRoute)
    ]
    if len(declared) < len(routes):
        raise TypeError("a route says no scope; give its router a route_class of app/timed_route.py")
    return declared


def describe_keys(app: FastAPI) -> None:
    """Add to the app's OpenAPI how a request shows its key."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        document = describe()
        document["components"]["securitySchemes"] = SCHEMES
        return document

    app.openapi = described  # type: ignore[method-assign]


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _check_names(request: Request, names: frozenset[str]) -> None:
    errors = [
        {"type": "extra_forbidden", "loc": ("query", name), "msg": "Extra inputs are not permitted", "input": value}
        for name, value in request.query_params.items()
        if name not in names
    ]
    if errors:
        raise RequestValidationError(errors)
