"""ItemStore: the items that were added or changed while the service ran, and the log of their changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.item_document import ItemDocument
from app.keys import Namespace
from app.store_connection import Arguments, StoreConnection
from engine.errors import FullError

LOG_LENGTH = 100_000
AT_ONCE = 200
"""How many items are fetched at once: each may have 40 KB."""
LOT = 20
"""How many are decoded and taken over at once: requests wait meanwhile."""
WAIT_SECONDS = 1.0
KEEP, NONE = b"=", b"-"
DONE, CHANGED, ITEMS_FULL, DELETED_FULL, MEDIA_FULL = range(5)


class ItemKeys(NamedTuple):
    """Where the items lie; all under one hash tag, so that a script may touch them all, on a cluster too."""

    state: str
    media: str
    log: str
    seq: str
    deleted: str
    media_bytes: str

    @classmethod
    def of(cls, namespace: Namespace) -> ItemKeys:
        """Return the keys of a tenant's items."""
        return cls(*(namespace.key(f"{{items}}:{name}") for name in cls._fields))


@dataclass(frozen=True, slots=True)
class Media:
    """Image and audio of an item, as files hold them."""

    image: bytes | None = None
    audio: bytes | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to become of an item.

    `expected` is the seq that it must still have (0: the store must not know it), None if anything may be overwritten.
    image and audio are the bytes, b"" to have none, None to leave what is there.
    """

    document: ItemDocument
    expected: int | None = None
    image: bytes | None = None
    audio: bytes | None = None

    def arguments(self) -> Arguments:
        """Return what put.lua takes for an item."""
        expected = "" if self.expected is None else str(self.expected)
        document = self.document
        flags = ("true" if each else "false" for each in (document.is_deleted, document.of_bundle))
        media = (_media_argument(each) for each in (self.image, self.audio))
        return [document.item_id, expected, repr(document.added_at), *flags, document.tail(), *media]


class ItemStore:
    """All keys share one hash tag, and each write is one script; raises StoreError if the store cannot be reached."""

    def __init__(self, connection: StoreConnection) -> None:
        self.connection = connection
        # The client's own types tell neither bytes from str nor what a script may return.
        self._redis: Any = connection.redis
        self._settings = connection.settings
        self._keys = ItemKeys.of(connection.namespace)
        self._put = connection.script("head", "put")
        self._vector = connection.script("head", "vector")
        self._forget = connection.script("forget")

    @property
    def is_away(self) -> bool:
        """Whether the store counts as away, so that nothing is asked of it."""
        return self.connection.breaker.is_open

    async def put(self, drafts: Sequence[Draft]) -> list[int] | None:
        """Store items; return their seqs when they are on disk, None if one is not as it was expected to be.

        Raises FullError, with nothing stored, if there would be too many items or too much media.
        """
        args: Arguments = [LOG_LENGTH, self._settings.max_live_items, self._settings.max_media_bytes]
        for draft in drafts:
            args += draft.arguments()
        keys = [*self._keys]
        [(outcome, detail)] = await self.connection.run(self._put, [(keys, args)])
        if outcome not in (DONE, CHANGED):
            raise FullError(self._fullness(outcome, detail))
        return None if outcome == CHANGED else list(detail)

    async def put_vectors(self, documents: Sequence[ItemDocument]) -> None:
        """Keep other vectors of items that have not changed since."""
        commands = [([self._keys.state], [each.item_id, str(each.seq), each.tail()]) for each in documents]
        await self.connection.run(self._vector, commands)

    async def renew_deleted(self, item_ids: Sequence[str], now: float) -> None:
        """Say that these items, if they are deleted, must still be remembered; `now` in unix seconds."""
        for start in range(0, len(item_ids), AT_ONCE):
            async with self.connection.guarded():
                scores = dict.fromkeys(item_ids[start : start + AT_ONCE], now)
                await self._redis.zadd(self._keys.deleted, scores, xx=True)

    async def forget_deleted(self, before: float) -> None:
        """Forget the items that were deleted, and last renewed, before then (unix seconds)."""
        while await self.connection.run(
            self._forget, [([self._keys.state, self._keys.deleted], [before, AT_ONCE])]
        ) == [AT_ONCE]:
            pass

    async def read(self, item_ids: Sequence[str], seconds: float | None = None) -> list[ItemDocument | None]:
        """Return the items as they are, None for one that the store does not know, or knows no more."""
        if not item_ids:
            return []
        async with self.connection.guarded(seconds):
            found = await self._redis.hmget(self._keys.state, list(item_ids))
        pairs = zip(item_ids, found, strict=True)
        return [None if encoded is None else ItemDocument.decode(item_id, encoded) for item_id, encoded in pairs]

    async def media(self, item_ids: Sequence[str]) -> list[Media]:
        """Return images and audio of items."""
        fields = [f"{kind}:{item_id}" for item_id in item_ids for kind in ("image", "audio")]
        async with self.connection.guarded():
            found = await self._redis.hmget(self._keys.media, fields)
        return [Media(*pair) for pair in zip(found[::2], found[1::2], strict=True)]

    async def seq(self) -> int:
        """Return the number of the newest change."""
        async with self.connection.guarded():
            return int(await self._redis.get(self._keys.seq) or 0)

    async def scan(self) -> AsyncIterator[list[ItemDocument]]:
        """Give all items in lots; one that changes meanwhile may come twice, as it was and as it is."""
        cursor = 0
        while True:
            async with self.connection.guarded():
                cursor, found = await self._redis.hscan(self._keys.state, cursor, count=AT_ONCE)
            pairs = list(found.items())
            for start in range(0, len(pairs), LOT):
                yield [ItemDocument.decode(each.decode(), encoded) for each, encoded in pairs[start : start + LOT]]
            if cursor == 0:
                return

    def _fullness(self, outcome: int, count: int) -> str:
        settings = self._settings
        if outcome == MEDIA_FULL:
            return (
                f"the store holds {count} bytes of images and sounds and takes {settings.max_media_bytes} at most;"
                " delete some, send items without them, or set LIVEREC_MAX_MEDIA_BYTES higher"
            )
        if outcome == DELETED_FULL:
            return (
                f"the store must still remember {count} deleted items; set LIVEREC_DELETED_DAYS lower, or"
                " LIVEREC_MAX_LIVE_ITEMS higher"
            )
        return (
            f"the store has {count} added or changed items and takes {settings.max_live_items} at most; delete some, or"
            " set LIVEREC_MAX_LIVE_ITEMS higher"
        )


class ChangeLog:
    """The log of changes, on a connection of its own: it is held while there is nothing new."""

    def __init__(self, url: str, connection: StoreConnection) -> None:
        self._key = ItemKeys.of(connection.namespace).log
        limit = connection.settings.store_timeout_seconds
        self._connection = connection
        self._renewals = connection.renewals
        self._seconds = WAIT_SECONDS + limit
        # It answers to its one reader, who knows when to try again.
        self._redis: Any = Redis.from_url(
            url, socket_timeout=self._seconds, socket_connect_timeout=limit, retry=Retry(NoBackoff(), 0)
        )

    async def after(self, seq: int) -> list[tuple[int, str]]:
        """Return the next changes after `seq`, waiting a while if there are none: the seq and item_id of each."""
        if self._renewals != self._connection.renewals:
            self._renewals = self._connection.renewals
            await self.close()
        async with self._connection.guarded(self._seconds, blocks=True):
            reply = await self._redis.xread({self._key: f"{seq}-0"}, count=AT_ONCE, block=int(WAIT_SECONDS * 1_000))
        entries = reply[0][1] if reply else []
        return [(int(entry_id.split(b"-")[0]), fields[b"item_id"].decode()) for entry_id, fields in entries]

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()


def _media_argument(given: bytes | None) -> bytes:
    if given is None:
        return KEEP
    return b"+" + given if given else NONE
