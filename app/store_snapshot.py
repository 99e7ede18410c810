"""StoreSnapshot: reads everything that a store keeps for a tenant, while it is being used."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from app.event_log import ARCHIVE_KEY
from app.exploration_log import EXPOSURES_KEY
from app.item_store import ItemKeys
from app.keys import NO_TENANT, PARTITIONS_KEY
from app.pseudonyms import SECRET_KEY
from app.store_connection import Command, StoreConnection
from app.store_failure import reported
from app.stored_value import FORGOTTEN, LOG, MARKER, VERSION, PartitionKey, StoredValue
from app.trends import HALF_LIVES, LANDMARKS

AT_ONCE = 1_000
"""How many keys, members or entries are read at once: requests wait meanwhile."""
USERS_AT_ONCE = 100
USER_THINGS = ("h", "i", "o")
ITEMS = ItemKeys.of(NO_TENANT)
HASHES = (ARCHIVE_KEY, LANDMARKS, ITEMS.state, ITEMS.media)
SORTED_SETS = (ITEMS.deleted, *(f"{{trend}}:{window}" for window in HALF_LIVES))
TEXTS = (PARTITIONS_KEY, SECRET_KEY)


class StoreSnapshot:
    """Gives event_ids, then users, then logs, then all else: what a history has by then, the log that follows has too.

    A user is read at one moment. What is written meanwhile may be in the log alone; who restores replays it. Cached
    answers are left out, and what follows from the rest (see restored.lua).
    """

    def __init__(self, connection: StoreConnection) -> None:
        self._connection = connection
        # The client's own types tell neither bytes from str nor what a pipeline may return.
        self._redis: Any = connection.redis
        self._user = connection.script("backup_user")

    async def began(self) -> int:
        """Return the store's clock in unix milliseconds."""
        with reported():
            seconds, micros = await self._redis.time()
        return int(seconds) * 1_000 + int(micros) // 1_000

    async def lots(self) -> AsyncIterator[list[StoredValue]]:
        """Give all values in lots; raises StoreError if the store cannot be reached."""
        for read in (self._markers, self._users, self._streams, self._rest):
            async for lot in read():
                yield lot

    async def _markers(self) -> AsyncIterator[list[StoredValue]]:
        async for names in self._names(MARKER):
            now = await self.began()
            with reported():
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for name in names:
                        pipeline.get(self._connection.key(name))
                        pipeline.pttl(self._connection.key(name))
                    replies = await pipeline.execute()
            triples = zip(names, replies[::2], replies[1::2], strict=True)
            yield [_text(name, value, now, left) for name, value, left in triples if value is not None]

    async def _users(self) -> AsyncIterator[list[StoredValue]]:
        async for names in self._names(VERSION):
            for start in range(0, len(names), USERS_AT_ONCE):
                lot, now = names[start : start + USERS_AT_ONCE], await self.began()
                keys = [[name, *(_of_user(name, thing) for thing in USER_THINGS)] for name in lot]
                commands: list[Command] = [([self._connection.key(each) for each in group], []) for group in keys]
                replies = await self._connection.run_unconfirmed(self._user, commands, [])
                yield [value for pair in zip(keys, replies, strict=True) for value in _user_values(*pair, now)]

    async def _streams(self) -> AsyncIterator[list[StoredValue]]:
        for name in (*self._of_partitions(LOG), EXPOSURES_KEY):
            start = "-"
            while entries := await self._ask("xrange", name, start, "+", AT_ONCE):
                yield [_entry(name, log_id, fields) for log_id, fields in entries]
                start = f"({entries[-1][0].decode()}"

    async def _rest(self) -> AsyncIterator[list[StoredValue]]:
        for name in (*self._of_partitions(FORGOTTEN), *HASHES):
            async for found in self._scanned("hscan", name):
                yield [StoredValue(name, "hash", field, value, 0.0, 0) for field, value in found.items()]
        for name in SORTED_SETS:
            async for members in self._scanned("zscan", name):
                yield [StoredValue(name, "zset", member, b"", score, 0) for member, score in members]
        texts = [(name, await self._ask("get", name)) for name in TEXTS]
        yield [_text(name, value, 0, -1) for name, value in texts if value is not None]

    async def _scanned(self, command: str, name: str) -> AsyncIterator[Any]:
        cursor = -1
        while cursor != 0:
            cursor, found = await self._ask(command, name, max(cursor, 0), count=AT_ONCE)
            yield found

    async def _names(self, thing: str) -> AsyncIterator[list[str]]:
        """Give the keys of users, without the tenant; versions each once."""
        seen, cursor = set[str](), -1
        while cursor != 0:
            pattern = self._connection.key(f"{{p*}}:{thing}:*")
            with reported():
                cursor, found = await self._redis.scan(max(cursor, 0), match=pattern, count=AT_ONCE)
            names = {key.decode()[len(self._connection.key("")) :] for key in found} - seen
            # Event_ids may come twice: there are too many of them to remember.
            seen |= names if thing == VERSION else set()
            # An id may look like a key: the pattern alone would take others' for it.
            yield [name for name in names if (key := PartitionKey.of(name)) is not None and key.thing == thing]

    def _of_partitions(self, thing: str) -> Iterator[str]:
        return (f"{{p{partition}}}:{thing}" for partition in range(self._connection.settings.partitions))

    async def _ask(self, command: str, name: str, *args: object, **options: object) -> Any:  # noqa: ANN401
        with reported():
            return await getattr(self._redis, command)(self._connection.key(name), *args, **options)


def _of_user(version_name: str, thing: str) -> str:
    return version_name.replace(f"}}:{VERSION}:", f"}}:{thing}:", 1)


def _user_values(keys: Sequence[str], reply: Sequence[Any], now: int) -> Iterator[StoredValue]:
    """Give the version first: it tells whether the rest is wanted."""
    if not reply:
        return
    version, left, history, items, opinions = reply
    yield _text(keys[0], version, now, -1)
    expires_at = now + left if left >= 0 else 0
    for member, score in zip(history[::2], history[1::2], strict=True):
        yield StoredValue(keys[1], "zset", member, b"", float(score), expires_at)
    for name, pairs in zip(keys[2:], (items, opinions), strict=True):
        for field, value in zip(pairs[::2], pairs[1::2], strict=True):
            yield StoredValue(name, "hash", field, value, 0.0, expires_at)


def _text(name: str, value: bytes, now: int, left: int) -> StoredValue:
    return StoredValue(name, "string", b"", value, 0.0, now + left if left >= 0 else 0)


def _entry(name: str, log_id: bytes, fields: Mapping[bytes, bytes]) -> StoredValue:
    texts = [part.decode() for pair in fields.items() for part in pair]
    return StoredValue(name, "stream", log_id, json.dumps(texts, ensure_ascii=False).encode(), 0.0, 0)
