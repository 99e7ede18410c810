"""User routes: what is stored of a user, to look at, take along or have removed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from app.history_cursor import HistoryCursor
from app.item_routes import Responses
from app.problems import PROBLEM
from app.rating import ExternalId
from app.routes import Service, check_encoding
from app.timed_route import AdminRoute, ReadRoute
from app.user_answer import Forgetting, HistoryPage, UserExport

MOST_EVENTS = 1_000
MOST_CURSOR_CHARACTERS = 200
UserId = Annotated[ExternalId, Path(description="Any id; slashes and Unicode are fine", examples=["42"])]
PROBLEMS: Responses = {
    422: {"description": "A value is malformed or out of bounds", **PROBLEM},
    429: {"description": "This worker has as many requests under way as it may; try again", **PROBLEM},
    503: {"description": "The store cannot be reached; try again", **PROBLEM},
}
user_router = APIRouter(tags=["users"], route_class=ReadRoute)
user_admin_router = APIRouter(tags=["users"], route_class=AdminRoute)


class HistoryOptions(BaseModel):
    """The query of GET /users/{user_id}/history."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    n: int = Field(default=100, ge=1, le=MOST_EVENTS)
    """How many events."""
    cursor: str | None = Field(default=None, max_length=MOST_CURSOR_CHARACTERS)
    """What the page before gave."""


@user_router.head("/users/{user_id:path}/history", include_in_schema=False)
@user_router.get("/users/{user_id:path}/history", responses=PROBLEMS)
async def user_history(
    request: Request, serving: Service, user_id: UserId, query: Annotated[HistoryOptions, Query()]
) -> HistoryPage:
    """A page of the events that count, newest first. A user of whom nothing is known has none."""
    check_encoding(request, "user_id")
    before = HistoryCursor() if query.cursor is None else HistoryCursor.decode(query.cursor)
    return await serving.users.history(user_id, query.n, before)


@user_admin_router.head("/users/{user_id:path}/export", include_in_schema=False)
@user_admin_router.get("/users/{user_id:path}/export", responses=PROBLEMS)
async def export_user(request: Request, serving: Service, user_id: UserId) -> UserExport:
    """Everything that is stored of a user. It reads the whole log of the user's partition, so it takes its time."""
    check_encoding(request, "user_id")
    return await serving.users.export(user_id)


@user_admin_router.delete("/users/{user_id:path}", responses=PROBLEMS)
async def forget_user(request: Request, serving: Service, user_id: UserId) -> Forgetting:
    """Forget a user: history, log entries, cached answers, event_ids, logged exploration.

    Ratings that are acknowledged after the call began may stay. Repeat the call if it fails: it goes on where it broke
    off. `liverec load` never brings the user's offline history back. For up to a minute, other workers may show a list
    that they had answered, to that user alone and only where X-Deadline-Ms leaves no time for another.
    """
    check_encoding(request, "user_id")
    receipt = await serving.users.forget(user_id)
    serving.recommending.forget(user_id)
    return receipt
