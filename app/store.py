"""Store: the live histories, their versions, cached answers and the event log, in Redis or Valkey."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import IntEnum
from importlib import resources
from typing import Any, Self

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from app.keys import PARTITIONS_KEY, Keys
from app.settings import Settings
from engine.errors import ConfigError, StoreError
from engine.events import Event, History

ANSWERS_PER_USER = 16
VERSION_DIGITS = 16
Arguments = list[str | int | float]
Command = tuple[list[str], Arguments]
LOAD_AT_ONCE = 2_000
OR_VOLATILE = "or set LIVEREC_ALLOW_VOLATILE=true"


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

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._write = redis.register_script(_script("place") + _script("write"))
        self._read = redis.register_script(_script("read"))
        self._keep = redis.register_script(_script("keep"))
        self._load = redis.register_script(_script("place") + _script("load"))
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
        with _reported():
            await self._redis.ping()

    async def read(self, user_id: str, field: str) -> UserState:
        """Return the version with the answer cached under `field`, or with the history. One round trip."""
        keys = Keys.of(user_id, self._settings.partitions)
        names = [keys.cache, keys.history, keys.items, keys.version]
        with _reported():
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
        with _reported():
            replies = await self._run(self._write, commands)
        return [Written(Outcome(outcome), version) for outcome, version in replies]

    async def keep(self, user_id: str, version: int, field: str, answer: bytes) -> bool:
        """Cache an answer unless the history has changed since `version`; return whether it was kept."""
        keys = Keys.of(user_id, self._settings.partitions)
        args: list[str | int | bytes] = [version, field, answer, self._settings.cache_seconds, ANSWERS_PER_USER]
        with _reported():
            return bool(await self._keep(keys=[keys.cache, keys.version], args=args))

    async def load(self, histories: Iterable[History]) -> int:
        """Put histories that training knows into the store, without logging them; return the number of events."""
        count, queued, commands = 0, 0, list[Command]()
        with _reported():
            for history in filter(lambda each: each.events, histories):
                commands.append(self._load_command(history))
                count += len(history.events)
                queued += len(history.events)
                if queued >= LOAD_AT_ONCE:
                    await self._run(self._load, commands)
                    commands, queued = [], 0
            if commands:
                await self._run(self._load, commands)
        return count

    async def _run(self, script: AsyncScript, commands: Sequence[Command]) -> list[Any]:
        try:
            return await self._send(script, commands)
        except NoScriptError:
            # A server that was restarted has forgotten its scripts.
            await self._redis.script_load(script.script)
            return await self._send(script, commands)

    async def _send(self, script: AsyncScript, commands: Sequence[Command]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for keys, args in commands:
                pipeline.evalsha(script.sha, len(keys), *keys, *args)
            if self._waits_for_disk:
                pipeline.execute_command("WAITAOF", 1, 0, int(self._settings.store_timeout_seconds * 1000))
            replies: list[Any] = await pipeline.execute()
        if self._waits_for_disk and replies.pop()[0] < 1:
            raise StoreError("the store did not confirm that the events are on disk; send them again with the same ids")
        return replies

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

    async def _check(self) -> None:
        with _reported():
            await self._redis.ping()
            stored = await self._redis.set(PARTITIONS_KEY, self._settings.partitions, nx=True, get=True)
        if stored is not None and int(stored) != self._settings.partitions:
            raise ConfigError(
                f"LIVEREC_PARTITIONS is {self._settings.partitions} but the store was made with {int(stored)};"
                f" set it to {int(stored)}"
            )
        if not self._settings.allow_volatile:
            with _reported():
                await self._check_durability()

    async def _check_durability(self) -> None:
        config = {name: await self._option(name) for name in ("appendonly", "appendfsync", "maxmemory-policy")}
        if config["maxmemory-policy"] != "noeviction":
            raise ConfigError(
                f"the store's maxmemory-policy is {config['maxmemory-policy']}, which may throw away what must stay;"
                f" start it with --maxmemory-policy noeviction, {OR_VOLATILE}"
            )
        if config["appendonly"] == "yes" and config["appendfsync"] == "always":
            return
        info = await self._redis.info("server")
        # WAITAOF came with Redis 7.2, from which Valkey split off.
        can_wait = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2]) >= (7, 2)
        self._waits_for_disk = config["appendonly"] == "yes" and config["appendfsync"] == "everysec" and can_wait
        if not self._waits_for_disk:
            raise ConfigError(
                "the store does not write to disk before it answers, so acknowledged ratings could be lost;"
                f" start it with --appendonly yes --appendfsync always, {OR_VOLATILE}"
            )

    async def _option(self, name: str) -> str:
        try:
            values = await self._redis.config_get(name)
        except ResponseError as error:
            raise ConfigError(
                f"the store does not tell its {name} ({error}); allow CONFIG GET, {OR_VOLATILE}"
            ) from error
        return "".join(value.decode() if isinstance(value, bytes) else str(value) for value in values.values())


def _pool(url: str, settings: Settings) -> BlockingConnectionPool:
    try:
        return BlockingConnectionPool.from_url(
            url,
            max_connections=settings.max_concurrency,
            timeout=settings.store_timeout_seconds,
            socket_timeout=settings.store_timeout_seconds,
            socket_connect_timeout=settings.store_timeout_seconds,
            # A connection that died while idle is replaced once; writing again is harmless, since events have ids.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )
    except ValueError:
        # The URL may hold a password, and so may the error's text: neither is repeated.
        raise ConfigError(
            "REDIS_URL cannot be used; write it as redis://, rediss:// or unix://, a password percent-encoded"
        ) from None


def _script(name: str) -> str:
    return resources.files("app").joinpath("scripts", f"{name}.lua").read_text(encoding="utf-8")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _encode(event: Event) -> str:
    # The time that counts is the entry's score; here it keeps two views of one item from being one entry.
    return _json([event.item_id, event.kind, event.value, event.timestamp, event.event_id])


def _decode(user_id: str, entry: bytes, timestamp: bytes) -> Event:
    item_id, kind, value, _, event_id = json.loads(entry[VERSION_DIGITS:])
    return Event(user_id, item_id, kind, value, float(timestamp), event_id)


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreError(
            f"the store cannot be used ({type(error).__name__}: {error}); check that it runs and REDIS_URL"
        ) from error
