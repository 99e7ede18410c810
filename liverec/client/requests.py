"""Requests: each call of the service, with its method, path, query, body and answer. Both clients are made of these."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, Unpack

from liverec.client.answers import (
    Answer,
    Answers,
    Deletion,
    Forgetting,
    Health,
    History,
    Item,
    ItemPage,
    ItemReceipt,
    Predictions,
    Receipt,
    SimilarItems,
)
from liverec.client.call import Call, given, segment
from liverec.client.decoding import decode
from liverec.client.events import Feedback, Met, Rating, body_of, new_event_id
from liverec.client.options import (
    BatchQuery,
    ItemFields,
    ListOptions,
    NewItem,
    RankOptions,
    TimedOptions,
    TrendOptions,
)

FILES = ("image", "audio")
LONG_SECONDS = 60.0
"""What reads a whole log takes its time."""


def recommend(user_id: str, **options: Unpack[TimedOptions]) -> Call[Answer]:
    """The best items for a user, from the history as it is now."""
    query, headers = _timed(_spelled(options))
    return Call.get(f"/recommend/{segment(user_id)}", Answer, query, **headers)


def recommend_batch(queries: Sequence[BatchQuery], *, deadline_ms: float | None = None) -> Call[tuple[Answer, ...]]:
    """Up to 100 queries at once; the answers are in their order."""
    body, headers = _timed({"queries": [given(query) for query in queries], "deadline_ms": deadline_ms})
    call = Call.json("POST", "/recommend/batch", Answers, body, headers)
    return Call(
        call.method, call.path, lambda data: call.read(data).answers, content=call.content, headers=call.headers
    )


def session(
    history: Sequence[Met | str], *, user_id: str | None = None, **options: Unpack[TimedOptions]
) -> Call[Answer]:
    """The best items after what somebody met in this session, oldest first; writes nothing.

    A text is the id of an item that was viewed. With `user_id`, the session follows that user's history.
    """
    body, headers = _timed(options)
    met = [body_of(each if isinstance(each, Met) else Met(each)) for each in history]
    return Call.json(
        "POST", "/session/recommend", Answer, {"history": met, **body, **given({"user_id": user_id})}, headers
    )


def rank(user_id: str, items: Sequence[str], **options: Unpack[RankOptions]) -> Call[Answer]:
    """Up to 500 given items, in the order that suits the user."""
    body, headers = _timed(options)
    return Call.json("POST", "/rank", Answer, {"user_id": user_id, "items": list(items), **body}, headers)


def predict(user_id: str, items: Sequence[str]) -> Call[Predictions]:
    """How the user would rate up to 1,000 items."""
    return Call.json("POST", "/predict", Predictions, {"user_id": user_id, "items": list(items)})


def rate(
    user_id: str,
    item_id: str,
    rating: float,
    *,
    timestamp: float | None = None,
    event_id: str | None = None,
    recommendation_id: str | None = None,
) -> Call[Receipt]:
    """Rate one item. It is on disk when this returns, and counts in the very next answer."""
    own_id = event_id or new_event_id()
    return rate_many([Rating(user_id, item_id, rating, timestamp, recommendation_id, own_id)])


def rate_many(ratings: Sequence[Rating]) -> Call[Receipt]:
    """Up to 1,000 ratings at once."""
    return Call.json("POST", "/rate", Receipt, [body_of(each) for each in ratings])


def feedback(
    user_id: str,
    item_id: str,
    kind: str,
    *,
    timestamp: float | None = None,
    event_id: str | None = None,
    recommendation_id: str | None = None,
) -> Call[Receipt]:
    """Say what else a user did with an item: view, click, like, purchase, skip, dislike."""
    own_id = event_id or new_event_id()
    return feedback_many([Feedback(user_id, item_id, kind, timestamp, recommendation_id, own_id)])


def feedback_many(events: Sequence[Feedback]) -> Call[Receipt]:
    """Up to 1,000 of them at once."""
    return Call.json("POST", "/feedback", Receipt, [body_of(each) for each in events])


def undo(user_id: str, item_id: str, *, timestamp: float | None = None, event_id: str | None = None) -> Call[Receipt]:
    """Take away what a user thinks of an item: the rating, like or dislike."""
    query = given({"timestamp": timestamp, "event_id": event_id or new_event_id()})
    return Call("DELETE", f"/rate/{segment(user_id)}/{segment(item_id)}", partial(decode, Receipt), query)


def popular(**options: Unpack[ListOptions]) -> Call[Answer]:
    """What most people like."""
    return Call.get("/popular", Answer, _spelled(options))


def latest(**options: Unpack[ListOptions]) -> Call[Answer]:
    """What came last."""
    return Call.get("/latest", Answer, _spelled(options))


def trending(**options: Unpack[TrendOptions]) -> Call[Answer]:
    """What people turn to now."""
    return Call.get("/trending", Answer, _spelled(options))


def history(user_id: str, *, n: int | None = None, cursor: str | None = None) -> Call[History]:
    """A page of what a user did, newest first; up to 1,000 events."""
    return Call.get(f"/users/{segment(user_id)}/history", History, {"n": n, "cursor": cursor})


def export_user(user_id: str) -> Call[dict[str, Any]]:
    """Everything that is stored of a user, as the service tells it; may take a minute."""
    path = f"/users/{segment(user_id)}/export"
    return Call("GET", path, partial(decode, dict[str, Any]), patience=LONG_SECONDS)


def delete_user(user_id: str) -> Call[Forgetting]:
    """Forget a user; may take a minute."""
    return Call("DELETE", f"/users/{segment(user_id)}", partial(decode, Forgetting), patience=LONG_SECONDS)


def add_item(item_id: str, **fields: Unpack[ItemFields]) -> Call[ItemReceipt]:
    """Add an item, in place of what was there under its id."""
    return add_items([{"item_id": item_id, **fields}])


def add_items(items: Sequence[NewItem]) -> Call[ItemReceipt]:
    """Add up to 1,000 items, all of them or none."""
    return Call.json("POST", "/items", ItemReceipt, [_item_body(item) for item in items])


def patch_item(item_id: str, **changes: Unpack[ItemFields]) -> Call[ItemReceipt]:
    """Change what is named of an item; None removes it."""
    return Call.json("PATCH", _item(item_id), ItemReceipt, _item_body(changes))


def delete_item(item_id: str) -> Call[Deletion]:
    """Take an item out of all answers."""
    return Call("DELETE", _item(item_id), partial(decode, Deletion))


def item(item_id: str) -> Call[Item]:
    """One item with all that is known of it; raises NotFound."""
    # GET /items/... of an id that ends in /similar would be another call.
    return Call("GET", "/items", lambda data: decode(ItemPage, data).items[0], {"item_id": item_id})


def items(*, n: int | None = None, cursor: str | None = None) -> Call[ItemPage]:
    """A page of the items, hidden ones too."""
    return Call.get("/items", ItemPage, {"n": n, "cursor": cursor})


def similar(
    item_id: str, *, n: int | None = None, space: Literal["hybrid", "content", "collaborative"] | None = None
) -> Call[SimilarItems]:
    """Items that are like one item."""
    return Call.get(f"{_item(item_id)}/similar", SimilarItems, {"n": n, "space": space})


def put_image(item_id: str, image: bytes, media_type: str = "image/jpeg") -> Call[ItemReceipt]:
    """Set the image of an item: a JPEG, PNG, WebP or GIF."""
    return _put_file(f"{_item(item_id)}/image", image, media_type)


def put_audio(item_id: str, audio: bytes, media_type: str = "audio/mpeg") -> Call[ItemReceipt]:
    """Set the sound of an item."""
    return _put_file(f"{_item(item_id)}/audio", audio, media_type)


def live() -> Call[Health]:
    """Whether the process runs."""
    return Call.get("/health/live", Health, {})


def ready() -> Call[Health]:
    """Whether the service can answer; raises Unavailable."""
    return Call.get("/health/ready", Health, {})


def _spelled(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options; raises ValueError for what the query of a URL cannot say."""
    if "include" in options and not options["include"]:
        raise ValueError("include: a URL cannot ask for no field at all; name one, or use recommend_batch")
    return options


def _timed(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    body = given(options)
    deadline = body.pop("deadline_ms", None)
    return body, {} if deadline is None else {"X-Deadline-Ms": str(deadline)}


def _item(item_id: str) -> str:
    return f"/items/{segment(item_id)}"


def _item_body(fields: Mapping[str, Any]) -> dict[str, Any]:
    files = {name: base64.b64encode(fields[name]).decode() for name in FILES if fields.get(name) is not None}
    return {**fields, **files}


def _put_file(path: str, content: bytes, media_type: str) -> Call[ItemReceipt]:
    return Call("PUT", path, partial(decode, ItemReceipt), content=content, headers={"Content-Type": media_type})
