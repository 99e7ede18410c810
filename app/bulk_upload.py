"""BulkUpload: takes the rows of one upload to the store, lot by lot, and tells how far it has come."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Literal

from pydantic import ValidationError

from app.bulk_lot import BulkLot
from app.bulk_report import BulkReport
from app.bulk_rows import BulkRows, Row
from app.bulk_writing import BulkWriting
from app.problems import validation_detail
from app.store import Outcome
from engine.errors import ConflictError, LiverecError, QueryError

OnError = Literal["stop", "skip"]
EVENTS_OF_A_LOT = 1_024
REPORT_SECONDS = 1.0
REPORTS_PER_TIME = 60
"""The longer an upload takes, the rarer its reports: so few that they need not be read before the upload is over."""


class BulkUpload:
    """While one lot is on its way to the disk the next one is read, and no more: who sends faster is kept waiting."""

    def __init__(self, rows: BulkRows, writing: BulkWriting, on_error: OnError) -> None:
        self._rows = rows
        self._writing = writing
        self._on_error = on_error
        self._report = BulkReport()
        self._fault: LiverecError | None = None
        self._taken = 0
        self._timed_here: set[str] = set()
        self._lot, self._numbers = writing.lot(self._timed_here), list[int]()
        self._line = 0
        self._sent: asyncio.Task[None] | None = None
        self._began = self._reported = self._flushed = time.monotonic()

    async def reports(self) -> AsyncGenerator[BulkReport, None]:
        """Give a report now and then, and one at the end.

        Raises StoreError, and QueryError or ConflictError for a row that is wrong if it is to stop there; the error has
        the report as members. ClientDisconnect if the client has gone.
        """
        try:
            async for rows in self._pieces():
                await self._take(rows)
                if self._is_due():
                    yield self._report
                # Others' requests come between.
                await asyncio.sleep(0)
            await self._flush()
            await self._settle()
            if self._fault is not None:
                raise self._fault
        except LiverecError as error:
            await self._drop()
            error.members |= self._report.members()
            raise
        finally:
            await self._drop()
        self._report.done = True
        yield self._report

    async def _pieces(self) -> AsyncIterator[list[Row]]:
        try:
            async for rows in self._rows.pieces():
                yield rows
                if self._fault is not None:
                    return
        except QueryError as error:
            self._fault = error

    async def _take(self, rows: list[Row]) -> None:
        for number, content in rows:
            if self._taken == self._writing.most_events:
                self._fault = self._writing.too_many()
                return
            self._taken += 1
            try:
                self._add(number, content)
            except ValidationError as error:
                self._refuse(number, QueryError(f"line {number}: {validation_detail(error)}"))
            except QueryError as error:
                self._refuse(number, QueryError(f"line {number}: {error}"))
            if self._fault is not None:
                return
            self._line = number
        if len(self._lot.events) >= EVENTS_OF_A_LOT or time.monotonic() - self._flushed > REPORT_SECONDS:
            await self._flush()

    def _add(self, number: int, content: object) -> None:
        row = self._rows.event(content)
        event = self._writing.event(row)
        if row.timestamp is None:
            self._timed_here.add(event.event_id)
        self._lot.add(event)
        self._numbers.append(number)

    def _refuse(self, number: int, error: LiverecError) -> None:
        self._report.refuse(number, str(error))
        if self._on_error == "stop":
            self._fault = self._fault or error

    async def _flush(self) -> None:
        """Send what has come, once what was sent before is on disk."""
        await self._settle()
        lot, numbers, line = self._lot, self._numbers, self._line
        self._timed_here = set()
        self._lot, self._numbers = self._writing.lot(self._timed_here), []
        self._flushed = time.monotonic()
        self._sent = asyncio.create_task(self._write(lot, numbers, line))

    async def _settle(self) -> None:
        if self._sent is not None:
            sent, self._sent = self._sent, None
            await sent

    async def _write(self, lot: BulkLot, numbers: list[int], line: int) -> None:
        outcomes = await self._writing.write(lot)
        counts, report = Counter(outcomes), self._report
        report.accepted += counts[Outcome.WRITTEN]
        report.duplicates += counts[Outcome.DUPLICATE]
        report.line = line
        new = [event for event, each in zip(lot.events, outcomes, strict=True) if each is Outcome.WRITTEN]
        report.unknown_items += self._writing.unknown_items(new)
        if counts[Outcome.CONFLICT]:
            self._refuse_conflicts(lot, numbers, outcomes)
        await self._writing.on_written(new)

    def _refuse_conflicts(self, lot: BulkLot, numbers: list[int], outcomes: list[Outcome]) -> None:
        for event, number, outcome in zip(lot.events, numbers, outcomes, strict=True):
            if outcome is Outcome.CONFLICT:
                detail = f"line {number}: event_id {event.event_id!r} was used before for another event of that user"
                self._refuse(number, ConflictError(f"{detail}; give it another one"))

    def _is_due(self) -> bool:
        now = time.monotonic()
        pause = max(REPORT_SECONDS, (now - self._began) / REPORTS_PER_TIME)
        if now - self._reported < pause:
            return False
        self._reported = now
        return True

    async def _drop(self) -> None:
        """Leave nothing under way."""
        if self._sent is not None:
            sent, self._sent = self._sent, None
            await asyncio.gather(sent, return_exceptions=True)
