"""StoreConnection: how everything that is kept online reaches Redis or Valkey, and when it counts as written."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib import resources
from typing import Any, Self

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from app.keys import NO_TENANT, Keys, Namespace
from app.settings import Settings, check_tenant
from app.store_breaker import StoreBreaker
from app.store_failure import StoreFailure
from app.store_probe import StoreProbe
from app.store_socket import with_store_sockets
from engine.errors import ConfigError, StoreError

Arguments = list[str | bytes | int | float]
Command = tuple[list[str], Sequence[str | bytes | int | float]]
OR_VOLATILE = "or set LIVEREC_ALLOW_VOLATILE=true"
COMMANDS_IN_TIME = 500
"""So many commands more may take LIVEREC_STORE_TIMEOUT_SECONDS more."""
REFUSED_SECONDS = 1.0
"""How long a store that refuses to write is not asked to write what can be done without."""
RENEWED_SECONDS = 0.1


class StoreConnection:
    """A pool of connections to a server that has proven to be durable; `run` returns after the disk has confirmed.

    All that requests and the tasks beside them ask goes through `guarded`, or through what does that itself. What
    commands ask from outside of a service (archive, backup, restore, export, check) also uses `redis` as it is.
    """

    def __init__(self, redis: Redis, settings: Settings, breaker: StoreBreaker) -> None:
        self.redis = redis
        self.settings = settings
        self.breaker = breaker
        self.namespace = NO_TENANT
        self._copies: tuple[int, int] | None = None
        self.renewals = 0
        self._dropping: set[asyncio.Task[None]] = set()
        self._writes_again_at = self._renews_again_at = 0.0

    @classmethod
    async def connect(cls, url: str, settings: Settings) -> Self:
        """Connect, and check that the server writes to disk before it answers."""
        redis = Redis.from_pool(_pool(url, settings))
        connection = cls(redis, settings, StoreBreaker(StoreProbe(url, settings)))
        connection.breaker.on_change.append(connection._drop)
        try:
            async with connection.guarded():
                await connection.redis.ping()
            connection._copies = await connection._required()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Close all connections."""
        await self.breaker.close()
        await self.redis.aclose()

    def within(self, tenant: str) -> StoreConnection:
        """Return the same connections, for the keys of a tenant; who closes one closes both."""
        other = copy.copy(self)
        other.namespace = Namespace(tenant)
        return other

    def of_tenant(self, tenant: str) -> StoreConnection:
        """Return what `within` gives for a tenant, itself for none; raises ConfigError for an impossible name."""
        try:
            return self.within(check_tenant(tenant)) if tenant else self
        except ValueError as error:
            raise ConfigError(f"tenant {tenant!r:.100}: {error}") from error

    def key(self, name: str) -> str:
        """Return a key as the store has it."""
        return self.namespace.key(name)

    def keys_of(self, user_id: str) -> Keys:
        """Return the keys of a user."""
        return Keys.of(user_id, self.settings.partitions, self.namespace)

    async def settled(self, name: str, fresh: bytes) -> bytes:
        """Return what a key holds, after giving it the fresh value if it holds none; the first to come decides."""
        # The client's own types tell neither bytes from str nor what SET may return.
        redis: Any = self.redis
        async with self.guarded():
            # Read first: a store that is full must let in who makes room.
            stored: bytes | None = await redis.get(self.key(name))
            if stored is None:
                stored = await redis.set(self.key(name), fresh, nx=True, get=True)
        return fresh if stored is None else stored

    @asynccontextmanager
    async def guarded(
        self, seconds: float | None = None, *, is_write: bool = False, blocks: bool = False
    ) -> AsyncIterator[None]:
        """Bound the time of what is asked of the server; raises StoreError, at once while it is away."""
        most = seconds or self.settings.store_timeout_seconds
        try:
            async with self.breaker.guarded(most, is_write=is_write, blocks=blocks):
                yield
        except StoreError as error:
            if error.__cause__ is not None and StoreFailure.of(error.__cause__).refuses_writes:
                self._writes_again_at = time.monotonic() + REFUSED_SECONDS
                self.renew()
            raise

    def reading(self) -> AbstractAsyncContextManager[None]:
        """Bound it as what there is something in place of."""
        return self.guarded(self.settings.read_timeout_seconds)

    def renew(self) -> None:
        """Have what is idle connect anew: a server that became a replica is not the one that REDIS_URL leads to."""
        if time.monotonic() >= self._renews_again_at:
            self._renews_again_at = time.monotonic() + RENEWED_SECONDS
            self.renewals += 1
            self._drop(True)

    def script(self, *names: str) -> AsyncScript:
        """Return the script that these files of app/scripts make together."""
        folder = resources.files("app").joinpath("scripts")
        return self.redis.register_script("".join((folder / f"{name}.lua").read_text("utf-8") for name in names))

    async def run(self, script: AsyncScript, commands: Sequence[Command]) -> list[Any]:
        """Run a script once for each command, in one round trip that ends when all is on disk."""
        return await self._run(script, commands, (), self._copies)

    async def run_unconfirmed(
        self, script: AsyncScript, commands: Sequence[Command], further: Sequence[Command]
    ) -> list[Any]:
        """Like `run`, but without waiting for the disk; `further` are plain commands that go along.

        A server that refuses to write is not asked again for a second.
        """
        if time.monotonic() < self._writes_again_at:
            raise StoreError("the store has just refused to write; what can be done without is not tried for a second")
        return await self._run(script, commands, further, None)

    async def _run(
        self,
        script: AsyncScript,
        commands: Sequence[Command],
        further: Sequence[Command],
        copies: tuple[int, int] | None,
    ) -> list[Any]:
        # Beside each reply the whole is bounded, with the wait for a connection.
        seconds = self.settings.store_timeout_seconds * (2 + len(commands) / COMMANDS_IN_TIME)
        async with self.guarded(seconds, is_write=True):
            try:
                return await self._send(script, commands, further, copies)
            except NoScriptError:
                # A server that was restarted has forgotten its scripts; the plain commands were done.
                await self.redis.script_load(script.script)
                return await self._send(script, commands, (), copies)

    async def _send(
        self,
        script: AsyncScript,
        commands: Sequence[Command],
        further: Sequence[Command],
        copies: tuple[int, int] | None,
    ) -> list[Any]:
        async with self.redis.pipeline(transaction=False) as pipeline:
            _queue(pipeline, script, commands, further)
            if copies is not None:
                pipeline.execute_command("WAITAOF", *self._waiting(copies))
            replies: list[Any] = await pipeline.execute()
        if copies is not None:
            _check_copies(replies[-1], copies)
        return replies[: len(commands)]

    async def exchange(self, packed: Sequence[bytes], count: int) -> list[Any]:
        """Send packed commands, under `guarded`; returns their `count` replies when all is on disk."""
        pool: Any = self.redis.connection_pool
        connection = await pool.get_connection()
        try:
            wait = () if self._copies is None else connection.pack_command("WAITAOF", *self._waiting(self._copies))
            await connection.send_packed_command([*packed, *wait], check_health=False)
            replies = [await connection.read_response() for _ in range(count)]
            if self._copies is not None:
                _check_copies(await connection.read_response(), self._copies)
        except BaseException:
            # What is yet to come must not be taken for the answer to something else.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)
        return replies

    async def _required(self) -> tuple[int, int] | None:
        """Return on how many disks a write must be, here and on replicas; None where an answer says so already."""
        here = False if self.settings.allow_volatile else await self._waits_for_disk()
        replicas = self.settings.confirm_replicas
        if replicas and not await self._can_wait():
            raise ConfigError(
                f"LIVEREC_CONFIRM_REPLICAS is {replicas}, and only Redis 7.2, or Valkey, can wait for replicas;"
                " use one of them, or set it to 0"
            )
        return (int(here or not self.settings.allow_volatile), replicas) if here or replicas else None

    async def _waits_for_disk(self) -> bool:
        """Return whether the disk must be waited for; raises ConfigError for a store that is not durable."""
        config = {name: await self._option(name) for name in ("appendonly", "appendfsync", "maxmemory-policy")}
        if config["maxmemory-policy"] != "noeviction":
            raise ConfigError(
                f"the store's maxmemory-policy is {config['maxmemory-policy']}, which may throw away what must stay;"
                f" start it with --maxmemory-policy noeviction, {OR_VOLATILE}"
            )
        if config["appendonly"] == "yes" and config["appendfsync"] == "always":
            return False
        if config["appendonly"] == "yes" and config["appendfsync"] == "everysec" and await self._can_wait():
            return True
        raise ConfigError(
            "the store does not write to disk before it answers, so acknowledged ratings could be lost;"
            f" start it with --appendonly yes --appendfsync always, {OR_VOLATILE}"
        )

    async def _can_wait(self) -> bool:
        async with self.guarded():
            info = await self.redis.info("server")
        # WAITAOF came with Redis 7.2, from which Valkey split off.
        return tuple(int(part) for part in str(info["redis_version"]).split(".")[:2]) >= (7, 2)

    def _waiting(self, copies: tuple[int, int]) -> tuple[int, int, int]:
        # A little less than what ends the connection, so that the answer tells which copies are missing.
        return *copies, int(self.settings.store_timeout_seconds * 900)

    async def _option(self, name: str) -> str:
        async with self.guarded():
            try:
                values = await self.redis.config_get(name)
            except ResponseError as error:
                raise ConfigError(
                    f"the store does not tell its {name} ({error}); allow CONFIG GET, {OR_VOLATILE}"
                ) from error
        return "".join(value.decode() if isinstance(value, bytes) else str(value) for value in values.values())

    def _drop(self, is_open: bool) -> None:
        """Close the idle connections."""
        if is_open:
            task = asyncio.create_task(_disconnect(self.redis))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)


async def _disconnect(redis: Redis) -> None:
    with suppress(RedisError, OSError):
        await redis.connection_pool.disconnect(inuse_connections=False)


def _check_copies(found: tuple[int, int], wanted: tuple[int, int]) -> None:
    if found[0] < wanted[0] or found[1] < wanted[1]:
        raise StoreError(
            f"the store did not confirm that all is on disk: {found[0]} of {wanted[0]} here and {found[1]} of"
            f" {wanted[1]} on replicas; send it again, events with the same ids"
        )


def _queue(pipeline: Pipeline, script: AsyncScript, commands: Sequence[Command], further: Sequence[Command]) -> None:
    for keys, args in commands:
        pipeline.evalsha(script.sha, len(keys), *keys, *args)
    for names, args in further:
        pipeline.execute_command(*names, *args)


def _pool(url: str, settings: Settings) -> BlockingConnectionPool:
    try:
        pool = BlockingConnectionPool.from_url(
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
    return with_store_sockets(pool)
