"""Archiver: moves the log of a store into an archive, each event once, whatever is killed and whenever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from app.event_log import EventLog
from app.logged_rows import row_of
from app.pseudonyms import Pseudonyms
from app.store_connection import StoreConnection
from archive.archive import Archive, Forgotten, united
from archive.event_rows import EventRow
from engine.errors import StoreError

ROWS_AT_ONCE = 50_000
LEAST_SECONDS = 0.05
AWAY_SECONDS = 1.0
NEVER = -1


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did: events that were archived, events that went with their users or by age, files merged."""

    archived: int = 0
    forgotten: int = 0
    expired: int = 0
    merged: int = 0
    is_full: bool = False
    """Whether there may be more to archive at once."""

    def __str__(self) -> str:
        parts = [
            (self.archived, "events archived"),
            (self.forgotten, "events of forgotten users removed"),
            (self.expired, "events removed by age"),
            (self.merged, "files merged"),
        ]
        return ", ".join(f"{count:,} {what}" for count, what in parts if count)


class Archiver:
    """`run` goes on until it is stopped, also when the store is away for a while."""

    def __init__(
        self,
        connection: StoreConnection,
        pseudonyms: Pseudonyms,
        archive: Archive,
        keep_days: int | None = None,
        *,
        takes_over: bool = False,
    ) -> None:
        self._log = EventLog(connection)
        self._pseudonym = pseudonyms.of_user
        self._archive = archive
        self._keep_days = keep_days
        self._takes_over = takes_over
        self._has_claimed = False
        self._each = max(ROWS_AT_ONCE // connection.settings.partitions, 1)

    async def round(self) -> Round:
        """Archive what is there, up to ROWS_AT_ONCE; raises StoreError if the store cannot be reached.

        Also carries out what was forgotten since the last round, and removes and merges files.
        """
        if not self._has_claimed:
            await self._claim()
        # Before the log is read: who is forgotten later than that is found forgotten in the next round.
        # A store that came back from a backup may not know all whom the archive knows.
        forgotten = united(await self._log.forgotten(), self._archive.manifest.forgotten)
        archived, is_full = await self._drain(forgotten)
        gone = await self._forget(forgotten)
        today = _today()
        expired = 0 if self._keep_days is None else self._archive.keep(self._keep_days, today)
        merged = self._archive.compact(today)
        self._archive.clean()
        return Round(archived, gone, expired, merged, is_full)

    async def run(self, stop: asyncio.Event, seconds: float, say: Callable[[str], None]) -> None:
        """Do a round every `seconds` (at least 0.05) until `stop` is set; a round that is under way is completed."""
        is_away = False
        while not stop.is_set():
            try:
                done = await self.round()
            except StoreError as error:
                if not is_away:
                    say(f"waiting for the store: {error}")
                is_away = True
                await _sleep(stop, AWAY_SECONDS)
                continue
            if is_away:
                say("the store is back")
            is_away = False
            if text := str(done):
                say(text)
            await _sleep(stop, 0 if done.is_full else max(seconds, LEAST_SECONDS))

    async def _claim(self) -> None:
        folder = str(self._archive.folder.resolve())
        await self._log.claim(self._archive.manifest.archive_id, folder, takes_over=self._takes_over)
        self._takes_over, self._has_claimed = False, True

    async def _drain(self, forgotten: Forgotten) -> tuple[int, bool]:
        entries = await self._log.oldest(self._each)
        if not entries:
            return 0, False
        # What a crash of the store could still undo must not be archived: it would come again as another event.
        await self._claim()
        rows = [row_of(partition, entry) for partition, lot in entries.items() for entry in lot]
        last = {row: self._last_version(row, forgotten) for row in self._archive.missing(rows)}
        new = [row for row, version in last.items() if row.history_version > version]
        await self._log.forget_event_ids(
            [(row.user_id, row.event_id, version) for row, version in last.items() if row.history_version <= version]
        )
        if new:
            self._archive.append(new)
        await self._log.remove(entries)
        return len(new), max(map(len, entries.values())) == self._each

    async def _forget(self, forgotten: Forgotten) -> int:
        # First, because afterwards the archive cannot tell which event_ids the users had.
        await self._log.forget_event_ids(self._archive.doomed(forgotten, self._pseudonym).rows())
        return self._archive.forget(forgotten, self._pseudonym)

    def _last_version(self, row: EventRow, forgotten: Forgotten) -> int:
        users = forgotten.get(row.partition)
        return users.get(self._pseudonym(row.user_id), NEVER) if users else NEVER


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    if seconds:
        try:
            await asyncio.wait_for(stop.wait(), seconds)
        except TimeoutError:
            return


def _today() -> date:
    return datetime.now(UTC).date()
