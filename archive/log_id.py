"""Log ids: when an event arrived, and what came before what; `1795400000000-3` is the fourth of its millisecond."""

from __future__ import annotations

from datetime import UTC, datetime

LogOrder = tuple[int, int]


def order_of(log_id: str) -> LogOrder:
    """Return what sorts as the log does; the text of an id does not."""
    milliseconds, _, sequence = log_id.partition("-")
    return int(milliseconds), int(sequence)


def day_of(log_id: str) -> str:
    """Return the day (UTC, as 2026-11-23) on which an event arrived."""
    return datetime.fromtimestamp(order_of(log_id)[0] / 1000, UTC).date().isoformat()
