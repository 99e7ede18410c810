"""Recorded rows: events of an archive and of the store's log, as training takes them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from archive.archive_snapshot import ArchiveSnapshot
from archive.event_rows import ARRIVAL
from engine.events import STANCES, UNDO
from training.event_frame import COLUMNS

PAIR = ("user_id", "item_id")
CONTENT = ("user_id", "item_id", "kind", "value", "timestamp")
STANCE = pl.col("kind").is_in(sorted(STANCES))


def archived_events(folder: Path) -> pl.LazyFrame:
    """Return the events of an archive as a canonical frame; their files stay until this process ends."""
    events = numbered(ArchiveSnapshot(folder).scan(), 1)
    return resolved(events, events)


def numbered(rows: pl.LazyFrame, first: int) -> pl.LazyFrame:
    """Return rows as a canonical frame, whose row numbers are in the order of arrival and begin with `first`."""
    numbered = rows.sort(ARRIVAL).select(CONTENT).with_row_index("row", offset=first)
    return numbered.with_columns(pl.col("row").cast(pl.UInt64)).select(COLUMNS)


def resolved(events: pl.LazyFrame, recorded: pl.LazyFrame) -> pl.LazyFrame:
    """Keep the newest opinion of those pairs on which something was said online; all else stays for cleaning."""
    pairs = recorded.filter(STANCE).select(PAIR).unique()
    said = events.filter(STANCE).join(pairs, on=PAIR, how="semi")
    newest = said.group_by(PAIR).agg(pl.exclude(PAIR).sort_by("timestamp", "row").last())
    untouched = events.filter(STANCE).join(pairs, on=PAIR, how="anti")
    return pl.concat([events.filter(~STANCE), untouched, newest.filter(pl.col("kind") != UNDO).select(COLUMNS)])
