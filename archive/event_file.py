"""Event files: the tables that `liverec events export` writes; the ending of the name tells the format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from engine.atomic import atomic_file
from engine.errors import ConfigError

WRITERS: Mapping[str, Callable[[pl.LazyFrame, Path], object]] = {
    ".parquet": lambda rows, path: rows.sink_parquet(path),
    # An id may look like a number, or like nothing; quoted it stays a text.
    ".csv": lambda rows, path: rows.sink_csv(path, quote_style="non_numeric", float_scientific=False),
    ".jsonl": lambda rows, path: rows.sink_ndjson(path),
}


def check_event_file(path: Path) -> None:
    """Raise ConfigError unless the name says how to write."""
    if path.suffix not in WRITERS:
        raise ConfigError(f"{path}: the name must end in {', '.join(WRITERS)}")


def write_events(rows: pl.LazyFrame, path: Path) -> None:
    """Write rows to a file, which appears whole or not at all."""
    check_event_file(path)
    with atomic_file(path) as temporary:
        WRITERS[path.suffix](rows, temporary)
