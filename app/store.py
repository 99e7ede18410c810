"""Store: the live histories, their versions, cached answers and the event log, in Redis or Valkey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from app.event_encoding import decode_entries, history_entry, log_entry, owner_of_id
from app.exploration_log import EXPOSURES_KEPT, EXPOSURES_KEY, ExploredPlace
from app.keys import PARTITIONS_KEY
from app.pseudonyms import Pseudonyms
from app.settings import Settings
from app.store_connection import Arguments, Command, StoreConnection
from engine.errors import ConfigError
from engine.events import Event, History

ANSWERS_PER_USER = 16
LOAD_AT_ONCE = 2_000
SECONDS_PER_DAY = 86_400
RESTORING_KEY = "liverec:restoring"


class Outcome(IntEnum):
    """What became of an event."""

    WRITTEN = 0
    DUPLICATE = 1
    CONFLICT = 2


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of one event, and the version that the user's history had then.

    `removed` is 1 if it undid an opinion that counted.
    """

    outcome: Outcome
    version: int
    removed: int = 0


@dataclass(frozen=True, slots=True)
class UserState:
    """What one read gives: the version, and either a cached answer or the history.

    `seen` are the items of a history of which the store no longer keeps all at hand; empty for all others. What is not
    current comes from a read-only replica: the primary may have newer events.
    """

    version: int
    cached: bytes | None
    history: History
    seen: frozenset[str] = frozenset()
    is_current: bool = True


class Store:
    """All that is live, behind four scripts that run inside the server; raises StoreError if it cannot be reached."""

    def __init__(self, connection: StoreConnection, pseudonyms: Pseudonyms) -> None:
        self.connection = connection
        self.pseudonyms = pseudonyms
        self._settings = connection.settings
        self._life = self._settings.history_days * SECONDS_PER_DAY
        self._write = connection.script("place", "write")
        self._read = connection.script("read")
        self._keep = connection.script("keep")
        self._load = connection.script("place", "load")

    @classmethod
    async def connect(cls, url: str, settings: Settings) -> Self:
        """Connect, and check that the store is durable and of the same number of partitions."""
        connection = await StoreConnection.connect(url, settings)
        try:
            return await cls.of(connection)
        except BaseException:
            await connection.close()
            raise

    @classmethod
    async def of(cls, connection: StoreConnection) -> Self:
        """Return the store of a connection's namespace, after checking that it is whole and has the same partitions."""
        await _check_restored(connection)
        await _check_partitions(connection)
        return cls(connection, await Pseudonyms.of(connection))

    async def close(self) -> None:
        """Close all connections."""
        await self.connection.close()

    async def ping(self) -> None:
        """Raise StoreError unless the store answers."""
        async with self.connection.guarded():
            await self.connection.redis.ping()

    async def read(self, user_id: str, field: str) -> UserState:
        """Return the version with the answer cached under `field`, or with the history. One round trip."""
        keys = self.connection.keys_of(user_id)
        names = [keys.cache, keys.history, keys.items, keys.version]
        async with self.connection.reading():
            version, cached, *rest = await self.connection.ask(self._read, names, [field])
        if not rest:
            return UserState(version, cached, History())
        entries, seen, is_replica = rest
        if is_replica:
            self.connection.renew()
        pairs = [*zip(entries[::2], map(float, entries[1::2]), strict=True)]
        history = History(tuple(decode_entries(user_id, pairs)))
        # The empty field says that there is more than the history.
        return UserState(
            version, None, history, frozenset(item_id.decode() for item_id in seen if item_id), not is_replica
        )

    async def version(self, user_id: str) -> int:
        """Return how often a user's history has changed."""
        async with self.connection.reading():
            return int(await self.connection.redis.get(self.connection.keys_of(user_id).version) or 0)

    async def write(self, events: Sequence[Event], timed_here: Container[str] = ()) -> list[Written]:
        """Log events and add them to their histories; returns after they are on disk. One round trip.

        An event whose event_id is known changes nothing and gives the version of its first time. `timed_here` are the
        event_ids whose timestamp is this host's clock: they never count as older than what the history has.
        """
        commands = [self._write_command(event, event.event_id in timed_here) for event in events]
        replies = await self.connection.run(self._write, commands)
        return [Written(Outcome(outcome), version, removed) for outcome, version, removed in replies]

    async def keep(
        self, user_id: str, version: int, field: str, answer: bytes | None, explored: Sequence[ExploredPlace] = ()
    ) -> bool:
        """Cache an answer unless the history has changed since `version`; return whether it was kept.

        Its explored places are logged in the same round trip.
        """
        keys = self.connection.keys_of(user_id)
        args: Arguments = [version, field, answer or b"", self._settings.cache_seconds, ANSWERS_PER_USER]
        commands: list[Command] = [] if answer is None else [([keys.cache, keys.version, keys.history], args)]
        log = ["XADD", self.connection.key(EXPOSURES_KEY), "MAXLEN", "~", str(EXPOSURES_KEPT), "*"]
        further = [(log, place.fields()) for place in explored]
        return any(await self.connection.run_unconfirmed(self._keep, commands, further))

    async def load(self, histories: Iterable[History]) -> int:
        """Put histories that training knows into the store, without logging them; return the number of their events.

        Those of users who were forgotten are left out.
        """
        count, lot, queued = 0, list[History](), 0
        for history in filter(lambda each: each.events, histories):
            lot.append(history)
            queued += len(history.events)
            if queued >= LOAD_AT_ONCE:
                count += await self._load_lot(lot)
                lot, queued = [], 0
        return count + await self._load_lot(lot)

    async def _load_lot(self, histories: Sequence[History]) -> int:
        if not histories:
            return 0
        loaded = await self.connection.run(self._load, [self._load_command(history) for history in histories])
        return sum(len(history.events) for history, was in zip(histories, loaded, strict=True) if was)

    def _write_command(self, event: Event, is_timed_here: bool) -> Command:
        keys = self.connection.keys_of(event.user_id)
        state = [keys.history, keys.items, keys.opinions, keys.version, keys.cache]
        entry: Arguments = [log_entry(event), event.timestamp, int(is_timed_here), history_entry(event)]
        entry += [event.item_id, event.kind, owner_of_id(event)]
        limits: Arguments = [self._settings.history_limit, self._settings.dedupe_seconds]
        names = [keys.log, *state, keys.forgotten, keys.event(event.event_id)]
        return names, [*entry, *limits, self.pseudonyms.of_user(event.user_id), self._life]

    def _load_command(self, history: History) -> Command:
        user_id = history.events[0].user_id
        keys = self.connection.keys_of(user_id)
        args: Arguments = [self._settings.history_limit, self.pseudonyms.of_user(user_id), self._life]
        ties: Counter[float] = Counter()
        for event in history.events:
            args += [event.timestamp, ties[event.timestamp], history_entry(event), event.item_id, event.kind]
            ties[event.timestamp] += 1
        return [keys.history, keys.items, keys.opinions, keys.version, keys.cache, keys.forgotten], args


async def _check_restored(connection: StoreConnection) -> None:
    async with connection.guarded():
        begun = await connection.redis.exists(connection.key(RESTORING_KEY))
    if begun:
        raise ConfigError("the store holds a part of a backup; repeat `liverec restore` until it says that it is done")


async def _check_partitions(connection: StoreConnection) -> None:
    wanted = connection.settings.partitions
    made_with = int(await connection.settled(PARTITIONS_KEY, str(wanted).encode()))
    if made_with != wanted:
        raise ConfigError(
            f"LIVEREC_PARTITIONS is {wanted} but the store was made with {made_with}; set it to {made_with}"
        )
