"""Routes: health and metrics, and what all routes share."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Depends, Request, Response
from starlette.convertors import PathConvertor, register_url_convertor

from app.event_log import EventLog
from app.middleware import DRAINING
from app.problems import PROBLEM
from app.serving import Serving, serving_of
from app.timed_route import MetricsRoute, OpenRoute
from engine.errors import QueryError, StoreError, UnreadyError

JSON = "application/json"
MALFORMED: dict[int | str, dict[str, Any]] = {
    422: {"description": "The query has a parameter that is unknown", **PROBLEM}
}
STORE_SECONDS = 0.5
router = APIRouter(tags=["health"], route_class=OpenRoute)
metrics_router = APIRouter(tags=["health"], route_class=MetricsRoute)


class AnyPath(PathConvertor):
    """An id in a path. Starlette's own ends at a line feed, so that "a\\n" would be taken for "a"."""

    regex = "(?s:.*)"


register_url_convertor("path", AnyPath())


def check_encoding(request: Request, name: str) -> None:
    """Raise QueryError unless the path is UTF-8.

    What is none reaches us with replacement characters: different bytes would become one id.
    """
    raw = request.scope.get("raw_path", b"")
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise QueryError(f"{name}: {raw!r:.100} is no UTF-8 ({error.reason}); percent-encode UTF-8") from error


async def _service(request: Request) -> Serving:
    # Asynchronous, for FastAPI gives a thread to what is not, and that takes longer than reading a cached answer.
    return serving_of(request)


Service = Annotated[Serving, Depends(_service)]


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process runs."""
    return {"status": "live"}


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", responses={503: {"description": "Not ready", **PROBLEM}})
async def ready(request: Request, serving: Service) -> dict[str, str | int]:
    """The bundle has proven itself and the store answers; `item_lag` counts changes of items not yet seen here.

    `bundle` is `current`, or says that a newer one was refused, or waits for the store. 503 `draining`: this worker is
    about to end.
    """
    if request.scope.get(DRAINING):
        raise UnreadyError("draining: this worker is about to end; connect again")
    lag = await serving.items.tail.measured_lag()
    version, bundle = serving.model_version, serving.bundle_state
    return {"status": "ready", "model_version": version, "item_lag": lag, "bundle": bundle}


@metrics_router.get("/metrics", response_class=Response, responses=MALFORMED)
async def metrics(request: Request, serving: Service) -> Response:
    """Counters and times in Prometheus' form."""
    with suppress(StoreError, TimeoutError):
        # Metrics are wanted most while the store is slow.
        async with asyncio.timeout(STORE_SECONDS):
            servings: dict[str, Serving] = request.app.state.servings
            lengths = [await EventLog(each.store.connection).length() for each in servings.values()]
            serving.metrics.unarchived_events.set(sum(lengths))
    return Response(serving.metrics.render(), media_type="text/plain; version=0.0.4")
