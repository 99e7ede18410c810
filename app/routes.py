"""Routes: the HTTP surface."""

from __future__ import annotations

import time
from typing import Annotated
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import ValidationError
from starlette.background import BackgroundTask

from app.answer import Answer
from app.prediction import PredictionAnswer, PredictionRequest
from app.problems import MEDIA_TYPE, body_problem
from app.rating import ExternalId, Rating, RatingReceipt, parse_ratings
from app.serving import Serving
from engine.errors import QueryError
from engine.query import MAX_ITEMS

JSON = "application/json"
PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
router = APIRouter()


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


Service = Annotated[Serving, Depends(serving_of)]


@router.get(
    "/recommend/{user_id:path}",
    response_model=Answer,
    responses={422: {"description": "A value is out of bounds", **PROBLEM}},
    tags=["recommend"],
)
async def recommend(
    request: Request,
    serving: Service,
    user_id: Annotated[ExternalId, Path(description="Any id; slashes and Unicode are fine", examples=["42"])],
    n: Annotated[int, Query(ge=1, le=MAX_ITEMS, description="How many items")] = 10,
) -> Response:
    """The best items for a user, from the history as it is now.

    What the user has rated is left out. An unknown user gets the popular items (`source` says so).
    """
    started = time.perf_counter()
    check_encoding(request, "user_id")
    served = await serving.recommend(user_id, n)
    serving.metrics.seconds.labels("recommend").observe(time.perf_counter() - started)
    headers = {"X-Cache": served.cache, "Cache-Control": "no-store"}
    task = BackgroundTask(serving.keep, user_id, served) if served.leaves_something else None
    return Response(served.body, headers=headers, media_type=JSON, background=task)


RATE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "anyOf": [
                        Rating.model_json_schema(),
                        {"type": "array", "items": Rating.model_json_schema(), "minItems": 1, "maxItems": 1000},
                    ]
                }
            }
        },
    }
}


@router.post(
    "/rate",
    response_model=RatingReceipt,
    responses={
        409: {"description": "An event_id was used before for another rating", **PROBLEM},
        413: {"description": "The body is too large", **PROBLEM},
        422: {"description": "A rating is malformed or impossible; nothing was written", **PROBLEM},
        503: {"description": "The ratings could not be stored; send them again with the same event_ids", **PROBLEM},
    },
    openapi_extra=RATE_BODY,
    tags=["rate"],
)
async def rate(
    request: Request,
    serving: Service,
    idempotency_key: Annotated[ExternalId | None, Header(description="The event_id of a single rating")] = None,
) -> Response:
    """Rate one item, or a list of up to 1,000. Answers when the ratings are on disk; the next GET counts them."""
    started = time.perf_counter()
    try:
        ratings = parse_ratings(await request.body())
    except ValidationError as error:
        return body_problem(error)
    receipt = await serving.rate(_with_key(ratings, idempotency_key))
    serving.metrics.seconds.labels("rate").observe(time.perf_counter() - started)
    return Response(receipt.model_dump_json(), media_type=JSON)


@router.post(
    "/predict",
    response_model=PredictionAnswer,
    responses={
        409: {"description": "The bundle was trained on data without ratings", **PROBLEM},
        422: {"description": "The question is malformed", **PROBLEM},
    },
    tags=["recommend"],
)
async def predict(serving: Service, question: PredictionRequest) -> PredictionAnswer:
    """How a user would rate up to 1,000 items, from the history as it is now; any user, known or not."""
    started = time.perf_counter()
    answer = await serving.predict(question)
    serving.metrics.seconds.labels("predict").observe(time.perf_counter() - started)
    return answer


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", tags=["health"])
async def live() -> dict[str, str]:
    """The process runs."""
    return {"status": "live"}


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", responses={503: {"description": "Not ready", **PROBLEM}}, tags=["health"])
async def ready(serving: Service) -> dict[str, str | int]:
    """The bundle has proven itself and the store answers; `item_lag` counts changes of items not yet seen here."""
    lag = await serving.items.tail.measured_lag()
    return {"status": "ready", "model_version": serving.model_version, "item_lag": lag}


@router.get("/metrics", tags=["health"], response_class=Response)
async def metrics(serving: Service) -> Response:
    """Counters and times in Prometheus' form."""
    return Response(serving.metrics.render(), media_type="text/plain; version=0.0.4")


def _with_key(ratings: list[Rating], key: str | None) -> list[Rating]:
    if key is None:
        return ratings
    if len(ratings) > 1:
        raise QueryError(f"Idempotency-Key: it names one rating, not {len(ratings)}; give each its own event_id")
    if ratings[0].event_id not in (None, key):
        raise QueryError(f"Idempotency-Key: {key!r} differs from event_id {ratings[0].event_id!r}; send one of them")
    return [ratings[0].model_copy(update={"event_id": key})]
