"""EventWriting: writes ratings, feedback and undoing; what is acknowledged is on disk."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.feedback import Undo, UndoReceipt
from app.metrics import Metrics
from app.rating import Receipt
from app.store import Outcome, Store, Written
from engine.errors import ConflictError, StoreError
from engine.events import Event
from engine.recommender import Recommender
from engine.window import HistoryWindow


class EventDraft(Protocol):
    """A rating, feedback or undoing as it was sent."""

    @property
    def timestamp(self) -> float | None:
        """In unix seconds; None for now."""

    def event(self, window: HistoryWindow, latest: float) -> Event:
        """Return the event; raises QueryError if it is impossible, or later than `latest` (unix seconds)."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What is answered, and the events that are new: `on_written` gets them once it is answered."""

    receipt: Receipt
    events: tuple[Event, ...]


class EventWriting:
    """What POST /rate, POST /feedback and DELETE /rate do.

    `on_written` is awaited after the answer with the events that are new; it must not raise.
    """

    def __init__(self, store: Store, recommender: Recommender, metrics: Metrics) -> None:
        self.on_written: Callable[[Sequence[Event]], Awaitable[None]] = _nothing
        self._store = store
        self._recommender = recommender
        self._metrics = metrics

    async def undo(self, undo: Undo) -> Acknowledged:
        """Take an opinion back; returns when that is on disk."""
        events, written = await self._write([undo])
        receipt = self._receipt(events, written)
        return Acknowledged(UndoReceipt(**dict(receipt), removed=written[0].removed), _new(events, written))

    async def write(self, drafts: Sequence[EventDraft]) -> Acknowledged:
        """Write events; returns when they are on disk. All are checked before any is written.

        Raises ConflictError, the others being written, for an event_id that another event has.
        """
        events, written = await self._write(drafts)
        return Acknowledged(self._receipt(events, written), _new(events, written))

    async def _write(self, drafts: Sequence[EventDraft]) -> tuple[list[Event], list[Written]]:
        latest = time.time() + self._store.connection.settings.clock_skew_seconds
        events = [draft.event(self._recommender.window, latest) for draft in drafts]
        timed_here = {event.event_id for event, draft in zip(events, drafts, strict=True) if draft.timestamp is None}
        try:
            written = await self._store.write(events, timed_here)
        except StoreError as error:
            # With these ids the client can repeat the events, and none will count twice.
            raise StoreError(str(error), event_ids=[event.event_id for event in events]) from error
        for outcome, count in Counter(each.outcome for each in written).items():
            self._metrics.events.labels(outcome.name.lower()).inc(count)
        if conflicts := _of(Outcome.CONFLICT, events, written):
            # An error has no task that runs after it.
            await self.on_written(_new(events, written))
            raise _conflict(conflicts, self._receipt(events, written))
        return events, written

    def _receipt(self, events: Sequence[Event], written: Sequence[Written]) -> Receipt:
        versions: dict[str, int] = {}
        for event, each in zip(events, written, strict=True):
            versions[event.user_id] = max(each.version, versions.get(event.user_id, 0))
        known = self._recommender.items.vocabulary
        return Receipt(
            accepted=len(_of(Outcome.WRITTEN, events, written)),
            duplicates=len(_of(Outcome.DUPLICATE, events, written)),
            versions=versions,
            unknown_items=sorted({event.item_id for event in events if event.item_id not in known}),
        )


async def _nothing(_events: Sequence[Event]) -> None: ...


def _of(outcome: Outcome, events: Sequence[Event], written: Sequence[Written]) -> tuple[Event, ...]:
    return tuple(event for event, each in zip(events, written, strict=True) if each.outcome is outcome)


def _new(events: Sequence[Event], written: Sequence[Written]) -> tuple[Event, ...]:
    return _of(Outcome.WRITTEN, events, written)


def _conflict(events: Sequence[Event], receipt: Receipt) -> ConflictError:
    ids = [event.event_id for event in events]
    return ConflictError(
        f"event_id {ids[0]!r} was used before for another event of that user; send those in `conflicts` with new ids,"
        " the others are done",
        conflicts=ids,
        **receipt.model_dump(),
    )
