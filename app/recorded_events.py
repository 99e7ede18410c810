"""RecordedEvents: all that was ever written and not forgotten: an archive, and what the store's log has beyond it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from app.event_log import EventLog
from app.logged_rows import row_of
from app.store import Store
from archive.archive import Forgotten, doomed_users, united, without
from archive.archive_snapshot import ArchiveSnapshot
from archive.event_rows import IDENTITY, SCHEMA, EventRow, table_of
from engine.errors import ConfigError

READ_AT_ONCE = 1_000
ROWS_OF_FILE = 50_000


@dataclass
class RecordedEvents:
    """A context manager. `rows` is read lazily, as long as it lasts; `archived` and `logged` count before forgetting.

    `forgotten` are users by partition and pseudonym, with the version of their last event that is left out.
    """

    rows: pl.LazyFrame
    archived: int
    logged: int
    snapshot: ArchiveSnapshot | None
    forgotten: Forgotten = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    @classmethod
    async def read(cls, store: Store | None, archive: Path | None, tenant: str = "") -> Self:
        """Read what there is; raises ConfigError if the archive is not the one that the store's events go to."""
        with ExitStack() as files:
            log = pl.LazyFrame(schema=SCHEMA)
            # The log first: what is archived meanwhile is then in both, and never in neither.
            if store is not None:
                log = await _spooled(store, Path(files.enter_context(tempfile.TemporaryDirectory(prefix="liverec-"))))
            snapshot = None if archive is None else files.enter_context(ArchiveSnapshot(archive))
            await _check(store, snapshot, tenant)
            archived = pl.LazyFrame(schema=SCHEMA) if snapshot is None else snapshot.scan()
            both = archived.select(IDENTITY).join(log.select(IDENTITY), on=IDENTITY, how="semi").collect()
            beyond = log.join(both.lazy(), on=IDENTITY, how="anti")
            rows = pl.concat([archived, beyond])
            forgotten: Forgotten = {}
            if store is not None:
                # At last: of who is forgotten while this reads, nothing stays.
                forgotten = await EventLog(store.connection).forgotten()
                if snapshot is not None:
                    forgotten = united(forgotten, snapshot.manifest.forgotten)
                rows = without(rows, doomed_users(rows, forgotten, store.pseudonyms.of_user))
            count = beyond.select(pl.len()).collect().item()
            return cls(rows, snapshot.manifest.rows if snapshot else 0, count, snapshot, forgotten, files.pop_all())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete what was written to read from, and let the archiver delete files again."""
        self._open.close()


async def _spooled(store: Store, folder: Path) -> pl.LazyFrame:
    """Write the log to files: without an archive it may be larger than memory."""
    log, kept, files = EventLog(store.connection), list[EventRow](), list[Path]()
    for partition in range(store.connection.settings.partitions):
        async for lot in log.of_partition(partition, READ_AT_ONCE):
            kept += [row_of(partition, entry) for entry in lot]
            if len(kept) >= ROWS_OF_FILE:
                files.append(_write(folder / f"{len(files)}.parquet", kept))
                kept = []
    files.append(_write(folder / f"{len(files)}.parquet", kept))
    return pl.scan_parquet(files, schema=SCHEMA, hive_partitioning=False, glob=False)


def _write(path: Path, rows: Sequence[EventRow]) -> Path:
    table_of(rows).write_parquet(path)
    return path


async def _check(store: Store | None, snapshot: ArchiveSnapshot | None, tenant: str) -> None:
    if snapshot is not None and snapshot.manifest.tenant != tenant:
        names = [f"tenant {name!r}" if name else "no tenant" for name in (snapshot.manifest.tenant, tenant)]
        raise ConfigError(f"{snapshot.folder} has the events of {names[0]}, not of {names[1]}; give the right --tenant")
    if store is None:
        return
    log, partitions = EventLog(store.connection), store.connection.settings.partitions
    if snapshot is None:
        claimed = await log.archive()
        if claimed is not None:
            raise ConfigError(f"events of this store went to the archive in {claimed[1]}; give it with --archive")
        return
    await log.check_archive(snapshot.manifest.archive_id, str(snapshot.folder.resolve()))
    if snapshot.manifest.partitions != partitions:
        raise ConfigError(
            f"{snapshot.folder} has {snapshot.manifest.partitions} partitions and the store {partitions};"
            " they do not belong together"
        )
