"""Written events: a table of events that are to be written to the store, checked row by row."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl

from engine.errors import DataError
from engine.events import MAX_ID_BYTES, RATING, id_of_content
from training.event_frame import canonical_events
from training.layouts import read_table
from training.tables import ROW, reading

FIELDS = ("user_id", "item_id", "kind", "value", "timestamp", "event_id", "recommendation_id")
MOST_KIND_CHARACTERS = 64
SHOWN_ROWS = 5
NAMED = ("event_id", "recommendation_id")


def read_written_events(path: Path, clock_skew_seconds: float) -> pl.DataFrame:
    """Read a .parquet, .csv or .jsonl with user_id, item_id, timestamp, and kind, value, event_id, recommendation_id
    where they are known.

    An event without event_id gets one that is made of its content: reading it again gives the same. Events come back
    in the order of their times. Raises DataError naming the rows that cannot be written.
    """
    table = read_table(path)
    core = canonical_events(table, {})
    there = [name for name in NAMED if name in table.columns]
    with reading(table):
        named = table.frame.select(pl.col(ROW).alias("row"), *(pl.col(name).cast(pl.String) for name in there))
        events = core.join(named, on="row", how="left", maintain_order="left").collect()
    missing = [pl.lit("").alias(name) for name in NAMED if name not in there]
    events = events.with_columns(*missing).with_columns(pl.col(NAMED).fill_null(""))
    _check(path, events, time.time() + clock_skew_seconds)
    return _identified(events).sort("timestamp", "row", maintain_order=True)


def _check(path: Path, events: pl.DataFrame, latest: float) -> None:
    timestamp, value, is_rating = pl.col("timestamp"), pl.col("value"), pl.col("kind") == RATING
    # What comes out as null is no problem that the rule is about.
    rules = {
        **{f"{name} must have 1 to {MAX_ID_BYTES} bytes and no NUL": ~_is_id(name) for name in ("user_id", "item_id")},
        **{
            f"{name} has more than {MAX_ID_BYTES} bytes, or a NUL": (pl.col(name) != "") & ~_is_id(name)
            for name in NAMED
        },
        f"kind must have 1 to {MOST_KIND_CHARACTERS} printable characters": ~_is_kind(),
        "a rating needs a value that is a finite number": is_rating & ~value.is_finite().fill_null(value=False),
        "only a rating has a value": ~is_rating & value.is_not_null(),
        "the timestamp is missing, negative or no number": ~(timestamp >= 0).fill_null(value=False)
        | ~timestamp.is_finite(),
        "the timestamp lies in the future": timestamp > latest,
    }
    for rule, bad in rules.items():
        rows = events.filter(bad.fill_null(value=True))["row"]
        if len(rows):
            listed = ", ".join(map(str, rows.head(SHOWN_ROWS)))
            raise DataError(f"{path}: {rule}: {len(rows):,} rows, for example {listed}. Nothing was written.")


def _is_id(name: str) -> pl.Expr:
    size = pl.col(name).str.len_bytes()
    return size.is_between(1, MAX_ID_BYTES) & ~pl.col(name).str.contains("\0", literal=True)


def _is_kind() -> pl.Expr:
    kind = pl.col("kind")
    return kind.str.len_chars().is_between(1, MOST_KIND_CHARACTERS) & ~kind.str.contains(r"\p{C}")


def _identified(events: pl.DataFrame) -> pl.DataFrame:
    nameless = events.filter(pl.col("event_id") == "")
    # Rows that are the same in all are one event that is there twice.
    made = [id_of_content(*row) for row in nameless.select(FIELDS[:5]).iter_rows()]
    ids = nameless.select("row").with_columns(made=pl.Series(made, dtype=pl.String))
    joined = events.join(ids, on="row", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("made", "event_id").alias("event_id")).drop("made")
