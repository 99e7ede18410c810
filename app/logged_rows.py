"""Logged rows: entries of the log as the rows of an archive."""

from __future__ import annotations

import json

from app.event_log import LogEntry
from archive.event_rows import EventRow


def row_of(entry: LogEntry) -> EventRow:
    """Return the row of an entry."""
    event = json.loads(entry.event)
    value = event["value"]
    return EventRow(
        user_id=event["user_id"],
        item_id=event["item_id"],
        kind=event["kind"],
        value=None if value is None else float(value),
        timestamp=entry.timestamp,
        sent_timestamp=float(event["timestamp"]),
        event_id=event["event_id"],
        recommendation_id=event["recommendation_id"],
        history_version=entry.version,
        partition=entry.partition,
        log_id=entry.log_id,
    )
