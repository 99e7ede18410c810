"""ItemTail: keeps a worker's catalogue in step with the store, from the start of the worker to its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from app.failure_log import log_failure
from app.item_document import ItemDocument
from app.item_encoding import BATCH, ItemEncoding, Vector
from app.item_store import AT_ONCE, LOT, ChangeLog, ItemStore
from app.live_items import LiveItems
from app.metrics import Metrics
from engine.errors import LiverecError, StoreError
from engine.item_content import ItemContent

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
REACH_SECONDS = 5.0
SECONDS_PER_DAY = 86_400.0
logger = logging.getLogger("liverec")


class ItemTail:
    """Loads all items, then follows the log of changes; `applied` is the newest change that the catalogue has.

    It alone changes the catalogue, in the order of the log, so all workers come to know the same.
    """

    def __init__(
        self,
        store: ItemStore,
        log: ChangeLog,
        items: LiveItems,
        encoding: ItemEncoding,
        metrics: Metrics,
        deleted_days: float,
    ) -> None:
        self.applied = 0
        self.lag = 0
        self._last: str | None = None
        self._was_away, self._is_over = False, asyncio.Event()
        self._store = store
        self._log = log
        self._items = items
        self._encoding = encoding
        self._metrics = metrics
        tenant = store.connection.namespace.tenant
        self._lag_gauge = metrics.item_lag.labels(tenant)
        self._dead_rows_gauge = metrics.item_dead_rows.labels(tenant)
        self._deleted_days = deleted_days
        self._moved = asyncio.Condition()
        self._hurry, self._has_stale = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_settled(self) -> bool:
        """Whether the catalogue is what `applied` says: all vectors are this bundle's, and the store was not away."""
        return not self._items.stale and not self.is_away

    @property
    def is_away(self) -> bool:
        """Whether the store could not be reached when it was last asked for changes, or by anybody else."""
        return self._was_away or self._store.is_away

    async def start(self) -> None:
        """Load all items, then go on beside the requests."""
        await self._reload()
        self._store.connection.breaker.on_change.append(self._on_store_change)
        steps = (self._follow, self._refresh, self._forget)
        self._tasks = [asyncio.create_task(self._forever(each)) for each in steps]

    async def stop(self) -> None:
        """End what `start` began."""
        # Until Python 3.12, wait_for may swallow the cancellation, and the client library waits with it.
        self._is_over.set()
        with suppress(ValueError):
            self._store.connection.breaker.on_change.remove(self._on_store_change)
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self._log.close()

    def _on_store_change(self, is_away: bool) -> None:
        """Follow at once when the store is back."""
        if not is_away:
            self._hurry.set()

    async def reach(self, seq: int, seconds: float = REACH_SECONDS) -> None:
        """Return when the catalogue has this change; raises StoreError if that takes too long."""
        self._hurry.set()
        async with self._moved:
            try:
                async with asyncio.timeout(seconds):
                    await self._moved.wait_for(lambda: self.applied >= seq)
            except TimeoutError:
                raise StoreError(
                    f"change {seq} of the items is stored, but this worker has read only {self.applied}; send it again"
                ) from None

    async def measured_lag(self) -> int:
        """Return how many changes the store has that the catalogue lacks; raises StoreError if it cannot be reached."""
        return max(await self._store.seq() - self.applied, 0)

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        pause = FIRST_PAUSE
        while not self._is_over.is_set():
            try:
                await step()
                pause = FIRST_PAUSE
            except StoreError:
                self._was_away = True
                self._metrics.item_tail_failures.labels("store").inc()
            except Exception as error:  # noqa: BLE001 (it is logged)
                # The service must go on answering, and the next try may succeed: an item can be mended or deleted.
                self._metrics.item_tail_failures.labels("unforeseen").inc()
                log_failure("items could not be brought up to date; trying again", error)
            else:
                continue
            self._hurry.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _follow(self) -> None:
        is_certain, changes = await self._changes()
        newest = changes[-1][0] if 0 < len(changes) < AT_ONCE else await self._store.seq()
        # What follows 7 is 8, unless the log was trimmed; and a store that was emptied begins again.
        is_whole = changes[0][0] == self.applied + 1 if changes else newest >= self.applied and not self.lag
        if not (is_certain and is_whole):
            await self._reload()
        elif changes:
            for lot in _lots(list(dict.fromkeys(item_id for _, item_id in changes))):
                await self._apply(await self._read(lot))
            await self._move(*changes[-1])
        self._was_away = False
        self.lag = max(newest - self.applied, 0)
        self._lag_gauge.set(self.lag)
        self._dead_rows_gauge.set(self._items.catalogue.dead_rows)

    async def _changes(self) -> tuple[bool, list[tuple[int, str]]]:
        """Return whether the last change is in the log as it was applied, and what follows it."""
        if not self._was_away or not self.applied:
            return True, await self._log.after(self.applied)
        # A store that was restarted may have lost what it never confirmed, and numbered other changes by it.
        found = await self._log.after(self.applied - 1)
        return found[:1] == [(self.applied, self._last)], found[1:]

    async def _reload(self) -> None:
        # The number before the scan: what changes during it is in the log.
        newest, seen = await self._store.seq(), set[str]()
        async for documents in self._store.scan():
            await self._apply(documents)
            seen |= {each.item_id for each in documents}
        for lot in _lots(self._items.others(seen)):
            await self._apply([_gone(item_id) for item_id in lot])
        await self._move(newest)

    async def _apply(self, documents: Sequence[ItemDocument]) -> None:
        self._items.apply(documents)
        if self._items.stale:
            self._has_stale.set()
        # Requests come in between: they wait for a lot at most.
        await asyncio.sleep(0)

    async def _move(self, seq: int, item_id: str | None = None) -> None:
        async with self._moved:
            self.applied, self._last = seq, item_id
            self._moved.notify_all()

    async def _refresh(self) -> None:
        """Compute vectors again that another content network computed."""
        await self._has_stale.wait()
        found = await self._read(self._items.stale_lot(BATCH))
        documents = [each for each in found if self._items.is_newest(each)]
        done = [each for each in documents if each.model == self._encoding.version]
        renewed = await self._renewed([each for each in documents if each.model != self._encoding.version])
        self._items.apply([each for each in (*done, *renewed) if self._items.is_newest(each)])
        if renewed:
            await self._store.put_vectors(renewed)
        if not self._items.stale:
            self._has_stale.clear()
        elif not documents:
            await asyncio.sleep(FIRST_PAUSE)

    async def _renewed(self, documents: Sequence[ItemDocument]) -> list[ItemDocument]:
        if not documents:
            return []
        media = await self._store.media([each.item_id for each in documents])
        contents = [
            ItemContent(document.metadata, each.image, each.audio)
            for document, each in zip(documents, media, strict=True)
        ]
        vectors = await self._vectors([each.item_id for each in documents], contents)
        version = self._encoding.version or ""
        pairs = zip(documents, vectors, strict=True)
        return [replace(document, model=version, vector=vector) for document, vector in pairs]

    async def _vectors(self, item_ids: Sequence[str], contents: Sequence[ItemContent]) -> list[Vector | None]:
        found: list[Vector | None] = []
        for item_id, reading in zip(item_ids, await self._encoding.readings(contents), strict=True):
            if isinstance(reading, LiverecError):
                # Who may read the log need not be allowed to know the items.
                logger.warning("an item cannot be read by this bundle's content network; its id is logged for debug")
                logger.debug("item %r cannot be read: %s", item_id, reading)
            found.append(None if isinstance(reading, LiverecError) else reading)
        return found

    async def _forget(self) -> None:
        """Let the store forget deleted items, but for those that the bundle would show again."""
        now = time.time()
        await self._store.renew_deleted(sorted(self._items.deleted), now)
        await self._store.forget_deleted(now - self._deleted_days * SECONDS_PER_DAY)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_over.wait(), SECONDS_PER_DAY)

    async def _read(self, item_ids: Sequence[str]) -> list[ItemDocument]:
        """Return the items as they are; what the log has and the store has no more was deleted long ago."""
        found = await self._store.read(item_ids)
        return [each or _gone(item_id) for item_id, each in zip(item_ids, found, strict=True)]


def _gone(item_id: str) -> ItemDocument:
    return ItemDocument(item_id, is_deleted=True)


def _lots(item_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (item_ids[start : start + LOT] for start in range(0, len(item_ids), LOT))
