"""EventLog: the events that the store has logged and no archive has taken yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from app.logged_event import LoggedEvent
from app.store_connection import Command, StoreConnection
from app.store_failure import reported
from engine.errors import ConfigError

ARCHIVE_KEY = "liverec:archive"
LOGS_AT_ONCE = 8
REMOVED_AT_ONCE = 1_000
START, END = "-", "+"
T = TypeVar("T")


class EventLog:
    """The logs of all partitions of a namespace; raises StoreError if the store cannot be reached."""

    def __init__(self, connection: StoreConnection) -> None:
        self._connection = connection
        # The client's own types tell neither bytes from str nor what a pipeline may return.
        self._redis: Any = connection.redis
        self._partitions = range(connection.settings.partitions)
        self._claim = connection.script("claim_archive")
        self._remove = connection.script("remove_entries")
        self._forget = connection.script("forget_event_id")

    async def oldest(self, count: int) -> dict[int, list[LoggedEvent]]:
        """Return up to `count` entries of each partition that has any, the oldest."""
        entries: dict[int, list[LoggedEvent]] = {}
        for lot in _lots(self._partitions, LOGS_AT_ONCE):
            with reported():
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for partition in lot:
                        pipeline.xrange(self._key(partition), START, END, count)
                    replies = await pipeline.execute()
            entries |= {
                partition: [LoggedEvent.of_entry(*each) for each in reply]
                for partition, reply in zip(lot, replies, strict=True)
                if reply
            }
        return entries

    async def of_partition(self, partition: int, count: int) -> AsyncIterator[list[LoggedEvent]]:
        """Give the entries of one partition, oldest first, up to `count` at once."""
        start = START
        while True:
            with reported():
                lot = await self._redis.xrange(self._key(partition), start, END, count)
            if not lot:
                return
            yield [LoggedEvent.of_entry(*each) for each in lot]
            start = f"({lot[-1][0].decode()}"

    async def remove(self, entries: Mapping[int, Sequence[LoggedEvent]]) -> None:
        """Remove these entries of partitions and no others. If the store loses that in a crash, they are recognised."""
        commands: list[Command] = []
        # By their ids: what a store that was set back to a backup has there instead must stay.
        for partition, own in entries.items():
            ids = [entry.log_id for entry in own]
            commands += [([self._key(partition)], lot) for lot in _lots(ids, REMOVED_AT_ONCE)]
        for lot in _lots(commands, LOGS_AT_ONCE):
            await self._connection.run_unconfirmed(self._remove, lot, ())

    async def forget_event_ids(self, events: Sequence[tuple[str, str, int]]) -> None:
        """Forget that events (user_id, event_id, version) were written, unless they came again after that version."""
        commands: list[Command] = [
            ([keys.event(event_id)], [version])
            for user_id, event_id, version in events
            for keys in [self._connection.keys_of(user_id)]
        ]
        for lot in _lots(commands, REMOVED_AT_ONCE):
            await self._connection.run(self._forget, lot)

    async def claim(self, archive_id: str, folder: str, *, takes_over: bool = False) -> None:
        """Remember which archive the log goes to; all that was read before this is on the store's disk after it.

        Raises ConfigError if it goes to another.
        """
        command: Command = ([self._connection.key(ARCHIVE_KEY)], [archive_id, folder, int(takes_over)])
        [(other, place)] = await self._connection.run(self._claim, [command])
        if other:
            raise _claimed(other.decode(), place.decode(), archive_id, folder)

    async def archive(self) -> tuple[str, str] | None:
        """Return id and folder of the archive that the log goes to, if it goes to one."""
        with reported():
            claimed = await self._redis.hmget(self._connection.key(ARCHIVE_KEY), "id", "folder")
        return None if claimed[0] is None else (claimed[0].decode(), claimed[1].decode())

    async def check_archive(self, archive_id: str, folder: str) -> None:
        """Raise ConfigError if the log goes to another archive than the one that is read."""
        claimed = await self.archive()
        if claimed is not None and claimed[0] != archive_id:
            raise _claimed(*claimed, archive_id, folder)

    async def forgotten(self) -> dict[int, dict[str, int]]:
        """Return of each partition the pseudonyms of users who were forgotten, with their version then."""
        with reported():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for partition in self._partitions:
                    pipeline.hgetall(self._connection.key(f"{{p{partition}}}:forgotten"))
                replies = await pipeline.execute()
        return {
            partition: {name.decode(): int(version) for name, version in reply.items()}
            for partition, reply in zip(self._partitions, replies, strict=True)
            if reply
        }

    async def length(self) -> int:
        """Return how many entries there are."""
        async with self._connection.reading(), self._redis.pipeline(transaction=False) as pipeline:
            for partition in self._partitions:
                pipeline.xlen(self._key(partition))
            return sum(await pipeline.execute())

    def _key(self, partition: int) -> str:
        return self._connection.key(f"{{p{partition}}}:log")


def _lots(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (things[start : start + size] for start in range(0, len(things), size))


def _claimed(other: str, place: str, archive_id: str, folder: str) -> ConfigError:
    return ConfigError(
        f"the events of this store go to the archive {other} in {place}, not to {archive_id} in {folder}; give that"
        " folder (it may have been moved), or if it is lost begin another with: liverec archive --take-over"
    )
