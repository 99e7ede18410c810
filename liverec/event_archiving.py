"""EventArchiving: what `liverec archive` does."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console

from app.archiver import Archiver, Round
from app.store import Store
from archive.archive import Archive
from engine.errors import StoreError
from liverec.tenant_store import TenantStore

console = Console(stderr=True)
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class EventArchiving:
    """Where the archive is, and whose events it gets."""

    out: Path
    tenant: str
    keep_days: int | None
    takes_over: bool

    def run(self, every: float, *, once: bool) -> None:
        """Archive until SIGTERM or SIGINT, or once."""
        asyncio.run(self._run(every, once=once))

    async def _run(self, every: float, *, once: bool) -> None:
        source = TenantStore.of(self.tenant)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        with Archive(self.out, self.tenant, source.settings.partitions) as archive:
            store = await source.connect() if once else await _patient(source, stop)
            if store is None:
                return
            try:
                await self._archive(store, archive, stop, every, once=once)
            finally:
                await store.close()

    async def _archive(self, store: Store, archive: Archive, stop: asyncio.Event, every: float, *, once: bool) -> None:
        keep = self.keep_days or store.connection.settings.archive_days
        archiver = Archiver(store.connection, store.pseudonyms, archive, keep, takes_over=self.takes_over)
        if not once:
            await archiver.run(stop, every, _say)
            return
        done = Round(is_full=True)
        while done.is_full and not stop.is_set():
            done = await archiver.round()
            if text := str(done):
                _say(text)
        _say(f"{archive.manifest.rows:,} events are in {self.out}")


async def _patient(source: TenantStore, stop: asyncio.Event) -> Store | None:
    """Connect to a store that may not be there yet."""
    is_told = False
    while not stop.is_set():
        try:
            return await source.connect()
        except StoreError as error:
            if not is_told:
                _say(f"waiting for the store: {error}")
            is_told = True
            try:
                await asyncio.wait_for(stop.wait(), RETRY_SECONDS)
            except TimeoutError:
                continue
    return None


def _say(text: str) -> None:
    console.print(f"{datetime.now().astimezone():%H:%M:%S} {text}", markup=False, highlight=False, soft_wrap=True)
