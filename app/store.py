"""Store: the live histories, their versions, cached answers and the event log, in Redis or Valkey."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from importlib import resources
from typing import Any, Self

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from app.keys import PARTITIONS_KEY, Keys
from app.settings import Settings
from engine.errors import ConfigError, StoreError
from engine.events import Event, History

ANSWERS_PER_USER = 16
VERSION_DIGITS = 16
Arguments = list[str | int | float]
LOAD_CHUNK = 500
CONNECT_SECONDS = 2.0


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
    """What one read gives: the version, and either a cached answer or the history."""

    version: int
    cached: bytes | None
    history: History


class Store:
    """All that is live, behind four scripts that run inside the server; raises StoreError if it cannot be reached."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._write = redis.register_script(_script("write"))
        self._read = redis.register_script(_script("read"))
        self._keep = redis.register_script(_script("keep"))
        self._load = redis.register_script(_script("load"))
        self._waits_for_disk = False

    @classmethod
    async def connect(cls, url: str, settings: Settings) -> Self:
        """Connect, and check that the store is durable and of the same number of partitions."""
        store = cls(Redis.from_pool(_pool(url, settings)), settings)
        try:
            await store._check()
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()

    async def ping(self) -> None:
        """Raise StoreError unless the store answers."""
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error

    async def read(self, user_id: str, field: str) -> UserState:
        """Return the version with the answer cached under `field`, or with the history. One round trip."""
        keys = Keys.of(user_id, self._settings.partitions)
        try:
            version, cached, *rest = await self._read(keys=[keys.cache, keys.history, keys.version], args=[field])
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error
        entries = rest[0] if rest else ()
        return UserState(version, cached, History.of(_decode(user_id, entry) for entry in entries))

    async def write(self, events: Sequence[Event]) -> list[Written]:
        """Log events and add them to their histories; returns after they are on disk. One round trip.

        An event whose event_id is known changes nothing and gives the version of its first time.
        """
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for event in events:
                    keys = Keys.of(event.user_id, self._settings.partitions)
                    await self._write(keys=self._write_keys(keys, event), args=self._write_args(event), client=pipeline)
                if self._waits_for_disk:
                    pipeline.execute_command("WAITAOF", 1, 0, int(self._settings.store_timeout_seconds * 1000))
                replies = await pipeline.execute()
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error
        if self._waits_for_disk and replies.pop()[0] < 1:
            raise StoreError("the store did not confirm that the events are on disk; send them again with the same ids")
        return [Written(Outcome(outcome), version) for outcome, version in replies]

    async def keep(self, user_id: str, version: int, field: str, answer: bytes) -> bool:
        """Cache an answer unless the history has changed since `version`; return whether it was kept."""
        keys = Keys.of(user_id, self._settings.partitions)
        args: list[str | int | bytes] = [version, field, answer, self._settings.cache_seconds, ANSWERS_PER_USER]
        try:
            return bool(await self._keep(keys=[keys.cache, keys.version], args=args))
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error

    async def load(self, histories: Iterable[History]) -> int:
        """Put histories that training knows into the store, without logging them; return the number of events."""
        count = 0
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for history in histories:
                    await self._queue_load(pipeline, history)
                    count += len(history.events)
                    if len(pipeline) >= LOAD_CHUNK:
                        await pipeline.execute()
                await pipeline.execute()
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error
        return count

    async def _queue_load(self, pipeline: Any, history: History) -> None:  # noqa: ANN401 (redis-py's own type is generic)
        events = history.events[-self._settings.history_limit :]
        for start in range(0, len(events), LOAD_CHUNK):
            chunk = events[start : start + LOAD_CHUNK]
            keys = Keys.of(chunk[0].user_id, self._settings.partitions)
            args: Arguments = [self._settings.history_limit, start]
            for event in chunk:
                args += [event.timestamp, _encode(event)]
            await self._load(keys=[keys.history, keys.version, keys.cache], args=args, client=pipeline)

    def _write_keys(self, keys: Keys, event: Event) -> list[str]:
        return [keys.log, keys.history, keys.version, keys.cache, keys.event(event.event_id)]

    def _write_args(self, event: Event) -> Arguments:
        entry = asdict(event)
        owner = json.dumps([event.user_id, event.item_id, event.kind, event.value], separators=(",", ":"))
        limits = [self._settings.history_limit, self._settings.dedupe_seconds]
        return [json.dumps(entry, separators=(",", ":")), event.timestamp, _encode(event), owner, *limits]

    async def _check(self) -> None:
        try:
            await self._redis.ping()
            stored = await self._redis.set(PARTITIONS_KEY, self._settings.partitions, nx=True, get=True)
            durable = await self._is_durable()
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error
        if stored is not None and int(stored) != self._settings.partitions:
            raise ConfigError(
                f"LIVEREC_PARTITIONS is {self._settings.partitions} but the store was made with {int(stored)};"
                f" set it to {int(stored)}"
            )
        if not durable and not self._settings.allow_volatile:
            raise ConfigError(
                "the store does not write to disk before it answers, so acknowledged ratings could be lost;"
                " start it with --appendonly yes --appendfsync always, or set LIVEREC_ALLOW_VOLATILE=true"
            )

    async def _is_durable(self) -> bool:
        config = await self._redis.config_get("append*")
        decoded = {_text(name or ""): _text(value or "") for name, value in config.items()}
        if decoded.get("appendonly") != "yes":
            return False
        if decoded.get("appendfsync") == "always":
            return True
        info = await self._redis.info("server")
        # WAITAOF came with Redis 7.2, from which Valkey split off.
        self._waits_for_disk = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2]) >= (7, 2)
        return self._waits_for_disk


def _pool(url: str, settings: Settings) -> BlockingConnectionPool:
    try:
        return BlockingConnectionPool.from_url(
            url,
            max_connections=settings.store_connections,
            timeout=settings.store_timeout_seconds,
            socket_timeout=settings.store_timeout_seconds,
            socket_connect_timeout=CONNECT_SECONDS,
            # A connection that died while idle is replaced once; writing again is harmless, since events have ids.
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[RedisConnectionError],
        )
    except ValueError as error:
        # The URL may hold a password: it is not repeated.
        raise ConfigError(f"REDIS_URL cannot be used: {error}") from error


def _script(name: str) -> str:
    return resources.files("app").joinpath("scripts", f"{name}.lua").read_text(encoding="utf-8")


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _encode(event: Event) -> str:
    fields = [event.item_id, event.kind, event.value, event.timestamp, event.event_id]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _decode(user_id: str, entry: bytes) -> Event:
    item_id, kind, value, timestamp, event_id = json.loads(entry[VERSION_DIGITS:])
    return Event(user_id, item_id, kind, value, timestamp, event_id)


def _unreachable(error: Exception) -> StoreError:
    return StoreError(f"the store cannot be used ({type(error).__name__}: {error}); check that it runs and REDIS_URL")
