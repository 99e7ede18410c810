"""Event and History: what a user did, in external ids, oldest first, never padded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

RATING, LIKE, DISLIKE, UNDO = "rating", "like", "dislike", "undo"
OPINIONS = frozenset((RATING, LIKE, DISLIKE))
"""Kinds of which the newest on an item takes the place of the older ones; all other kinds add up."""
STANCES = OPINIONS | {UNDO}
"""What is said about an item, or taken back."""
MAX_ID_BYTES = 256


class Event(NamedTuple):
    """One thing that one user did with one item; a tuple, since each answer makes as many as a history has.

    `kind` is "rating", "like", "dislike", "undo" (which takes the opinion on the item back), or any other (a view).
    `value` is the rating in the units of the data, or None for an event without one.
    `timestamp` is in unix seconds. `event_id` identifies the event across retries; `recommendation_id` names the
    answer that led to it. Both may be empty.
    """

    user_id: str
    item_id: str
    kind: str
    value: float | None
    timestamp: float
    event_id: str = ""
    recommendation_id: str = ""


def id_of_content(user_id: str, item_id: str, kind: str, value: float | None, timestamp: float) -> str:
    """Return the event_id of an event that came without one: what says the same is the same event."""
    content = json.dumps((user_id, item_id, kind, value, timestamp), ensure_ascii=False)
    return "import-" + hashlib.sha256(content.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class History:
    """One user's events, oldest first; of the opinions on an item only the newest stays, and none that was undone."""

    events: tuple[Event, ...] = field(default=())

    @classmethod
    def of(cls, events: Iterable[Event]) -> History:
        """Order events that arrived in any order, equal times by arrival; drop opinions that were changed or undone."""
        ordered = sorted(events, key=lambda event: event.timestamp)
        newest = {event.item_id: position for position, event in enumerate(ordered) if event.kind in STANCES}
        kept = (
            event
            for position, event in enumerate(ordered)
            if event.kind not in STANCES or (newest[event.item_id] == position and event.kind != UNDO)
        )
        return cls(tuple(kept))

    def add(self, event: Event) -> History:
        """Return the history with one more event, put where its timestamp belongs; of an undo nothing is remembered."""
        return History.of((*self.events, event))

    def seen(self) -> frozenset[str]:
        """Return the ids of all items in the history, known to a model or not."""
        return frozenset(event.item_id for event in self.events)
