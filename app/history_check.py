"""HistoryCheck: whether every history in the store is what the archive and the log make of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from app.event_encoding import ARRIVAL_DIGITS
from app.recorded_events import RecordedEvents
from app.store import SECONDS_PER_DAY, Store
from app.store_failure import reported
from archive.event_rows import SCHEMA, EventRow
from archive.finding import Finding
from archive.log_id import order_of
from archive.replay import HistoryEntry, differences

USERS_AT_ONCE = 200
ATTEMPTS = 3
"""What is written while this looks makes differences that are gone when it looks again."""


class HistoryCheck:
    """Raises StoreError if the store cannot be reached."""

    def __init__(self, store: Store, archive: Path | None, tenant: str) -> None:
        self._store = store
        self._archive = archive
        self._tenant = tenant
        # The client's own types do not tell bytes from str.
        self._redis: Any = store.connection.redis

    async def findings(self) -> list[Finding]:
        """Compare all users; those that differ are compared again."""
        looked_at, wrong = await self._compare(None)
        for _ in range(1, ATTEMPTS):
            if wrong:
                _, wrong = await self._compare(set(wrong))
        told = [f"user {user_id!r}: {problem}" for user_id, problems in wrong.items() for problem in problems]
        return [Finding.of("histories are what the events make of them", looked_at, told)]

    async def _compare(self, only: set[str] | None) -> tuple[int, dict[str, list[str]]]:
        known, wrong, count = await self._users(), dict[str, list[str]](), 0
        with await RecordedEvents.read(self._store, self._archive, self._tenant) as recorded:
            has_expired = recorded.snapshot is not None and recorded.snapshot.manifest.days_removed is not None
            for partition in range(self._store.connection.settings.partitions):
                written = _by_user(recorded.rows.filter(pl.col("partition") == partition))
                users = known.get(partition, set()) | written.keys()
                chosen = sorted(users if only is None else users & only)
                count += len(chosen)
                for start in range(0, len(chosen), USERS_AT_ONCE):
                    lot = chosen[start : start + USERS_AT_ONCE]
                    wrong |= {
                        user_id: problems
                        for user_id, state in zip(lot, await self._states(lot), strict=True)
                        if (problems := _problems(self._kept(written.get(user_id, [])), state, has_expired=has_expired))
                    }
        return count, wrong

    def _kept(self, rows: Sequence[EventRow]) -> Sequence[EventRow]:
        """Return the rows since the user was last silent for so long that the history went."""
        if not (most := self._store.connection.settings.history_days * SECONDS_PER_DAY):
            return rows
        ordered = sorted(rows, key=lambda row: row.history_version)
        arrived = [*(order_of(row.log_id)[0] / 1_000 for row in ordered), time.time()]
        silent = [place for place, (one, next_one) in enumerate(pairwise(arrived), 1) if next_one - one > most]
        return ordered[max(silent, default=0) :]

    async def _users(self) -> dict[int, set[str]]:
        """Return the users of the store, by partition."""
        users: dict[int, set[str]] = {}
        prefix = self._store.connection.key("{p").encode()
        # What a pattern takes for a wildcard cannot be in the name of a tenant; braces are none.
        with reported():
            async for key in self._redis.scan_iter(prefix + b"*:v:*", count=1_000):
                partition, _, user_id = key[len(prefix) :].partition(b"}:v:")
                if partition.isdigit():
                    users.setdefault(int(partition), set()).add(user_id.decode())
        return users

    async def _states(self, user_ids: Sequence[str]) -> list[tuple[int, list[HistoryEntry], bool]]:
        with reported():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for user_id in user_ids:
                    keys = self._store.connection.keys_of(user_id)
                    pipeline.get(keys.version)
                    pipeline.zrange(keys.history, 0, -1, withscores=True)
                    pipeline.hexists(keys.items, "")
                replies = await pipeline.execute()
        triples = zip(replies[::3], replies[1::3], replies[2::3], strict=True)
        return [(int(version or 0), list(_entries(pairs)), bool(trimmed)) for version, pairs, trimmed in triples]


def _by_user(rows: pl.LazyFrame) -> dict[str, list[EventRow]]:
    written: dict[str, list[EventRow]] = {}
    for row in map(EventRow._make, rows.select(SCHEMA.names()).collect().iter_rows()):
        written.setdefault(row.user_id, []).append(row)
    return written


def _entries(pairs: Iterable[tuple[bytes, float]]) -> Iterator[HistoryEntry]:
    for member, timestamp in pairs:
        item_id, kind, value, _, event_id = json.loads(member[ARRIVAL_DIGITS:])
        yield HistoryEntry(timestamp, int(member[:ARRIVAL_DIGITS]), item_id, kind, value, event_id)


def _problems(rows: Sequence[EventRow], state: tuple[int, list[HistoryEntry], bool], *, has_expired: bool) -> list[str]:
    version, history, is_trimmed = state
    problems = differences(rows, history, is_trimmed=is_trimmed, has_expired=has_expired)
    newest = max((row.history_version for row in rows), default=0)
    if newest > version:
        problems.append(f"the store is at version {version}, but version {newest} was written")
    versions = [row.history_version for row in rows]
    if len(set(versions)) < len(versions):
        problems.append("two of the events have one version")
    return problems
