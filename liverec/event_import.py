"""Event import: a table of events goes into the store as if it had been sent, each event once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.progress import Progress

from app.recorded_events import RecordedEvents
from app.store import Outcome, Store
from engine.errors import ConflictError
from engine.events import Event
from liverec.tenant_store import TenantStore
from training.written_events import FIELDS, read_written_events

console = Console(stderr=True)
EVENTS_AT_ONCE = 500
KEY = ("user_id", "event_id")


def import_events(path: Path, archive: Path | None, tenant: str) -> None:
    """Write the events of a file to the store at REDIS_URL. Raises DataError, before anything is written, if one is
    impossible; ConflictError, after all others are written, if event_ids belong to other events.
    """
    source = TenantStore.of(tenant)
    events = read_written_events(path, source.settings.clock_skew_seconds)
    asyncio.run(_import(source, events, archive))


async def _import(source: TenantStore, events: pl.DataFrame, archive: Path | None) -> None:
    store = await source.connect()
    try:
        fresh, forgotten = await _not_recorded(store, events, archive, source.tenant)
        outcomes, conflicts = await _write(store, fresh)
    finally:
        await store.close()
    known = outcomes[Outcome.DUPLICATE] + len(events) - len(fresh) - forgotten
    console.print(f"{outcomes[Outcome.WRITTEN]:,} events were written, {known:,} were there already")
    if forgotten:
        console.print(f"{forgotten:,} events of users who were forgotten were left out")
    if conflicts:
        raise ConflictError(
            f"{outcomes[Outcome.CONFLICT]:,} event_ids belong to other events of their users, for example"
            f" {conflicts[0].event_id!r} of user {conflicts[0].user_id!r}; give those events new ids"
        )


async def _not_recorded(
    store: Store, events: pl.DataFrame, archive: Path | None, tenant: str
) -> tuple[pl.DataFrame, int]:
    """Return the events that neither archive nor log has, and how many are of users who were forgotten."""
    with await RecordedEvents.read(store, archive, tenant) as recorded:
        there = recorded.rows.select(KEY).join(events.lazy().select(KEY), on=KEY, how="semi").unique().collect()
        names = {name for users in recorded.forgotten.values() for name in users}
    user_ids = events["user_id"].unique().to_list() if names else []
    forgotten = [user_id for user_id in user_ids if store.pseudonyms.of_user(user_id) in names]
    allowed = events.filter(~pl.col("user_id").is_in(forgotten))
    return allowed.join(there, on=KEY, how="anti", maintain_order="left"), len(events) - len(allowed)


async def _write(store: Store, events: pl.DataFrame) -> tuple[Counter[Outcome], list[Event]]:
    outcomes, conflicts = Counter[Outcome](), list[Event]()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("events", total=len(events))
        for lot in _lots(events):
            written = await store.write(lot)
            outcomes.update(each.outcome for each in written)
            pairs = zip(lot, written, strict=True)
            conflicts += [event for event, each in pairs if each.outcome is Outcome.CONFLICT]
            progress.advance(task, len(lot))
    return outcomes, conflicts


def _lots(events: pl.DataFrame) -> Iterator[list[Event]]:
    for rows in events.select(FIELDS).iter_slices(EVENTS_AT_ONCE):
        yield [Event(*row) for row in rows.iter_rows()]
