"""ItemStore: the items that were added or changed while the service ran, and the log of their changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.item_document import ItemDocument
from app.settings import Settings
from app.store_connection import Arguments, StoreConnection, reported
from engine.errors import UnsupportedError

# One hash tag: a script may touch them all, on a cluster too.
STATE, MEDIA, LOG, SEQ = (f"{{items}}:{name}" for name in ("state", "media", "log", "seq"))
LOG_LENGTH = 100_000
AT_ONCE = 200
"""How many items are read at once: each may have 40 KB."""
WAIT_SECONDS = 1.0
KEEP, NONE = b"=", b"-"
DONE, CHANGED, FULL = range(3)


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
        head = [document.item_id, expected, repr(document.added_at), "true" if document.is_deleted else "false"]
        return [*head, document.tail(), *(_media_argument(each) for each in (self.image, self.audio))]


class ItemStore:
    """All keys share one hash tag, and each write is one script; raises StoreError if the store cannot be reached."""

    def __init__(self, connection: StoreConnection, most: int) -> None:
        self._connection = connection
        # The client's own types tell neither bytes from str nor what a script may return.
        self._redis: Any = connection.redis
        self._most = most
        self._put = connection.script("head", "put")
        self._vector = connection.script("head", "vector")

    async def put(self, drafts: Sequence[Draft]) -> list[int] | None:
        """Store items; return their seqs when they are on disk, None if one is not as it was expected to be."""
        args: Arguments = [LOG_LENGTH, self._most]
        for draft in drafts:
            args += draft.arguments()
        [(outcome, detail)] = await self._connection.run(self._put, [([STATE, MEDIA, LOG, SEQ], args)])
        if outcome == FULL:
            raise UnsupportedError(
                f"the store has {detail} added or changed items and takes {self._most} at most;"
                " set LIVEREC_MAX_LIVE_ITEMS higher"
            )
        return None if outcome == CHANGED else list(detail)

    async def put_vectors(self, documents: Sequence[ItemDocument]) -> None:
        """Keep other vectors of items that have not changed since."""
        commands = [([STATE], [each.item_id, str(each.seq), each.tail()]) for each in documents]
        await self._connection.run(self._vector, commands)

    async def read(self, item_ids: Sequence[str]) -> list[ItemDocument | None]:
        """Return the items as they are, None for one that the store has never had."""
        with reported():
            found = await self._redis.hmget(STATE, list(item_ids))
        pairs = zip(item_ids, found, strict=True)
        return [None if encoded is None else ItemDocument.decode(item_id, encoded) for item_id, encoded in pairs]

    async def media(self, item_ids: Sequence[str]) -> list[Media]:
        """Return images and audio of items."""
        fields = [f"{kind}:{item_id}" for item_id in item_ids for kind in ("image", "audio")]
        with reported():
            found = await self._redis.hmget(MEDIA, fields)
        return [Media(*pair) for pair in zip(found[::2], found[1::2], strict=True)]

    async def seq(self) -> int:
        """Return the number of the newest change."""
        with reported():
            return int(await self._redis.get(SEQ) or 0)

    async def scan(self) -> AsyncIterator[list[ItemDocument]]:
        """Give all items; one that changes meanwhile may come twice, as it was and as it is."""
        cursor = 0
        while True:
            with reported():
                cursor, found = await self._redis.hscan(STATE, cursor, count=AT_ONCE)
            if found:
                yield [ItemDocument.decode(item_id.decode(), encoded) for item_id, encoded in found.items()]
            if cursor == 0:
                return


class ChangeLog:
    """The log of changes, on a connection of its own: it is held while there is nothing new."""

    def __init__(self, url: str, settings: Settings) -> None:
        limit = settings.store_timeout_seconds
        # It answers to its one reader, who knows when to try again.
        self._redis: Any = Redis.from_url(
            url, socket_timeout=WAIT_SECONDS + limit, socket_connect_timeout=limit, retry=Retry(NoBackoff(), 0)
        )

    async def after(self, seq: int) -> list[tuple[int, str]]:
        """Return the next changes after `seq`, waiting a while if there are none: the seq and item_id of each."""
        with reported():
            reply = await self._redis.xread({LOG: f"{seq}-0"}, count=AT_ONCE, block=int(WAIT_SECONDS * 1_000))
        entries = reply[0][1] if reply else []
        return [(int(entry_id.split(b"-")[0]), fields[b"item_id"].decode()) for entry_id, fields in entries]

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()


def _media_argument(given: bytes | None) -> bytes:
    if given is None:
        return KEEP
    return b"+" + given if given else NONE
