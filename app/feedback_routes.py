"""Feedback routes: ratings, other feedback, and undoing what was rated."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.background import BackgroundTask

from app.event_writing import Acknowledged, EventWriting
from app.feedback import Feedback, Undo, UndoReceipt, parse_feedback
from app.problems import PROBLEM, body_problem
from app.rating import MAX_EVENTS, ExternalId, Rating, Receipt, check_id, parse_ratings
from app.routes import JSON, Service
from app.timed_route import WriteRoute
from engine.errors import QueryError

Key = Annotated[ExternalId | None, Header(description="The event_id of a single event")]
Responses = dict[int | str, dict[str, Any]]
WRITES: Responses = {
    409: {"description": "An event_id was used before for another event", **PROBLEM},
    413: {"description": "The body is too large", **PROBLEM},
    422: {"description": "An event is malformed or impossible; nothing was written", **PROBLEM},
    429: {"description": "This worker has as many requests under way as it may; try again", **PROBLEM},
    503: {"description": "The events could not be stored; send them again with the same event_ids", **PROBLEM},
}
Given = TypeVar("Given", Rating, Feedback)
feedback_router = APIRouter(tags=["feedback"], route_class=WriteRoute)


class UndoOptions(BaseModel):
    """The query of DELETE /rate."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    timestamp: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Unix seconds; now if not given."""
    event_id: ExternalId | None = None
    """Send the same one again and the undoing still counts once."""


def _path_parameter(name: str) -> dict[str, object]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": "Slashes as %2F"}


def _body(model: type[BaseModel]) -> dict[str, object]:
    one = model.model_json_schema()
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_EVENTS}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": {"anyOf": [one, many]}}}}}


@feedback_router.post("/rate", response_model=Receipt, responses=WRITES, openapi_extra=_body(Rating))
async def rate(request: Request, serving: Service, idempotency_key: Key = None) -> Response:
    """Rate one item, or a list of up to 1,000. Answers when the ratings are on disk; the next GET counts them."""
    try:
        ratings = parse_ratings(await request.body())
    except ValidationError as error:
        return body_problem(error)
    return _answer(serving.writing, await serving.writing.write(_with_key(ratings, idempotency_key)))


@feedback_router.put("/feedback", response_model=Receipt, responses=WRITES, include_in_schema=False)
@feedback_router.post("/feedback", response_model=Receipt, responses=WRITES, openapi_extra=_body(Feedback))
async def feedback(request: Request, serving: Service, idempotency_key: Key = None) -> Response:
    """Tell what a user did with an item without rating it, or a list of up to 1,000 such events.

    Views, clicks and so on add up; the newest of rating, like and dislike on an item takes the place of the others.
    Gorse's field names are understood, and PUT does the same as POST.
    """
    try:
        events = parse_feedback(await request.body())
    except ValidationError as error:
        return body_problem(error)
    return _answer(serving.writing, await serving.writing.write(_with_key(events, idempotency_key)))


@feedback_router.delete("/rate/{ids:path}", include_in_schema=False)
@feedback_router.delete(
    "/rate/{user_id:path}/{item_id:path}",
    response_model=UndoReceipt,
    responses=WRITES,
    openapi_extra={"parameters": [_path_parameter("user_id"), _path_parameter("item_id")]},
)
async def undo(
    request: Request, serving: Service, query: Annotated[UndoOptions, Query()], idempotency_key: Key = None
) -> Response:
    """Take back what a user thinks of an item: the rating, like or dislike that counts now. Any slash in an id is %2F.

    An opinion that is older than this stays undone when it arrives later. An item of which nothing else is known counts
    as not seen. To undo what was never rated is no error: `removed` is 0.
    """
    user_id, item_id = _ids(request)
    event_id = _one_id(query.event_id, idempotency_key)
    acknowledged = await serving.writing.undo(Undo(user_id, item_id, query.timestamp, event_id))
    return _answer(serving.writing, acknowledged)


def _answer(writing: EventWriting, acknowledged: Acknowledged) -> Response:
    task = BackgroundTask(writing.on_written, acknowledged.events) if acknowledged.events else None
    return Response(acknowledged.receipt.model_dump_json(), media_type=JSON, background=task)


def _ids(request: Request) -> tuple[str, str]:
    # Decoded, a slash inside an id would look like the one between the two.
    segments = request.scope["raw_path"].partition(b"/rate/")[2].split(b"/")
    if len(segments) != 2:
        raise QueryError(
            f"path: {len(segments)} segments follow /rate/, it must be two: DELETE /rate/{{user_id}}/{{item_id}}, with"
            " %2F for a slash inside an id"
        )
    return _id("user_id", segments[0]), _id("item_id", segments[1])


def _id(name: str, segment: bytes) -> str:
    try:
        return check_id(unquote_to_bytes(segment).decode())
    except UnicodeDecodeError as error:
        raise QueryError(f"{name}: {segment!r:.100} is no UTF-8 ({error.reason}); percent-encode UTF-8") from error
    except ValueError as error:
        raise QueryError(f"{name}: {error} (got {segment!r:.100})") from error


def _one_id(event_id: str | None, key: str | None) -> str | None:
    if key is not None and event_id not in (None, key):
        raise QueryError(f"Idempotency-Key: {key!r} differs from event_id {event_id!r}; send one of them")
    return event_id if key is None else key


def _with_key(events: list[Given], key: str | None) -> list[Given]:
    if key is None:
        return events
    if len(events) > 1:
        raise QueryError(f"Idempotency-Key: it names one event, not {len(events)}; give each its own event_id")
    return [events[0].model_copy(update={"event_id": _one_id(events[0].event_id, key)})]
