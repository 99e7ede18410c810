"""Event rows: an entry of the log as a row of a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl


class EventRow(NamedTuple):
    """An event as it was sent (`sent_timestamp`) and as it counts (`timestamp`), both in unix seconds."""

    user_id: str
    item_id: str
    kind: str
    value: float | None
    timestamp: float
    sent_timestamp: float
    event_id: str
    recommendation_id: str
    history_version: int
    partition: int
    log_id: str


SCHEMA = pl.Schema(
    {
        "user_id": pl.String(),
        "item_id": pl.String(),
        "kind": pl.String(),
        "value": pl.Float64(),
        "timestamp": pl.Float64(),
        "sent_timestamp": pl.Float64(),
        "event_id": pl.String(),
        "recommendation_id": pl.String(),
        "history_version": pl.Int64(),
        "partition": pl.Int32(),
        "log_id": pl.String(),
    }
)
IDENTITY = ("partition", "log_id", "user_id", "event_id")
"""What makes two rows one: a store that was set back to a backup may give a log id to another event."""
ARRIVAL = ("user_id", "history_version")
"""In this order the events of a user arrived."""


def table_of(rows: Iterable[EventRow]) -> pl.DataFrame:
    """Return rows as a table of SCHEMA."""
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")


def log_order() -> list[pl.Expr]:
    """Return what sorts rows of one partition as the log does."""
    parts = pl.col("log_id").str.split("-")
    return [parts.list.get(place).cast(pl.UInt64) for place in range(2)]
