"""Store: the live histories, their versions, cached answers and the event log, in Redis or Valkey."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Self

from app.exploration_log import EXPOSURES_KEPT, EXPOSURES_KEY, ExploredPlace
from app.keys import PARTITIONS_KEY, Keys
from app.settings import Settings
from app.store_connection import Arguments, Command, StoreConnection, reported
from engine.errors import ConfigError
from engine.events import Event, History

ANSWERS_PER_USER = 16
VERSION_DIGITS = 16
LOAD_AT_ONCE = 2_000


class Outcome(IntEnum):
    """What became of an event."""

    WRITTEN = 0
    DUPLICATE = 1
    CONFLICT = 2


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of one event and the version that the user's history had then."""

    outcome: Outcome
    version: int


@dataclass(frozen=True, slots=True)
class UserState:
    """What one read gives: the version, and either a cached answer or the history.

    `seen` are the items of a history that is longer than what the store keeps at hand; empty for all others.
    """

    version: int
    cached: bytes | None
    history: History
    seen: frozenset[str] = frozenset()


class Store:
    """All that is live, behind four scripts that run inside the server; raises StoreError if it cannot be reached."""

    def __init__(self, connection: StoreConnection) -> None:
        self.connection = connection
        self._settings = connection.settings
        self._write = connection.script("place", "write")
        self._read = connection.script("read")
        self._keep = connection.script("keep")
        self._load = connection.script("place", "load")

    @classmethod
    async def connect(cls, url: str, settings: Settings) -> Self:
        """Connect, and check that the store is durable and of the same number of partitions."""
        store = cls(await StoreConnection.connect(url, settings))
        try:
            await store._check_partitions()
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Close all connections."""
        await self.connection.close()

    async def ping(self) -> None:
        """Raise StoreError unless the store answers."""
        with reported():
            await self.connection.redis.ping()

    async def read(self, user_id: str, field: str) -> UserState:
        """Return the version with the answer cached under `field`, or with the history. One round trip."""
        keys = Keys.of(user_id, self._settings.partitions)
        names = [keys.cache, keys.history, keys.items, keys.version]
        with reported():
            version, cached, *rest = await self._read(keys=names, args=[field, self._settings.history_limit])
        if not rest:
            return UserState(version, cached, History())
        entries, seen = rest
        history = History.of(_decode(user_id, *pair) for pair in zip(entries[::2], entries[1::2], strict=True))
        return UserState(version, None, history, frozenset(item_id.decode() for item_id in seen))

    async def write(self, events: Sequence[Event], timed_here: Container[str] = ()) -> list[Written]:
        """Log events and add them to their histories; returns after they are on disk. One round trip.

        An event whose event_id is known changes nothing and gives the version of its first time. `timed_here` are the
        event_ids whose timestamp is this host's clock: they never count as older than what the history has.
        """
        commands = [self._write_command(event, event.event_id in timed_here) for event in events]
        replies = await self.connection.run(self._write, commands)
        return [Written(Outcome(outcome), version) for outcome, version in replies]

    async def keep(
        self, user_id: str, version: int, field: str, answer: bytes | None, explored: Sequence[ExploredPlace] = ()
    ) -> bool:
        """Cache an answer unless the history has changed since `version`; return whether it was kept.

        Its explored places are logged in the same round trip.
        """
        keys = Keys.of(user_id, self._settings.partitions)
        args: Arguments = [version, field, answer or b"", self._settings.cache_seconds, ANSWERS_PER_USER]
        commands: list[Command] = [] if answer is None else [([keys.cache, keys.version], args)]
        log = ["XADD", EXPOSURES_KEY, "MAXLEN", "~", str(EXPOSURES_KEPT), "*"]
        further = [(log, place.fields()) for place in explored]
        return any(await self.connection.run_unconfirmed(self._keep, commands, further))

    async def load(self, histories: Iterable[History]) -> int:
        """Put histories that training knows into the store, without logging them; return the number of events."""
        count, queued, commands = 0, 0, list[Command]()
        for history in filter(lambda each: each.events, histories):
            commands.append(self._load_command(history))
            count += len(history.events)
            queued += len(history.events)
            if queued >= LOAD_AT_ONCE:
                await self.connection.run(self._load, commands)
                commands, queued = [], 0
        if commands:
            await self.connection.run(self._load, commands)
        return count

    def _write_command(self, event: Event, is_timed_here: bool) -> Command:
        keys = Keys.of(event.user_id, self._settings.partitions)
        names = [keys.log, keys.history, keys.items, keys.version, keys.cache, keys.event(event.event_id)]
        owner = _json([event.item_id, event.kind, event.value])
        limits = [self._settings.history_limit, self._settings.dedupe_seconds]
        entry: Arguments = [event.timestamp, int(is_timed_here), _encode(event), event.item_id, event.kind]
        return names, [_json(asdict(event)), *entry, owner, *limits]

    def _load_command(self, history: History) -> Command:
        keys = Keys.of(history.events[0].user_id, self._settings.partitions)
        args: Arguments = [self._settings.history_limit]
        ties: Counter[float] = Counter()
        for event in history.events:
            args += [event.timestamp, ties[event.timestamp], _encode(event), event.item_id, event.kind]
            ties[event.timestamp] += 1
        return [keys.history, keys.items, keys.version, keys.cache], args

    async def _check_partitions(self) -> None:
        with reported():
            stored = await self.connection.redis.set(PARTITIONS_KEY, self._settings.partitions, nx=True, get=True)
        if stored is not None and int(stored) != self._settings.partitions:
            raise ConfigError(
                f"LIVEREC_PARTITIONS is {self._settings.partitions} but the store was made with {int(stored)};"
                f" set it to {int(stored)}"
            )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _encode(event: Event) -> str:
    # The time that counts is the entry's score; here it keeps two views of one item from being one entry.
    return _json([event.item_id, event.kind, event.value, event.timestamp, event.event_id])


def _decode(user_id: str, entry: bytes, timestamp: bytes) -> Event:
    item_id, kind, value, _, event_id = json.loads(entry[VERSION_DIGITS:])
    return Event(user_id, item_id, kind, value, float(timestamp), event_id)
