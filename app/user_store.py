"""UserStore: all that the store holds of one user, to be read, exported or forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from app.event_encoding import decode_entries, log_prefix
from app.exploration_log import EXPOSURES_KEY
from app.history_cursor import HistoryCursor
from app.keys import Keys
from app.logged_event import LoggedEvent
from app.store import Store
from app.store_connection import Arguments
from app.user_answer import OUT_OF_REACH, ExportedEvent, Exposure, Forgetting, HistoryEvent, HistoryPage, UserExport

AT_ONCE = 500
"""Entries of a log that are read, and removed, at once: requests wait meanwhile."""
NEWEST = "+"

Entry = tuple[bytes, dict[bytes, bytes]]
"""The id of an entry of a stream, and its fields."""


class UserStore:
    """Raises StoreError if the store cannot be reached."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = store.connection
        # The client's own types tell neither bytes from str nor what a pipeline may return.
        self._redis: Any = store.connection.redis
        self._exposures_key = store.connection.key(EXPOSURES_KEY)
        self._forget = store.connection.script("forget_user")
        self._forget_entries = store.connection.script("forget_user_entries")

    async def history(self, user_id: str, n: int, before: HistoryCursor) -> HistoryPage:
        """Return up to n events that stand before a place, newest first."""
        keys = self._keys(user_id)
        time = repr(before.timestamp)
        async with self._connection.guarded(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.get(keys.version)
            pipeline.zrevrangebyscore(keys.history, time, time, withscores=True)
            pipeline.zrevrangebyscore(keys.history, f"({time}", "-inf", 0, n + 1, withscores=True)
            version, ties, older = await pipeline.execute()
        entries = [pair for pair in ties if HistoryCursor.of(*pair).arrival < before.arrival] + older
        shown = entries[:n]
        return HistoryPage(
            user_id=user_id,
            history_version=int(version or 0),
            events=[HistoryEvent.of(event) for event in decode_entries(user_id, shown)],
            cursor=HistoryCursor.of(*shown[-1]).encode() if len(entries) > n else None,
        )

    async def export(self, user_id: str) -> UserExport:
        """Return everything that is stored of a user."""
        state = await self._store.read(user_id, "")
        return UserExport(
            user_id=user_id,
            history_version=state.version,
            events=[HistoryEvent.of(event) for event in state.history.events],
            seen_items=sorted(state.history.seen() | state.seen),
            log=[ExportedEvent.of(entry) async for lot in self._events(user_id, NEWEST) for entry in lot],
            exposures=[_exposure(*entry) async for lot in self._exposures(user_id) for entry in lot],
        )

    async def forget(self, user_id: str) -> Forgetting:
        """Remove everything that is stored of a user; what is written meanwhile stays.

        The history goes at once, the logs after it: if that breaks off, repeating completes it.
        """
        keys = self._keys(user_id)
        state = [keys.history, keys.items, keys.opinions, keys.version, keys.cache]
        names, pseudonym = [keys.log, *state, keys.forgotten], self._store.pseudonyms.of_user(user_id)
        [(version, events, seen, cached, last)] = await self._connection.run(self._forget, [(names, [pseudonym])])
        log_entries = event_ids = exposures = 0
        async for lot in self._events(user_id, last.decode()):
            markers = [keys.event(entry.event.event_id) for entry in lot]
            removed, forgotten = await self._remove(keys.log, [entry.log_id for entry in lot], markers, version)
            log_entries, event_ids = log_entries + removed, event_ids + forgotten
        async for shown in self._exposures(user_id):
            ids = [log_id.decode() for log_id, _ in shown]
            exposures += (await self._remove(self._exposures_key, ids, [], version))[0]
        return Forgetting(
            user_id=user_id,
            events=events,
            seen_items=seen,
            log_entries=log_entries,
            event_ids=event_ids,
            cached_answers=cached,
            exposures=exposures,
            history_version=version,
            out_of_reach=OUT_OF_REACH,
        )

    async def count_forgotten(self, user_ids: Iterable[str]) -> int:
        """Return how many of these users were forgotten, so that their offline histories are not loaded."""
        by_key: dict[str, list[str]] = {}
        for user_id in user_ids:
            by_key.setdefault(self._keys(user_id).forgotten, []).append(self._store.pseudonyms.of_user(user_id))
        async with self._connection.guarded():
            found = [await self._redis.hmget(key, pseudonyms) for key, pseudonyms in by_key.items()]
        return sum(version is not None for versions in found for version in versions)

    def _keys(self, user_id: str) -> Keys:
        return self._connection.keys_of(user_id)

    async def _events(self, user_id: str, last: str) -> AsyncIterator[list[LoggedEvent]]:
        prefix = log_prefix(user_id)
        async for lot in self._entries(self._keys(user_id).log, last):
            if own := [LoggedEvent.of_entry(*entry) for entry in lot if entry[1][b"event"].startswith(prefix)]:
                yield own

    async def _exposures(self, user_id: str) -> AsyncIterator[list[Entry]]:
        wanted = user_id.encode()
        async for lot in self._entries(self._exposures_key, NEWEST):
            if own := [entry for entry in lot if entry[1][b"user_id"] == wanted]:
                yield own

    async def _entries(self, stream: str, last: str) -> AsyncIterator[list[Entry]]:
        """Give the entries of a stream up to the id `last`, of an empty one none."""
        start = "-"
        while last:
            async with self._connection.guarded():
                lot = await self._redis.xrange(stream, start, last, AT_ONCE)
            if not lot:
                return
            yield lot
            start = f"({lot[-1][0].decode()}"

    async def _remove(self, stream: str, log_ids: list[str], markers: list[str], version: int) -> tuple[int, int]:
        args: Arguments = [version, *log_ids]
        [(entries, forgotten)] = await self._connection.run(self._forget_entries, [([stream, *markers], args)])
        return entries, forgotten


def _exposure(log_id: bytes, fields: dict[bytes, bytes]) -> Exposure:
    known = {name.decode(): value.decode() for name, value in fields.items() if name != b"user_id"}
    return Exposure.model_validate({"log_id": log_id.decode(), **known})
