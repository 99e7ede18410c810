"""Recorded data: a data set together with the events that came while the service ran."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from app.recorded_events import RecordedEvents
from app.store import Store
from liverec.tenant_store import TenantStore
from training.dataset import Dataset
from training.recorded_dataset import added, alone

console = Console(stderr=True)


def with_recorded(dataset: Callable[[], Dataset] | None, archive: Path, tenant: str) -> Dataset:
    """Return a data set, if any, with the events of an archive and of the store at REDIS_URL; say how many there are.

    Users who were forgotten are left out of both, as far as the store can be asked.
    """
    base = None if dataset is None else dataset()
    recorded, gone = asyncio.run(_read(base, archive, tenant))
    # Data sets are read lazily: the files under them must stay until the command ends.
    atexit.register(recorded.close)
    if TenantStore.is_set():
        console.print(f"{recorded.archived:,} events are archived, and {recorded.logged:,} in the store beyond them")
    else:
        console.print(
            f"{recorded.archived:,} events are archived; REDIS_URL is not set, so what is not archived yet was not"
            " read, nor who was forgotten"
        )
    if gone:
        console.print(f"{len(gone):,} users of the data were forgotten, and their events left out")
    return alone(archive.name, recorded.rows) if base is None else added(base, recorded.rows, gone)


async def _read(base: Dataset | None, archive: Path, tenant: str) -> tuple[RecordedEvents, list[str]]:
    if not TenantStore.is_set():
        return await RecordedEvents.read(None, archive, tenant), []
    store = await TenantStore.of(tenant).connect()
    try:
        recorded = await RecordedEvents.read(store, archive, tenant)
    finally:
        await store.close()
    return recorded, [] if base is None else _forgotten(base, recorded, store)


def _forgotten(base: Dataset, recorded: RecordedEvents, store: Store) -> list[str]:
    names = {name for users in recorded.forgotten.values() for name in users}
    if not names:
        return []
    user_ids = {
        user_id
        for frame in base.parts.values()
        for user_id in frame.select("user_id").unique().collect(engine="streaming")["user_id"].drop_nulls()
    }
    return [user_id for user_id in user_ids if store.pseudonyms.of_user(user_id) in names]
