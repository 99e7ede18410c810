"""Event export: all that was ever written, in one table."""

from __future__ import annotations

import asyncio
from pathlib import Path

import polars as pl
from rich.console import Console

from app.recorded_events import RecordedEvents
from archive.event_file import check_event_file, write_events
from liverec.tenant_store import TenantStore

console = Console(stderr=True)


def export_events(out: Path, archive: Path | None, tenant: str) -> None:
    """Write what an archive and the log of the store at REDIS_URL have to a file."""
    check_event_file(out)
    if archive is not None and not TenantStore.is_set():
        console.print("REDIS_URL is not set, so what is not archived yet is missing, and who was forgotten since")
    with asyncio.run(_read(archive, tenant)) as recorded:
        write_events(recorded.rows, out)
        count = recorded.rows.select(pl.len()).collect(engine="streaming").item()
    console.print(
        f"{count:,} events are in {out}: {recorded.archived:,} were archived, {recorded.logged:,} were not yet"
    )


async def _read(archive: Path | None, tenant: str) -> RecordedEvents:
    if archive is not None and not TenantStore.is_set():
        return await RecordedEvents.read(None, archive, tenant)
    store = await TenantStore.of(tenant).connect()
    try:
        return await RecordedEvents.read(store, archive, tenant)
    finally:
        await store.close()
