"""ArchiveCheck: whether the files of an archive are what its manifest says, and hold each event once."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from archive.archive_snapshot import ArchiveSnapshot
from archive.event_rows import IDENTITY, SCHEMA, log_order
from archive.finding import SHOWN, Finding
from archive.log_id import day_of, order_of
from archive.manifest import ArchiveFile
from engine.errors import DataError

MILLISECONDS_PER_SECOND = 1_000


class ArchiveCheck:
    """Looks at every byte. `dedupe_seconds`: how long an event_id must not come again."""

    def __init__(self, snapshot: ArchiveSnapshot, dedupe_seconds: int) -> None:
        self._snapshot = snapshot
        self._dedupe_seconds = dedupe_seconds

    def findings(self) -> list[Finding]:
        """Return what each check found; where files are damaged, only that."""
        files = self._snapshot.manifest.files
        damaged = [problem for file in files for problem in self._damage(file)]
        intact = Finding.of("files are what was written", len(files), damaged)
        if damaged:
            return [intact]
        return [intact, self._ids(), self._event_ids(), self._offsets()]

    def _damage(self, file: ArchiveFile) -> Iterator[str]:
        try:
            self._snapshot.files.check(file)
        except DataError as error:
            yield str(error)
            return
        rows = pl.scan_parquet(self._snapshot.folder / file.name, hive_partitioning=False, glob=False)
        if rows.collect_schema() != SCHEMA:
            yield f"{file.name}: the columns are {dict(rows.collect_schema())}"
        elif (there := rows.select(pl.len()).collect().item()) != file.rows:
            yield f"{file.name}: it has {there:,} events, the manifest says {file.rows:,}"
        elif {day_of(file.first_id), day_of(file.last_id)} != {file.day}:
            yield f"{file.name}: it has events of other days, from {file.first_id} to {file.last_id}"

    def _ids(self) -> Finding:
        twice = self._snapshot.scan().group_by(IDENTITY).len().filter(pl.col("len") > 1)
        found = twice.sort(IDENTITY).collect(engine="streaming")
        examples = [
            f"{row['log_id']} of partition {row['partition']} is there {row['len']} times"
            for row in found.head(SHOWN).to_dicts()
        ]
        return Finding("each log entry is there once", self._snapshot.manifest.rows, len(found), tuple(examples))

    def _event_ids(self) -> Finding:
        milliseconds = pl.col("log_id").str.split("-").list.first().cast(pl.Int64)
        grouped = self._snapshot.scan().group_by("user_id", "event_id")
        spans = grouped.agg(pl.len(), milliseconds.sort().diff().min().alias("closest")).filter(
            pl.col("closest") < self._dedupe_seconds * MILLISECONDS_PER_SECOND
        )
        found = spans.sort("user_id", "event_id").collect(engine="streaming")
        examples = [
            f"event {row['event_id']!r} of user {row['user_id']!r} is there {row['len']} times"
            for row in found.head(SHOWN).to_dicts()
        ]
        return Finding("each event_id counts once", self._snapshot.manifest.rows, len(found), tuple(examples))

    def _offsets(self) -> Finding:
        manifest = self._snapshot.manifest
        schema = {"partition": pl.Int32, "milliseconds": pl.UInt64, "sequence": pl.UInt64}
        placed = [(partition, *order_of(log_id)) for partition, log_id in manifest.offsets.items()]
        offsets = pl.LazyFrame(placed, schema=schema, orient="row")
        milliseconds, sequence = log_order()
        covered = (milliseconds < pl.col("milliseconds")) | (
            (milliseconds == pl.col("milliseconds")) & (sequence <= pl.col("sequence"))
        )
        rows = self._snapshot.scan().join(offsets, on="partition", how="left")
        beyond = rows.filter(~covered.fill_null(value=False)).select("partition", "log_id")
        found = beyond.sort("partition", "log_id").collect(engine="streaming").rows()
        wrong = [f"{log_id} of partition {partition} is beyond the offset" for partition, log_id in found]
        return Finding.of("offsets cover what is archived", manifest.rows, wrong)
