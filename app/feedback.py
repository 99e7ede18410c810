"""Feedback: what POST /feedback takes, and the undoing of an opinion."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from app.rating import AT_ONCE, ExternalId, Receipt, event_time
from engine.errors import QueryError
from engine.events import RATING, UNDO, Event
from engine.window import HistoryWindow

MOST_SHOWN = 100
ELSEWHERE = {
    RATING: 'kind: "rating" needs a value; send it to POST /rate',
    UNDO: 'kind: "undo" is what DELETE /rate/{user_id}/{item_id} does; send that',
}


def read_time(value: object) -> object:
    """Return the unix seconds of an ISO 8601 text, UTC where it names no zone; everything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("a timestamp must be unix seconds or ISO 8601, such as 2026-07-01T12:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def check_weight(kind: str, window: HistoryWindow) -> None:
    """Raise QueryError for a kind of feedback that has no weight."""
    if kind in ELSEWHERE:
        raise QueryError(ELSEWHERE[kind])
    if kind not in window.event_weights:
        raise QueryError(
            f"kind: {kind[:MOST_SHOWN]!r} has no weight, only {', '.join(sorted(window.event_weights))} have;"
            " give it one with LIVEREC_FEEDBACK_WEIGHTS"
        )


class Feedback(BaseModel):
    """Something that one user did with one item. Gorse's names of the fields are understood, too."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"user_id": "42", "item_id": "50", "kind": "like"}]},
    )

    user_id: ExternalId = Field(validation_alias=AliasChoices("user_id", "UserId"))
    """1 to 256 bytes of UTF-8; an integer counts as its digits."""
    item_id: ExternalId = Field(validation_alias=AliasChoices("item_id", "ItemId"))
    """The same; the model need not know it."""
    kind: str = Field(validation_alias=AliasChoices("kind", "FeedbackType"), strict=True)
    """One that has a weight: view, click, like, purchase, skip, dislike, and what bundle and settings add."""
    timestamp: Annotated[float | None, BeforeValidator(read_time)] = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        strict=True,
        validation_alias=AliasChoices("timestamp", "Timestamp"),
    )
    """Unix seconds or ISO 8601; now if not given."""
    event_id: ExternalId | None = None
    """Send the same one again and the feedback still counts once."""
    recommendation_id: ExternalId | None = None
    """The answer that led to it."""
    comment: str | None = Field(default=None, validation_alias=AliasChoices("comment", "Comment"))
    """Not kept."""

    def event(self, window: HistoryWindow, latest: float) -> Event:
        """Return the event; raises QueryError if its kind has no weight or its time is impossible."""
        check_weight(self.kind, window)
        event_id, led_by = self.event_id or uuid.uuid4().hex, self.recommendation_id or ""
        return Event(self.user_id, self.item_id, self.kind, None, event_time(self.timestamp, latest), event_id, led_by)


FEEDBACK = TypeAdapter(Annotated[list[Feedback], AT_ONCE])


def parse_feedback(body: bytes) -> list[Feedback]:
    """Read one piece of feedback or a list of them; raises pydantic's ValidationError."""
    return FEEDBACK.validate_json(body) if body.lstrip()[:1] == b"[" else [Feedback.model_validate_json(body)]


@dataclass(frozen=True, slots=True)
class Undo:
    """Takes the opinion of one user on one item back."""

    user_id: str
    item_id: str
    timestamp: float | None = None
    event_id: str | None = None

    def event(self, _window: HistoryWindow, latest: float) -> Event:
        """Return the event; raises QueryError if its time is impossible."""
        event_id = self.event_id or uuid.uuid4().hex
        return Event(self.user_id, self.item_id, UNDO, None, event_time(self.timestamp, latest), event_id)


class UndoReceipt(Receipt):
    """What became of the undoing."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [{"accepted": 1, "duplicates": 0, "versions": {"42": 185}, "unknown_items": [], "removed": 1}]
        },
    )

    removed: int
    """1 if an opinion was taken back, 0 if there was none that is older; for a repeated one what was answered first."""
