"""List routes: the lists that are the same for all users."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from app.answer import Answer
from app.list_options import ListOptions, TrendingOptions
from app.problems import PROBLEM
from app.routes import JSON, Service
from app.timed_route import ReadRoute

RESPONSES: dict[int | str, dict[str, Any]] = {
    422: {"description": "An option is malformed, out of bounds or unknown", **PROBLEM},
    429: {"description": "This worker has as many requests as it may; try again", **PROBLEM},
}
list_router = APIRouter(tags=["lists"], route_class=ReadRoute)


@list_router.head("/popular", include_in_schema=False)
@list_router.get("/popular", response_model=Answer, responses=RESPONSES)
async def popular_items(serving: Service, options: Annotated[ListOptions, Query()]) -> Response:
    """The items with most training events, which are their scores; items that came since follow, newest first."""
    return _answer(await serving.lists.popular(options))


@list_router.head("/trending", include_in_schema=False)
@list_router.get("/trending", response_model=Answer, responses=RESPONSES)
async def trending_items(serving: Service, options: Annotated[TrendingOptions, Query()]) -> Response:
    """The items that were met most lately.

    The score is the number of events, each weighted by its value (a rating by its place in the scale, 0 to 1) and
    halved after each hour, day or week of its age. Dislikes and undoing count nothing. Popular items follow with score
    0. What was counted in the last second may be missing.
    """
    return _answer(await serving.lists.trending(options))


@list_router.head("/latest", include_in_schema=False)
@list_router.get("/latest", response_model=Answer, responses=RESPONSES)
async def latest_items(serving: Service, options: Annotated[ListOptions, Query()]) -> Response:
    """The newest items: first those that were added, by when they were (unix seconds, their score); then the trained
    ones by their `year`, with score 0.
    """
    return _answer(await serving.lists.latest(options))


def _answer(body: bytes) -> Response:
    return Response(body, headers={"Cache-Control": "no-store"}, media_type=JSON)
