"""Item routes: the HTTP surface of the catalogue."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import ValidationError

from app.item import MAX_ITEMS_AT_ONCE, Item, ItemPatch, parse_items
from app.item_answer import ItemAnswer, ItemDeletion, ItemPage, ItemReceipt, SimilarAnswer
from app.problems import PROBLEM, body_problem, problem
from app.rating import ExternalId
from app.routes import JSON, Service, check_encoding
from app.timed_route import ReadRoute, WriteRoute
from engine.errors import QueryError
from engine.query import MAX_ITEMS

ENDINGS = (
    "Any id; slashes and Unicode are fine. Of an id that itself ends in /similar, GET shows the item only as"
    " GET /items?item_id=..."
)
ItemId = Annotated[ExternalId, Path(description=ENDINGS, examples=["new-1"])]
Responses = dict[int | str, dict[str, Any]]
MALFORMED: Responses = {422: {"description": "A value is malformed or out of bounds; nothing was written", **PROBLEM}}
BUSY: Responses = {429: {"description": "This worker has as many requests as it may; try again", **PROBLEM}}
UNKNOWN: Responses = {404: {"description": "Nobody knows the item", **PROBLEM}}
WRITES: Responses = {
    409: {"description": "The bundle has no content network, or others changed the item all the time", **PROBLEM},
    413: {"description": "The body is too large", **PROBLEM},
    429: {"description": "This worker has as many requests, or as large ones, as it may; try again", **PROBLEM},
    507: {"description": "The store holds as many items, or as much media, as it may", **PROBLEM},
    503: {"description": "The change could not be stored; send it again", **PROBLEM},
    **MALFORMED,
}
FILE: dict[str, object] = {"type": "string", "format": "binary"}


item_router = APIRouter(tags=["items"], route_class=ReadRoute)
item_write_router = APIRouter(tags=["items"], route_class=WriteRoute)


def _body(content: dict[str, dict[str, object]]) -> dict[str, object]:
    return {"requestBody": {"required": True, "content": {kind: {"schema": each} for kind, each in content.items()}}}


@item_write_router.post(
    "/items",
    response_model=ItemReceipt,
    responses=WRITES,
    openapi_extra=_body(
        {
            JSON: {
                "anyOf": [
                    Item.model_json_schema(),
                    {
                        "type": "array",
                        "items": Item.model_json_schema(),
                        "minItems": 1,
                        "maxItems": MAX_ITEMS_AT_ONCE,
                    },
                ]
            }
        }
    ),
)
async def add_items(request: Request, serving: Service) -> Response:
    """Add one item, or a list of up to 1,000, each in place of what was there under its id; all of them or none.

    Answers when the items are on disk and in this worker's answers; the other workers follow within milliseconds.
    """
    try:
        items = parse_items(await request.body())
    except ValidationError as error:
        return body_problem(error)
    receipt = await serving.items.writing.add(items)
    return Response(receipt.model_dump_json(), media_type=JSON)


@item_router.head("/items", include_in_schema=False)
@item_router.get("/items", responses={**MALFORMED, **UNKNOWN, **BUSY})
async def list_items(
    serving: Service,
    n: Annotated[int, Query(ge=1, le=MAX_ITEMS, description="How many items")] = 100,
    cursor: Annotated[str | None, Query(max_length=1_000, description="What the page before gave")] = None,
    item_id: Annotated[ExternalId | None, Query(description="Show this item alone, whatever its id ends in")] = None,
) -> ItemPage:
    """A page of the items, hidden ones too: the trained ones, then the others, the oldest first.

    Going on with `cursor` gives each item once, whatever is added meanwhile.
    """
    if item_id is not None:
        return await serving.items.reading.alone(item_id)
    return serving.items.reading.page(n, cursor)


@item_router.head("/items/{item_id:path}/similar", include_in_schema=False)
@item_router.get("/items/{item_id:path}/similar", responses={**MALFORMED, **UNKNOWN, **BUSY})
async def similar_items(
    request: Request,
    serving: Service,
    item_id: ItemId,
    n: Annotated[int, Query(ge=1, le=MAX_ITEMS, description="How many items")] = 10,
    space: Annotated[Literal["hybrid", "content", "collaborative"], Query(description="What makes items alike")] = (
        "hybrid"
    ),
) -> SimilarAnswer:
    """Items that are like one item: by who met them (collaborative), by what they are (content), or by both.

    A space that has nothing of the item is replaced by one that has; `space` and `degraded` say so.
    """
    check_encoding(request, "item_id")
    return await serving.items.reading.similar(item_id, n, space)


@item_write_router.put(
    "/items/{item_id:path}/image",
    responses={**WRITES, **UNKNOWN, 415: {"description": "Content-Type is no image/*", **PROBLEM}},
    openapi_extra=_body({"image/*": FILE}),
    response_model=ItemReceipt,
)
async def put_image(request: Request, serving: Service, item_id: ItemId) -> Response:
    """Set the image of an item: a JPEG, PNG, WebP or GIF. The item is placed anew by it."""
    return await _put_file(request, serving, item_id, "image")


@item_write_router.put(
    "/items/{item_id:path}/audio",
    responses={**WRITES, **UNKNOWN, 415: {"description": "Content-Type is no audio/*", **PROBLEM}},
    openapi_extra=_body({"audio/*": FILE}),
    response_model=ItemReceipt,
)
async def put_audio(request: Request, serving: Service, item_id: ItemId) -> Response:
    """Set the sound of an item. The item is placed anew by it."""
    return await _put_file(request, serving, item_id, "audio")


@item_router.head("/items/{item_id:path}", include_in_schema=False)
@item_router.get("/items/{item_id:path}", responses={**MALFORMED, **UNKNOWN, **BUSY})
async def get_item(request: Request, serving: Service, item_id: ItemId) -> ItemAnswer:
    """One item with all that is known of it, hidden or not."""
    check_encoding(request, "item_id")
    return await serving.items.reading.get(item_id)


@item_write_router.patch(
    "/items/{item_id:path}",
    responses={**WRITES, **UNKNOWN},
    response_model=ItemReceipt,
    openapi_extra=_body({JSON: ItemPatch.model_json_schema()}),
)
async def patch_item(request: Request, serving: Service, item_id: ItemId) -> Response:
    """Change some fields of an item; null removes one. A hidden item is in no answer until it is shown again."""
    check_encoding(request, "item_id")
    try:
        patch = ItemPatch.model_validate_json(await request.body())
    except ValidationError as error:
        return body_problem(error)
    if not patch.model_fields_set:
        raise QueryError("body: {} changes nothing; name a field, for example is_hidden")
    receipt = await serving.items.writing.patch(item_id, patch)
    return Response(receipt.model_dump_json(), media_type=JSON)


@item_write_router.delete("/items/{item_id:path}", responses={**WRITES, **UNKNOWN})
async def delete_item(request: Request, serving: Service, item_id: ItemId) -> ItemDeletion:
    """Take an item out of all answers. It stays in the histories of those who met it. Again, it answers the same."""
    check_encoding(request, "item_id")
    return await serving.items.writing.delete(item_id)


async def _put_file(request: Request, serving: Service, item_id: str, kind: Literal["image", "audio"]) -> Response:
    check_encoding(request, "item_id")
    given = request.headers.get("content-type", "").lower()
    if not given.startswith(f"{kind}/"):
        return problem(415, f"Content-Type is {given!r:.100}; send the file itself as {kind}/...")
    # Bytes as they are: the model would take them for base64.
    patch = ItemPatch.model_construct(_fields_set={kind}, **{kind: await request.body()})
    receipt = await serving.items.writing.patch(item_id, patch)
    return Response(receipt.model_dump_json(), media_type=JSON)
