"""Rating: what POST /rate takes and gives."""

from __future__ import annotations

import time
import uuid
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from engine.errors import QueryError
from engine.events import MAX_ID_BYTES, RATING, Event
from engine.window import HistoryWindow

MAX_EVENTS = 1_000
AT_ONCE = Field(min_length=1, max_length=MAX_EVENTS)


def check_id(value: str) -> str:
    """Return the id if it has 1..256 bytes of UTF-8 and no NUL; raises ValueError otherwise."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError("an id must be valid Unicode") from None
    if not 1 <= size <= MAX_ID_BYTES:
        raise ValueError(f"an id must have 1 to {MAX_ID_BYTES} bytes of UTF-8, not {size}")
    if "\0" in value:
        raise ValueError("an id must not contain a NUL character")
    return value


def spell_integer(value: object) -> object:
    """Return an integer id as text; everything else as it is, for the next check to judge."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def event_time(timestamp: float | None, latest: float) -> float:
    """Return when something happened, in unix seconds; raises QueryError for what is after `latest`."""
    now = time.time()
    if timestamp is None:
        return now
    if timestamp > latest:
        raise QueryError(f"timestamp: {timestamp:.0f} lies in the future; send unix seconds, or none for now")
    # A fast clock is forgiven but not kept, or the next event would count as the older one.
    return min(timestamp, now)


def check_scale(rating: float, item_id: str, window: HistoryWindow) -> None:
    """Raise QueryError for a rating that is not on the scale of the data."""
    low, high = window.rating_scale
    if not low <= rating <= high:
        raise QueryError(f"rating: {rating:g} of item {item_id!r} is outside the scale {low:g}..{high:g}")


ExternalId = Annotated[str, BeforeValidator(spell_integer), AfterValidator(check_id)]


class Rating(BaseModel):
    """One user's rating of one item."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"user_id": "42", "item_id": "50", "rating": 5}]},
    )

    user_id: ExternalId
    """1 to 256 bytes of UTF-8; an integer counts as its digits."""
    item_id: ExternalId
    """The same; the model need not know it."""
    rating: float = Field(allow_inf_nan=False, strict=True)
    """Within the scale of the data that the model was trained on."""
    timestamp: float | None = Field(default=None, ge=0, allow_inf_nan=False, strict=True)
    """Unix seconds; now if not given."""
    event_id: ExternalId | None = None
    """Send the same one again and the rating still counts once."""
    recommendation_id: ExternalId | None = None
    """The answer that led to the rating."""

    def event(self, window: HistoryWindow, latest: float) -> Event:
        """Return the event; raises QueryError if the rating or its time is impossible."""
        check_scale(self.rating, self.item_id, window)
        event_id, led_by = self.event_id or uuid.uuid4().hex, self.recommendation_id or ""
        timestamp = event_time(self.timestamp, latest)
        return Event(self.user_id, self.item_id, RATING, self.rating, timestamp, event_id, led_by)


RATINGS = TypeAdapter(Annotated[list[Rating], AT_ONCE])


def parse_ratings(body: bytes) -> list[Rating]:
    """Read one rating or a list of them; raises pydantic's ValidationError."""
    return RATINGS.validate_json(body) if body.lstrip()[:1] == b"[" else [Rating.model_validate_json(body)]


class Receipt(BaseModel):
    """What became of the events: all of them are on disk."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [{"accepted": 1, "duplicates": 0, "versions": {"42": 184}, "unknown_items": []}]
        },
    )

    accepted: int
    """Events that are new."""
    duplicates: int
    """Events whose event_id was known already."""
    versions: dict[str, int]
    """The history_version of each user after these events; for a repeated one what was answered first."""
    unknown_items: list[str]
    """Items that the model does not know: kept and left out of answers, but no help in choosing others yet."""
