"""Routes: health and metrics, and what all routes share."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Depends, Request, Response
from starlette.convertors import PathConvertor, register_url_convertor

from app.middleware import DRAINING
from app.problems import MEDIA_TYPE
from app.serving import Serving
from engine.errors import QueryError, UnreadyError

JSON = "application/json"
PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
router = APIRouter()


class AnyPath(PathConvertor):
    """An id in a path. Starlette's own ends at a line feed, so that "a\\n" would be taken for "a"."""

    regex = "(?s:.*)"


register_url_convertor("path", AnyPath())


def serving_of(request: Request) -> Serving:
    """Return what the start-up put in place."""
    serving: Serving = request.app.state.serving
    return serving


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
@router.get("/health/live", tags=["health"])
async def live() -> dict[str, str]:
    """The process runs."""
    return {"status": "live"}


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", responses={503: {"description": "Not ready", **PROBLEM}}, tags=["health"])
async def ready(request: Request, serving: Service) -> dict[str, str | int]:
    """The bundle has proven itself and the store answers; `item_lag` counts changes of items not yet seen here.

    `bundle` is `current`, or says that a newer one was refused. 503 `draining`: this worker is about to end.
    """
    if request.scope.get(DRAINING):
        raise UnreadyError("draining: this worker is about to end; connect again")
    lag = await serving.items.tail.measured_lag()
    state: dict[str, str | int] = {"status": "ready", "model_version": serving.model_version, "item_lag": lag}
    return {**state, "bundle": serving.bundle_state}


@router.get("/metrics", tags=["health"], response_class=Response)
async def metrics(serving: Service) -> Response:
    """Counters and times in Prometheus' form."""
    return Response(serving.metrics.render(), media_type="text/plain; version=0.0.4")
