"""Logged rows: entries of the log as the rows of an archive, and back."""

from __future__ import annotations

from app.logged_event import LoggedEvent
from archive.event_rows import EventRow
from engine.events import Event


def row_of(partition: int, logged: LoggedEvent) -> EventRow:
    """Return the row of an entry of a partition's log."""
    event = logged.event
    return EventRow(
        user_id=event.user_id,
        item_id=event.item_id,
        kind=event.kind,
        value=None if event.value is None else float(event.value),
        timestamp=logged.timestamp,
        sent_timestamp=float(event.timestamp),
        event_id=event.event_id,
        recommendation_id=event.recommendation_id,
        history_version=logged.version,
        partition=partition,
        log_id=logged.log_id,
    )


def logged_of(row: EventRow) -> LoggedEvent:
    """Return the entry that a row was made of."""
    sent = row.user_id, row.item_id, row.kind, row.value, row.sent_timestamp, row.event_id, row.recommendation_id
    return LoggedEvent(row.log_id, Event(*sent), row.history_version, row.timestamp)
