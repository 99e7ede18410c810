"""Archive: a folder to which the archiver adds events; a change counts from the moment the manifest is replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from archive.archive_files import EVENTS, ArchiveFiles
from archive.archive_lock import READERS, WRITER, has_readers, writer_lock
from archive.event_rows import IDENTITY, EventRow, table_of
from archive.log_id import day_of, order_of
from archive.manifest import MANIFEST, ArchiveFile, ArchiveManifest
from engine.errors import ConfigError

MOST_FILES_OF_DAY = 32
"""Beyond this, a day's files are merged though it is not over."""
LARGE_ROWS = 1_000_000
"""Files that have so many rows are not merged again."""
Forgotten = Mapping[int, Mapping[str, int]]
Pseudonym = Callable[[str], str]


class Archive:
    """A context manager; only one at a time may write to a folder. Killed at any point, it goes on from its manifest.

    Raises ConfigError for a folder that is used by another, or is of another tenant or number of partitions.
    """

    def __init__(self, folder: Path, tenant: str, partitions: int) -> None:
        self.folder = folder
        _check_folder(folder)
        # What users did is for nobody else on this machine; who shares the folder may change its mode.
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = writer_lock(folder)
        try:
            (folder / READERS).touch()
            self._files = ArchiveFiles(folder)
            self.manifest = _manifest(folder, tenant, partitions)
            self.clean()
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def missing(self, rows: Sequence[EventRow]) -> list[EventRow]:
        """Return the rows that the archive does not have."""
        known = self._known([row for row in rows if self.manifest.is_past(row.partition, row.log_id)])
        return [row for row in rows if (row.partition, row.log_id, row.user_id, row.event_id) not in known]

    def append(self, rows: Sequence[EventRow]) -> None:
        """Add rows that are missing. When this returns they are on disk; before that, none of them is there."""
        added: list[ArchiveFile | None] = []
        for day, of_day in groupby(
            sorted(rows, key=lambda row: day_of(row.log_id)), key=lambda row: day_of(row.log_id)
        ):
            ordered = sorted(of_day, key=lambda row: (row.partition, order_of(row.log_id)))
            added.append(self._written(len(added), day, table_of(ordered).lazy()))
        newest: dict[int, str] = {}
        for row in rows:
            newest[row.partition] = max(newest.get(row.partition, row.log_id), row.log_id, key=order_of)
        self._commit([file for file in added if file], offsets=self.manifest.moved(newest))

    def doomed(self, forgotten: Forgotten, pseudonym: Pseudonym) -> pl.DataFrame:
        """Return the rows (user_id, event_id, last_version) of users who were forgotten since the last time."""
        fresh = self._fresh(forgotten)
        rows = self._files.scan(self.manifest.files if any(fresh.values()) else ())
        return _gone(rows, doomed_users(rows, fresh, pseudonym)).select("user_id", "event_id", "last_version").collect()

    def forget(self, forgotten: Forgotten, pseudonym: Pseudonym) -> int:
        """Remove the events of users who were forgotten since the last time; return how many those were.

        `forgotten`: of each partition the users' pseudonyms and the versions of their last events that must go.
        """
        fresh = self._fresh(forgotten)
        if not any(fresh.values()):
            return 0
        changed = {file: self._without(place, file, fresh, pseudonym) for place, file in enumerate(self.manifest.files)}
        rewritten = {file: new for file, new in changed.items() if new is not file}
        everyone = united(self.manifest.forgotten, fresh)
        self._commit([new for new in rewritten.values() if new], rewritten, forgotten=everyone)
        return sum(file.rows - (new.rows if new else 0) for file, new in rewritten.items())

    def keep(self, days: int, today: date) -> int:
        """Remove the days that are more than `days` before today; return how many events those had."""
        last = (today - timedelta(days=days + 1)).isoformat()
        old = [file for file in self.manifest.files if file.day <= last]
        if old:
            self._commit([], old, days_removed=max(last, self.manifest.days_removed or last))
        return sum(file.rows for file in old)

    def compact(self, today: date) -> int:
        """Merge the files of each day that is over, and of today where there are many; return how many went."""
        merged, replaced = list[ArchiveFile | None](), list[ArchiveFile]()
        for day, of_day in groupby(sorted(self.manifest.files, key=_place), key=lambda file: file.day):
            small = [file for file in of_day if file.rows < LARGE_ROWS]
            if len(small) > (1 if day < today.isoformat() else MOST_FILES_OF_DAY):
                merged.append(self._written(len(merged), day, self._files.scan(small)))
                replaced += small
        if replaced:
            self._commit([file for file in merged if file], replaced)
        return len(replaced)

    def clean(self) -> bool:
        """Delete the files that are no part of the archive; return False if that must wait for somebody who reads."""
        if has_readers(self.folder):
            return False
        self._files.remove_others(self.manifest.files)
        return True

    def _commit(
        self,
        added: Sequence[ArchiveFile],
        removed: Sequence[ArchiveFile] | Mapping[ArchiveFile, object] = (),
        **changes: object,
    ) -> None:
        manifest = self.manifest.with_files(added, removed, **changes)
        manifest.write(self.folder)
        self.manifest = manifest

    def _written(self, place: int, day: str, rows: pl.LazyFrame) -> ArchiveFile | None:
        return self._files.write(self.manifest.next_number + place, day, rows)

    def _known(self, rows: Sequence[EventRow]) -> set[tuple[object, ...]]:
        if not rows:
            return set()
        days = {day_of(row.log_id) for row in rows}
        there = self._files.scan([file for file in self.manifest.files if file.day in days])
        wanted = table_of(rows).lazy().select(IDENTITY)
        return set(there.select(IDENTITY).join(wanted, on=IDENTITY, how="semi").collect().rows())

    def _fresh(self, forgotten: Forgotten) -> Forgotten:
        fresh: dict[int, dict[str, int]] = {}
        for partition, users in forgotten.items():
            seen = self.manifest.forgotten.get(partition, {})
            fresh[partition] = {name: version for name, version in users.items() if version > seen.get(name, -1)}
        return fresh

    def _without(self, place: int, file: ArchiveFile, fresh: Forgotten, pseudonym: Pseudonym) -> ArchiveFile | None:
        rows = self._files.scan([file])
        doomed = doomed_users(rows, fresh, pseudonym)
        if not _gone(rows, doomed).select(pl.len()).collect().item():
            return file
        return self._written(place, file.day, without(rows, doomed))


def united(*lists: Forgotten) -> dict[int, dict[str, int]]:
    """Return all users who were forgotten, each with the highest of the versions."""
    everyone: dict[int, dict[str, int]] = {}
    for partition, users in (each for forgotten in lists for each in forgotten.items()):
        known = everyone.setdefault(partition, {})
        for name, version in users.items():
            known[name] = max(version, known.get(name, version))
    return everyone


def doomed_users(rows: pl.LazyFrame, forgotten: Forgotten, pseudonym: Pseudonym) -> pl.DataFrame:
    """Return which users of some rows were forgotten, with the version of their last event that must go."""
    partitions = [partition for partition, users in forgotten.items() if users]
    pairs = rows.filter(pl.col("partition").is_in(partitions)).select("partition", "user_id").unique().collect().rows()
    last = {user_id: forgotten[partition].get(pseudonym(user_id)) for partition, user_id in pairs}
    doomed = [(user_id, version) for user_id, version in last.items() if version is not None]
    return pl.DataFrame(doomed, schema={"user_id": pl.String, "last_version": pl.Int64}, orient="row")


def without(rows: pl.LazyFrame, doomed: pl.DataFrame) -> pl.LazyFrame:
    """Return the rows that users who were forgotten have left, or have made since."""
    joined = rows.join(doomed.lazy(), on="user_id", how="left", maintain_order="left")
    return joined.filter(pl.col("history_version") > pl.col("last_version").fill_null(-1)).drop("last_version")


def _gone(rows: pl.LazyFrame, doomed: pl.DataFrame) -> pl.LazyFrame:
    return rows.join(doomed.lazy(), on="user_id").filter(pl.col("history_version") <= pl.col("last_version"))


def _place(file: ArchiveFile) -> tuple[str, int]:
    return file.day, int(Path(file.name).stem)


def _check_folder(folder: Path) -> None:
    if not folder.exists() or (folder / MANIFEST).exists():
        return
    others = [entry.name for entry in folder.iterdir() if entry.name not in (WRITER, READERS, EVENTS)]
    if foreign := [name for name in others if not name.startswith(".")]:
        raise ConfigError(f"{folder} is no archive, and has {foreign[0]} in it; choose a folder of its own")


def _manifest(folder: Path, tenant: str, partitions: int) -> ArchiveManifest:
    if not (folder / MANIFEST).exists():
        made = ArchiveManifest(tenant=tenant, partitions=partitions)
        made.write(folder)
        return made
    manifest = ArchiveManifest.read(folder)
    if manifest.tenant != tenant:
        mine, other = (f"tenant {name!r}" if name else "no tenant" for name in (manifest.tenant, tenant))
        raise ConfigError(f"{folder} has the events of {mine}, not of {other}; give each tenant a folder of its own")
    if manifest.partitions != partitions:
        raise ConfigError(
            f"{folder} was made with {manifest.partitions} partitions and LIVEREC_PARTITIONS is {partitions};"
            f" set it to {manifest.partitions}, or choose another folder"
        )
    return manifest
