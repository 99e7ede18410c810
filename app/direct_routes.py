"""DirectRoutes: the short way to the calls that come most often."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from app.feedback_routes import feedback_router, rate
from app.problems import problem_of
from app.rating import check_id
from app.recommend_routes import recommend, recommend_router
from app.serving import serving_of
from app.timed_route import Handler, TimedRoute
from engine.errors import LiverecError

Arguments = tuple[str, ...]
ReadArguments = Callable[[Scope, str], Arguments | None]


@dataclass(frozen=True, slots=True)
class DirectRoute:
    """Calls the function of a route with the very checks, metric and errors that the route has.

    read: from a request and the rest of its path to what the function gets behind request and serving; None for a
    request that had better go the long way.
    """

    method: str
    prefix: str
    read: ReadArguments
    route: TimedRoute

    @classmethod
    def of(cls, router: APIRouter, endpoint: Callable[..., object], read: ReadArguments) -> Self:
        """Return the short way to the function of a router."""
        [route] = [each for each in router.routes if isinstance(each, TimedRoute) and each.endpoint is endpoint]
        [method] = sorted(route.methods or ())
        return cls(method, route.path.partition("{")[0], read, route)

    def handler(self, scope: Scope) -> Handler | None:
        """Return what answers a request; None if it is none of this route's."""
        path: str = scope["path"]
        if scope["method"] != self.method or not path.startswith(self.prefix):
            return None
        arguments = self.read(scope, path[len(self.prefix) :])
        if arguments is None:
            return None

        async def handle(request: Request) -> Response:
            answer: Response = await self.route.endpoint(request, serving_of(request), *arguments)
            return answer

        return self.route.timed(handle)


class DirectRoutes:
    """Stands before the router, and passes on to it what it does not take.

    To find a route, to solve its dependencies and to guard it takes the router longer than a cached answer takes.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[DirectRoute]) -> None:
        self._app = app
        self._routes = tuple(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        handle = self._handler(scope) if scope["type"] == "http" else None
        if handle is None:
            await self._app(scope, receive, send)
            return
        try:
            response = await handle(Request(scope, receive, send))
        except (LiverecError, RequestValidationError) as error:
            response = problem_of(error)
        await response(scope, receive, send)

    def _handler(self, scope: Scope) -> Handler | None:
        return next((handle for route in self._routes if (handle := route.handler(scope)) is not None), None)


def _user_id(_scope: Scope, rest: str) -> Arguments | None:
    try:
        return (check_id(rest),)
    except ValueError:
        return None


def _nothing_but_a_body(scope: Scope, rest: str) -> Arguments | None:
    has_more = rest or scope["query_string"] or any(name == b"idempotency-key" for name, _ in scope["headers"])
    return None if has_more else ()


DIRECT_ROUTES = (
    DirectRoute.of(recommend_router, recommend, _user_id),
    DirectRoute.of(feedback_router, rate, _nothing_but_a_body),
)
