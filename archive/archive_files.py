"""ArchiveFiles: the Parquet files below an archive's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from archive.event_rows import SCHEMA, log_order
from archive.manifest import ArchiveFile
from engine.atomic import atomic_file, flush
from engine.errors import DataError
from engine.file_digest import file_digest

EVENTS = "events"


class ArchiveFiles:
    """Writes whole files or none; what no manifest names is no part of the archive."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, number: int, day: str, rows: pl.LazyFrame) -> ArchiveFile | None:
        """Write a file of one day, on disk when this returns; None if there are no rows."""
        name = f"{EVENTS}/day={day}/{number}.parquet"
        path = self._folder / name
        with atomic_file(path) as temporary:
            rows.sink_parquet(temporary, compression="zstd", mkdir=False)
        # A new day's folder must be there after a crash, too.
        flush(path.parent.parent)
        flush(self._folder)
        rows_there, first, last = _span(path)
        if not rows_there:
            path.unlink()
            return None
        size, digest = path.stat().st_size, file_digest(path)
        return ArchiveFile(name=name, day=day, rows=rows_there, bytes=size, sha256=digest, first_id=first, last_id=last)

    def scan(self, files: Sequence[ArchiveFile]) -> pl.LazyFrame:
        """Return the rows of files, lazily."""
        if not files:
            return pl.LazyFrame(schema=SCHEMA)
        paths = [self._folder / file.name for file in files]
        return pl.scan_parquet(paths, schema=SCHEMA, hive_partitioning=False, glob=False)

    def check(self, file: ArchiveFile) -> None:
        """Raise DataError unless a file has the content that the manifest says."""
        path = self._folder / file.name
        try:
            digest = file_digest(path)
        except FileNotFoundError:
            raise DataError(f"{path} is missing. Restore it from a backup.") from None
        if digest != file.sha256:
            raise DataError(f"{path} is not what was written (sha256 {digest[:12]}…). Restore it from a backup.")

    def remove_others(self, files: Sequence[ArchiveFile]) -> None:
        """Delete what killed writers left, and what these files have replaced."""
        named = {self._folder / file.name for file in files}
        for path in list(self._there()):
            if path not in named:
                path.unlink(missing_ok=True)
        for day in (self._folder / EVENTS).glob("day=*"):
            if not any(day.iterdir()):
                day.rmdir()

    def _there(self) -> Iterator[Path]:
        yield from (self._folder / EVENTS).glob("day=*/*")
        yield from self._folder.glob(".*.manifest.json")


def _span(path: Path) -> tuple[int, str, str]:
    ordered = pl.col("log_id").sort_by(log_order())
    query = pl.scan_parquet(path, hive_partitioning=False, glob=False).select(
        pl.len(), ordered.first().alias("first"), ordered.last().alias("last")
    )
    rows, first, last = query.collect().row(0)
    return rows, first, last
