"""BulkEvent: a line, or a row, of what POST /events/bulk takes."""

from __future__ import annotations

import time
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.feedback import check_weight, read_time
from app.rating import ExternalId, check_scale, event_time
from engine.errors import QueryError
from engine.events import RATING, Event, id_of_content
from engine.window import HistoryWindow


class BulkEvent(BaseModel):
    """A rating, or feedback of another kind."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"user_id": "42", "item_id": "50", "rating": 5, "timestamp": 1_750_000_000}]},
    )

    user_id: ExternalId
    """1 to 256 bytes of UTF-8; an integer counts as its digits."""
    item_id: ExternalId
    """The same; the model need not know it."""
    rating: float | None = Field(default=None, allow_inf_nan=False, strict=True)
    """As POST /rate takes it; then there is no kind."""
    kind: str | None = Field(default=None, strict=True)
    """As POST /feedback takes it; then there is no rating."""
    timestamp: Annotated[float | None, BeforeValidator(read_time)] = Field(
        default=None, ge=0, allow_inf_nan=False, strict=True
    )
    """Unix seconds or ISO 8601; now if not given."""
    event_id: ExternalId | None = None
    """Send the same one again and the event still counts once; without it, what says the same counts once."""
    recommendation_id: ExternalId | None = None
    """The answer that led to the event."""

    def event(self, window: HistoryWindow, latest: float) -> Event:
        """Return the event; raises QueryError if it is impossible, or later than `latest` (unix seconds)."""
        kind = self._checked_kind(window)
        timestamp = time.time() if self.timestamp is None else event_time(self.timestamp, latest)
        event_id = self.event_id or self._made_id(kind)
        return Event(self.user_id, self.item_id, kind, self.rating, timestamp, event_id, self.recommendation_id or "")

    def _checked_kind(self, window: HistoryWindow) -> str:
        if self.rating is None and self.kind is not None:
            check_weight(self.kind, window)
            return self.kind
        if self.rating is None or self.kind not in (None, RATING):
            raise QueryError("rating: give either a rating or a kind")
        check_scale(self.rating, self.item_id, window)
        return RATING

    def _made_id(self, kind: str) -> str:
        if self.timestamp is None:
            raise QueryError(
                "event_id: it is missing, and the timestamp too; give one of them, or what is sent again counts twice"
            )
        return id_of_content(self.user_id, self.item_id, kind, self.rating, self.timestamp)
