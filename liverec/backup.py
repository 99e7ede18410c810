"""Backup: a copy of what a store holds, made while it is used, and put back into an empty one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from app.pseudonyms import SECRET_KEY, Pseudonyms
from app.settings import Settings
from app.store_connection import StoreConnection
from app.store_restoration import StoreRestoration
from app.store_snapshot import StoreSnapshot
from engine.atomic import atomic_folder, check_target
from engine.errors import ConfigError, DataError
from liverec.backup_folder import BackupFolder, BackupManifest, BackupWriting

PRIVATE = 0o700
console = Console(stderr=True)


def backup(out: Path, tenant: str) -> None:
    """Write a backup to a new folder."""
    check_target(out)
    with atomic_folder(out) as folder:
        manifest = asyncio.run(_backup(folder, tenant))
    # It holds what users did, and the secret under which those who were forgotten are listed.
    out.chmod(PRIVATE)
    rows = sum(entry.rows for entry in manifest.files.values())
    console.print(f"backup {manifest.backup_id} is in {out}: {rows:,} values", soft_wrap=True, highlight=False)


def restore(folder: Path, tenant: str) -> None:
    """Put a backup into an empty store; repeated after it was stopped, it goes on."""
    opened = BackupFolder.open(folder)
    replayed, missing = asyncio.run(_restore(opened, tenant))
    said = f"backup {opened.manifest.backup_id} is in the store; {replayed:,} events came from the log alone"
    console.print(said, soft_wrap=True, highlight=False)
    if missing:
        console.print(f"[yellow]{missing:,} gaps between events: some that came while it was made are lost[/yellow]")


async def _backup(folder: Path, tenant: str) -> BackupManifest:
    connection = await _connect(tenant)
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


async def _restore(opened: BackupFolder, tenant: str) -> tuple[int, int]:
    manifest, connection = opened.manifest, await _connect(tenant)
    try:
        if manifest.partitions != connection.settings.partitions:
            raise ConfigError(
                f"LIVEREC_PARTITIONS is {connection.settings.partitions} but the backup's store has"
                f" {manifest.partitions}; set it to {manifest.partitions}"
            )
        secret = opened.text(SECRET_KEY)
        if secret is None:
            raise DataError(f"{opened.folder} is not whole: it has no {SECRET_KEY}; use another backup")
        restoration = StoreRestoration(connection, Pseudonyms(secret), opened.forgotten())
        await restoration.begin(manifest.backup_id)
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("values", total=sum(entry.rows for entry in manifest.files.values()))
            for lot in opened.values():
                await restoration.put(lot)
                progress.advance(task, len(lot))
        await restoration.end()
        return restoration.replayed, restoration.missing
    finally:
        await connection.close()


async def _connect(tenant: str) -> StoreConnection:
    settings = Settings.read()
    if settings.redis_url is None:
        raise ConfigError(
            "REDIS_URL is not set; it must name the store (a private one is"
            f" unix://{settings.var.resolve()}/valkey/valkey.sock)"
        )
    return (await StoreConnection.connect(settings.redis_url.get_secret_value(), settings)).of_tenant(tenant)
