"""Recorded dataset: a data set with the events that came while the service ran."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import polars as pl

from engine.errors import DataError
from training.dataset import ALL, TRAIN, Dataset
from training.recorded_rows import CONTENT, numbered, resolved


def alone(name: str, rows: pl.LazyFrame) -> Dataset:
    """Return a data set of nothing but recorded rows; raises DataError if there are none."""
    events = numbered(rows, 1)
    if events.head(1).collect().is_empty():
        raise DataError(f"{name}: the archive has no events yet, and nothing else was read")
    return Dataset(name, {ALL: resolved(events, events)}, None)


def added(dataset: Dataset, rows: pl.LazyFrame, without: Collection[str] = ()) -> Dataset:
    """Return a data set with recorded rows added to its part "all", or to "train" of a given split.

    Of opinions on an item the newest counts, as online, and an undo takes it back, whichever side it came from. What
    another part has already is left out, and so are the users `without`. Raises DataError for a set without a clock.
    """
    gone = pl.col("user_id").is_in(list(without))
    parts = {name: frame.filter(~gone) if without else frame for name, frame in dataset.parts.items()}
    part = TRAIN if TRAIN in parts else ALL
    events = numbered(rows, 1 + _last_row(dataset.name, parts[part]))
    for other in parts.keys() - {part}:
        events = events.join(parts[other].select(CONTENT), on=CONTENT, how="anti", nulls_equal=True)
    together = pl.concat([parts[part], events])
    return replace(dataset, parts=parts | {part: resolved(together, events)})


def _last_row(name: str, events: pl.LazyFrame) -> int:
    facts = events.select(pl.col("row").max(), pl.col("timestamp").count().alias("timed"), pl.len().alias("count"))
    row, timed, count = facts.collect(engine="streaming").row(0)
    if count and not timed:
        raise DataError(f"{name} has no timestamps, so what is older than the archive's events is unknown; add them")
    return row or 0
