"""Recommend routes: the HTTP surface of lists that are computed for a user."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from starlette.background import BackgroundTasks

from app.answer import Answer, BatchAnswer, RankAnswer, timed, with_member
from app.deadline import DEADLINE_PARAMETER, Deadline, deadline_of
from app.item_routes import BUSY
from app.options import RecommendOptions, query_parameters, read_options
from app.prediction import PredictionAnswer, PredictionRequest
from app.problems import PROBLEM
from app.rating import ExternalId
from app.recommending import Served
from app.routes import JSON, Service, check_encoding
from app.serving import Serving
from app.session import BatchRequest, RankRequest, SessionRequest
from app.timed_route import ReadRoute

UserId = Annotated[ExternalId, Path(description="Any id; slashes and Unicode are fine", examples=["42"])]
Responses = dict[int | str, dict[str, Any]]
WRONG: Responses = {422: {"description": "A value is malformed or out of bounds; `detail` names it", **PROBLEM}}
LARGE: Responses = {413: {"description": "The body is too large", **PROBLEM}}
VERSION: Responses = {
    409: {
        "description": "The history has not changed so often as min_version says, or the bundle cannot do it",
        **PROBLEM,
    },
    503: {
        "description": "min_version was asked for, and the store cannot be read; or what filters look up is being made",
        **PROBLEM,
    },
}
PROBLEMS: Responses = {**WRONG, **BUSY, **LARGE, **VERSION}
HURRIED = {"parameters": [DEADLINE_PARAMETER]}
recommend_router = APIRouter(tags=["recommend"], route_class=ReadRoute)


@recommend_router.get(
    "/recommend/{user_id:path}",
    response_model=Answer,
    responses={**WRONG, **BUSY, **VERSION},
    openapi_extra={"parameters": [*query_parameters(RecommendOptions), DEADLINE_PARAMETER]},
)
async def recommend(request: Request, serving: Service, user_id: UserId) -> Response:
    """The best items for a user, from the history as it is now.

    What the user has rated is left out. An unknown user gets the popular items (`source` says so).
    """
    check_encoding(request, "user_id")
    served = await serving.recommending.recommend(user_id, read_options(request), _deadline(request, serving))
    headers = {"X-Cache": served.cache, "Cache-Control": "no-store"}
    return Response(served.body, headers=headers, media_type=JSON, background=_kept(serving, [(user_id, served)]))


@recommend_router.post(
    "/recommend/batch",
    response_model=BatchAnswer,
    responses=PROBLEMS,
    openapi_extra=HURRIED,
)
async def recommend_batch(request: Request, serving: Service, batch: BatchRequest) -> Response:
    """Lists for up to 100 users, each with options of its own, in the order of the question."""
    started = time.perf_counter()
    served = await serving.recommending.batch(batch.queries, _deadline(request, serving))
    body = b'{"answers":[' + b",".join(each.body for each in served) + b"]}"
    body = timed(body, time.perf_counter() - started)
    users = [query.user_id for query in batch.queries]
    return Response(body, media_type=JSON, background=_kept(serving, list(zip(users, served, strict=True))))


@recommend_router.post("/session/recommend", response_model=Answer, responses=PROBLEMS, openapi_extra=HURRIED)
async def recommend_session(request: Request, serving: Service, session: SessionRequest) -> Response:
    """The best items for a history that comes along, of which nothing is written.

    With `user_id` the history is put after that user's: what would be recommended if these events came.
    """
    body = await serving.recommending.session(session, _deadline(request, serving))
    return Response(body, media_type=JSON, headers={"Cache-Control": "no-store"})


@recommend_router.post("/rank", response_model=RankAnswer, responses=PROBLEMS, openapi_extra=HURRIED)
async def rank(request: Request, serving: Service, ranking: RankRequest) -> Response:
    """Given items in the order in which they suit a user, best first; seen ones are ranked too."""
    body, unknown = await serving.recommending.rank(ranking, _deadline(request, serving))
    return Response(with_member(body, "unknown_items", unknown), media_type=JSON)


@recommend_router.post(
    "/predict",
    response_model=PredictionAnswer,
    responses={
        409: {"description": "The bundle was trained on data without ratings", **PROBLEM},
        **WRONG,
        **BUSY,
        **LARGE,
    },
)
async def predict(serving: Service, question: PredictionRequest) -> PredictionAnswer:
    """How a user would rate up to 1,000 items, from the history as it is now; any user, known or not."""
    return await serving.predict(question)


def _deadline(request: Request, serving: Serving) -> Deadline:
    return deadline_of(request, serving.settings.deadline_ms)


def _kept(serving: Serving, answers: list[tuple[str, Served]]) -> BackgroundTasks | None:
    lasting = [(user_id, served) for user_id, served in answers if served.leaves_something]
    if not lasting:
        return None
    tasks = BackgroundTasks()
    for user_id, served in lasting:
        tasks.add_task(serving.recommending.keep, user_id, served)
    return tasks
