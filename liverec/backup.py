"""Backup: a copy of what a store holds, made while it is used, and put back into an empty one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.progress import Progress

from app.event_log import ARCHIVE_KEY
from app.logged_event import LoggedEvent
from app.logged_rows import logged_of
from app.pseudonyms import SECRET_KEY, Pseudonyms
from app.store_restoration import StoreRestoration
from app.store_snapshot import StoreSnapshot
from app.stored_value import StoredValue
from archive.archive import Forgotten, united
from archive.archive_snapshot import ArchiveSnapshot
from archive.event_rows import ARRIVAL, SCHEMA, EventRow, log_order
from engine.atomic import atomic_folder, check_target
from engine.errors import ConfigError, DataError
from liverec.backup_folder import BackupFolder, BackupManifest, BackupWriting
from liverec.tenant_store import TenantStore

PRIVATE = 0o700
MARGIN_MILLISECONDS = 1_000
"""What a history has already is recognised, so a little too much does no harm."""
ROWS_AT_ONCE = 20_000
LOST_ARCHIVE = [
    StoredValue(ARCHIVE_KEY, "hash", field, value, 0.0, 0)
    for field, value in ((b"id", b"none"), (b"folder", b"an archive that was given up when the store was restored"))
]
"""Another archive must say that it takes over."""
console = Console(stderr=True)


def backup(out: Path, tenant: str) -> None:
    """Write a backup to a new folder."""
    check_target(out)
    # It holds what users did, and the secret under which those who were forgotten are listed.
    with atomic_folder(out, PRIVATE) as folder:
        manifest = asyncio.run(_backup(folder, tenant))
    rows = sum(entry.rows for entry in manifest.files.values())
    console.print(f"backup {manifest.backup_id} is in {out}: {rows:,} values", soft_wrap=True, highlight=False)


def restore(folder: Path, tenant: str, archive: Path | None = None, *, is_without: bool = False) -> None:
    """Put a backup into an empty store, and what was archived since; repeated after it was stopped, it goes on.

    is_without: whether an archive that the store had is given up.
    """
    opened = BackupFolder.open(folder)
    with ExitStack() as stack:
        snapshot = None if archive is None else stack.enter_context(ArchiveSnapshot(archive))
        replayed, missing = asyncio.run(_restore(opened, tenant, snapshot, is_without))
    said = f"backup {opened.manifest.backup_id} is in the store; {replayed:,} events came from log and archive alone"
    console.print(said, soft_wrap=True, highlight=False)
    if missing:
        console.print(f"[yellow]{missing:,} gaps between events: some that came while it was made are lost[/yellow]")


async def _backup(folder: Path, tenant: str) -> BackupManifest:
    connection = await TenantStore.of(tenant).connection()
    try:
        snapshot, writing = StoreSnapshot(connection), BackupWriting(folder)
        began_at = await snapshot.began()
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("values", total=None)
            async for lot in snapshot.lots():
                writing.add(lot)
                progress.advance(task, len(lot))
        return writing.finish(tenant, connection.settings.partitions, began_at)
    finally:
        await connection.close()


async def _restore(
    opened: BackupFolder, tenant: str, archive: ArchiveSnapshot | None, is_without: bool
) -> tuple[int, int]:
    manifest, connection = opened.manifest, await TenantStore.of(tenant).connection()
    try:
        _check(manifest, connection.settings.partitions, archive)
        _check_archive(opened, archive, is_without)
        secret = opened.text(SECRET_KEY)
        if secret is None:
            raise DataError(f"{opened.folder} is not whole: it has no {SECRET_KEY}; use another backup")
        restoration = StoreRestoration(connection, Pseudonyms(secret), _forgotten(opened, archive))
        await restoration.begin(manifest.backup_id)
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("values", total=sum(entry.rows for entry in manifest.files.values()))
            for lot in opened.values():
                await restoration.put([each for each in lot if not (is_without and each.key == ARCHIVE_KEY)])
                progress.advance(task, len(lot))
            if is_without:
                await restoration.put(LOST_ARCHIVE)
            for events in _archived_since(archive, manifest.began_at):
                await restoration.replay(events, is_logged=False)
            for lot in opened.values():
                await restoration.put_log(lot)
        await restoration.end()
        return restoration.replayed, restoration.missing
    finally:
        await connection.close()


def _check(manifest: BackupManifest, partitions: int, archive: ArchiveSnapshot | None) -> None:
    if manifest.partitions != partitions:
        raise ConfigError(
            f"LIVEREC_PARTITIONS is {partitions} but the backup's store has {manifest.partitions};"
            f" set it to {manifest.partitions}"
        )
    if archive is None:
        return
    other = archive.manifest
    if (other.tenant, other.partitions) != (manifest.tenant, manifest.partitions):
        raise ConfigError(
            f"{archive.folder} has the events of tenant {other.tenant!r} in {other.partitions} partitions, the backup"
            f" has tenant {manifest.tenant!r} in {manifest.partitions}; give the archive of the same store"
        )


def _check_archive(opened: BackupFolder, archive: ArchiveSnapshot | None, is_without: bool) -> None:
    claimed = opened.fields(ARCHIVE_KEY)
    if archive is None and claimed and not is_without:
        raise ConfigError(
            f"the events of this store went to the archive in {claimed['folder']}, which knows more than the backup;"
            " give it with --archive, or give it up with --without-archive"
        )
    if archive is not None and claimed and claimed["id"] != archive.manifest.archive_id:
        raise ConfigError(
            f"{archive.folder} is not the archive of this store, which was in {claimed['folder']}; give that one"
        )


def _forgotten(opened: BackupFolder, archive: ArchiveSnapshot | None) -> Forgotten:
    return united(opened.forgotten(), {} if archive is None else archive.manifest.forgotten)


def _archived_since(archive: ArchiveSnapshot | None, began_at: int) -> Iterator[list[LoggedEvent]]:
    """Give what was logged since the backup began, of each user in the order of arrival."""
    if archive is None:
        return
    rows = archive.scan().filter(log_order()[0] >= began_at - MARGIN_MILLISECONDS)
    for partition in range(archive.manifest.partitions):
        of_partition = rows.filter(pl.col("partition") == partition).sort(ARRIVAL).collect()
        for lot in of_partition.iter_slices(ROWS_AT_ONCE):
            yield [logged_of(EventRow(*row)) for row in lot.select(SCHEMA.names()).iter_rows()]
