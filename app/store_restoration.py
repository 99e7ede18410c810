"""StoreRestoration: puts what a backup has into an empty store."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redis.exceptions import ResponseError

from app.event_encoding import history_entry, log_entry, owner_of_id
from app.item_store import ItemKeys
from app.logged_event import LoggedEvent
from app.pseudonyms import Pseudonyms
from app.store import RESTORING_KEY, SECONDS_PER_DAY
from app.store_connection import Arguments, Command, StoreConnection
from app.store_failure import reported
from app.stored_value import FORGOTTEN, LOG, MARKER, VERSION, PartitionKey, StoredValue
from engine.errors import ConfigError

AT_ONCE = 2_000
USER_THINGS = (VERSION, "h", "i", "o")
KNOWN_ENTRY = "equal or smaller"
"""What the server says of an entry that a stream has already."""
Forgotten = Mapping[int, Mapping[str, int]]
"""By partition the pseudonyms of users who were forgotten, with the version up to which they are."""


class StoreRestoration:
    """First `put` all values, then replay what was archived since, then `put_log`: so events come in their order.

    Users who were forgotten stay so.
    `replayed` counts the events that no history of the backup had, `missing` the gaps before them.
    """

    def __init__(self, connection: StoreConnection, pseudonyms: Pseudonyms, forgotten: Forgotten) -> None:
        self.replayed = self.missing = 0
        self._connection = connection
        # The client's own types tell neither bytes from str nor what a pipeline may return.
        self._redis: Any = connection.redis
        self._pseudonyms = pseudonyms
        self._forgotten = forgotten
        self._last = {name: version for users in forgotten.values() for name, version in users.items()}
        self._left_out = set[str]()
        self._replay = connection.script("place", "replay")
        self._restored = connection.script("restored")

    async def begin(self, backup: str) -> None:
        """Mark the store as being restored; raises ConfigError unless it is empty, or was begun with this backup."""
        mark = self._connection.key(RESTORING_KEY)
        with reported():
            begun = await self._redis.get(mark)
        if begun is None and await self._has_data():
            raise ConfigError("the store is not empty; a backup can only be restored into an empty one")
        if begun not in (None, backup.encode()):
            raise ConfigError(f"the store holds a part of backup {begun.decode()}; go on with that one, or empty it")
        with reported():
            await self._redis.set(mark, backup)
            for partition, users in self._forgotten.items():
                await self._redis.hset(self._connection.key(f"{{p{partition}}}:{FORGOTTEN}"), mapping=dict(users))

    async def put(self, values: Sequence[StoredValue]) -> None:
        """Store values, but for the log and for those of forgotten users. Repeating changes nothing."""
        wanted = [each for each in values if _thing(each) not in (LOG, FORGOTTEN) and not self._is_forgotten(each)]
        for start in range(0, len(wanted), AT_ONCE):
            await self._put(wanted[start : start + AT_ONCE])

    async def put_log(self, values: Sequence[StoredValue]) -> None:
        """Store what of these is in the log, and replay it."""
        await self.replay([_logged(value) for value in values if _thing(value) == LOG], is_logged=True)

    async def replay(self, events: Sequence[LoggedEvent], *, is_logged: bool) -> None:
        """Put events, in their order, into the histories that lack them.

        is_logged: whether they go into the log too, under the ids that they had.
        """
        wanted = [each for each in events if not self._is_forgotten_at(each.event.user_id, each.version)]
        for start in range(0, len(wanted), AT_ONCE):
            lot = wanted[start : start + AT_ONCE]
            replies = await self._connection.run(self._replay, [self._replayed(each, is_logged) for each in lot])
            self.missing += sum(reply == 2 for reply in replies)
            self.replayed += sum(reply > 0 for reply in replies)

    async def end(self) -> None:
        """Put right what follows from the rest, and let the store be used; returns when all is on disk."""
        items = ItemKeys.of(self._connection.namespace)
        await self._connection.run(self._restored, [([items.state, items.media, items.seq, items.media_bytes], [])])
        with reported():
            await self._redis.delete(self._connection.key(RESTORING_KEY))

    async def _has_data(self) -> bool:
        cursor = -1
        while cursor != 0:
            # What a service writes when it starts has no hash tag.
            pattern = self._connection.key("{*")
            with reported():
                cursor, found = await self._redis.scan(max(cursor, 0), match=pattern, count=AT_ONCE)
            if found:
                return True
        return False

    async def _put(self, values: Sequence[StoredValue]) -> None:
        with reported():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for value in values:
                    pipeline.execute_command(*_command(self._connection.key(value.key), value))
                    if value.expires_at:
                        pipeline.pexpireat(self._connection.key(value.key), value.expires_at)
                replies = await pipeline.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, ResponseError) and KNOWN_ENTRY not in str(reply):
                    raise reply

    def _replayed(self, logged: LoggedEvent, is_logged: bool) -> Command:
        event, settings = logged.event, self._connection.settings
        keys = self._connection.keys_of(event.user_id)
        left = int(settings.dedupe_seconds - (time.time() - logged.arrived))
        args: Arguments = [logged.log_id if is_logged else "", log_entry(event), logged.version, logged.timestamp]
        args += [history_entry(event), event.item_id, event.kind, owner_of_id(event)]
        names = [keys.log, keys.history, keys.items, keys.opinions, keys.version, keys.event(event.event_id)]
        names.append(keys.forgotten)
        life = settings.history_days * SECONDS_PER_DAY
        args += [settings.history_limit, max(left, 0), life, self._pseudonyms.of_user(event.user_id)]
        return names, args

    def _is_forgotten(self, value: StoredValue) -> bool:
        key = PartitionKey.of(value.key)
        if key is None or not key.user_id:
            return False
        if key.thing == MARKER:
            return self._is_forgotten_at(key.user_id, int(value.value.partition(b" ")[0]))
        # A user's version comes before all else of the user.
        if key.thing == VERSION and self._is_forgotten_at(key.user_id, int(value.value)):
            self._left_out.add(key.user_id)
        return key.thing in USER_THINGS and key.user_id in self._left_out

    def _is_forgotten_at(self, user_id: str, version: int) -> bool:
        return bool(self._last) and version <= self._last.get(self._pseudonyms.of_user(user_id), -1)


def _thing(value: StoredValue) -> str:
    key = PartitionKey.of(value.key)
    return "" if key is None else key.thing


def _logged(value: StoredValue) -> LoggedEvent:
    parts = [part.encode() for part in json.loads(value.value)]
    return LoggedEvent.of_entry(value.field, dict(zip(parts[::2], parts[1::2], strict=True)))


def _command(key: str, value: StoredValue) -> Iterator[str | bytes | float]:
    if value.kind == "string":
        return iter(("SET", key, value.value))
    if value.kind == "hash":
        return iter(("HSET", key, value.field, value.value))
    if value.kind == "zset":
        return iter(("ZADD", key, value.score, value.field))
    return iter(("XADD", key, value.field, *json.loads(value.value)))
