"""BulkWriting: what an upload needs of the service."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Container, Sequence

from app.bulk_event import BulkEvent
from app.bulk_lot import BulkLot
from app.bulk_store import BulkStore
from app.event_writing import EventWriting
from app.metrics import Metrics
from app.store import Outcome, Store
from engine.errors import QueryError
from engine.events import Event
from engine.recommender import Recommender


class BulkWriting:
    """What POST /rate does for a few events, for many."""

    def __init__(self, store: Store, recommender: Recommender, metrics: Metrics, writing: EventWriting) -> None:
        self._store = BulkStore(store)
        self._recommender = recommender
        self._metrics = metrics
        self._writing = writing
        settings = store.connection.settings
        self._clock_skew_seconds = settings.clock_skew_seconds
        self.most_events = settings.max_upload_events

    def too_many(self) -> QueryError:
        """Return why an upload of more than `most_events` ends."""
        return QueryError(
            f"an upload may have {self.most_events} events (LIVEREC_MAX_UPLOAD_EVENTS); send the rest in another"
        )

    def lot(self, timed_here: Container[str]) -> BulkLot:
        """Return an empty lot."""
        return self._store.lot(timed_here)

    def event(self, row: BulkEvent) -> Event:
        """Return the event of a row; raises QueryError if it is impossible."""
        return row.event(self._recommender.window, time.time() + self._clock_skew_seconds)

    async def write(self, lot: BulkLot) -> list[Outcome]:
        """Write a lot; returns when it is on disk."""
        outcomes = await self._store.write(lot)
        for outcome, count in Counter(outcomes).items():
            self._metrics.events.labels(outcome.name.lower()).inc(count)
        return outcomes

    def unknown_items(self, events: Sequence[Event]) -> int:
        """Return how many events are of items that the model does not know."""
        known = self._recommender.items.vocabulary
        return sum(event.item_id not in known for event in events)

    async def on_written(self, events: Sequence[Event]) -> None:
        """Do what is to be done after events are on disk; it does not raise."""
        await self._writing.on_written(events)
