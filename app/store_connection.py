"""StoreConnection: how everything that is kept online reaches Redis or Valkey, and when it counts as written."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from typing import Any, Self

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from app.keys import NO_TENANT, Keys, Namespace
from app.settings import Settings, check_tenant
from app.shared_connection import SharedConnection
from app.store_breaker import StoreBreaker
from app.store_durability import check_copies, required_copies
from app.store_guard import StoreGuard
from app.store_probe import StoreProbe
from app.store_socket import with_store_sockets
from engine.errors import ConfigError, StoreError

Arguments = list[str | bytes | int | float]
Command = tuple[list[str], Sequence[str | bytes | int | float]]
Queue = Sequence[tuple[str | bytes | int | float, ...]]
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
        # What may wait for the disk does not share one with what is read meanwhile.
        self._reads, self._writes = SharedConnection(redis.connection_pool), SharedConnection(redis.connection_pool)
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
                await asyncio.gather(connection._reads.open(), connection._writes.open())
            connection._copies = await required_copies(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Close all connections."""
        await self.breaker.close()
        self._reads.close()
        self._writes.close()
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

    def guarded(self, seconds: float | None = None, *, is_write: bool = False, blocks: bool = False) -> StoreGuard:
        """Bound the time of what is asked of the server; raises StoreError, at once while it is away."""
        most = seconds or self.settings.store_timeout_seconds
        return self.breaker.guarded(most, is_write=is_write, blocks=blocks, on_refusal=self._refused)

    def reading(self) -> StoreGuard:
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

    async def ask(self, script: AsyncScript, keys: Sequence[str], args: Sequence[str | bytes | int | float]) -> Any:  # noqa: ANN401 (any type of reply)
        """Run a script that only reads, within the time that the caller sets."""
        command = ("EVALSHA", script.sha, len(keys), *keys, *args)
        try:
            return (await self._reads.ask((command,)))[0]
        except NoScriptError:
            await self.redis.script_load(script.script)
            return (await self._reads.ask((command,)))[0]

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
        queue = [("EVALSHA", script.sha, len(keys), *keys, *args) for keys, args in commands]
        queue += [(*names, *args) for names, args in further]
        if copies is None:
            return (await self._writes.ask(queue))[: len(commands)]
        replies = await self._send_and_wait(queue, copies)
        check_copies(replies[-1], copies)
        return replies[: len(commands)]

    async def _send_and_wait(
        self, queue: Sequence[tuple[str | bytes | int | float, ...]], copies: tuple[int, int]
    ) -> list[Any]:
        """Send commands, and return their replies with how many copies there are; others must not wait behind it."""
        async with self.redis.pipeline(transaction=False) as pipeline:
            for command in queue:
                pipeline.execute_command(*command)
            pipeline.execute_command("WAITAOF", *self._waiting(copies))
            replies: list[Any] = await pipeline.execute()
        return replies

    async def exchange(self, packed: Sequence[bytes], count: int) -> list[Any]:
        """Send packed commands, under `guarded`; returns their `count` replies when all is on disk."""
        pool: Any = self.redis.connection_pool
        connection = await pool.get_connection()
        try:
            wait = () if self._copies is None else connection.pack_command("WAITAOF", *self._waiting(self._copies))
            await connection.send_packed_command([*packed, *wait], check_health=False)
            replies = [await connection.read_response() for _ in range(count)]
            if self._copies is not None:
                check_copies(await connection.read_response(), self._copies)
        except BaseException:
            # What is yet to come must not be taken for the answer to something else.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)
        return replies

    def _waiting(self, copies: tuple[int, int]) -> tuple[int, int, int]:
        # A little less than what ends the connection, so that the answer tells which copies are missing.
        return *copies, int(self.settings.store_timeout_seconds * 900)

    def _refused(self) -> None:
        self._writes_again_at = time.monotonic() + REFUSED_SECONDS
        self.renew()

    def _drop(self, is_open: bool) -> None:
        """Have all connect anew."""
        if is_open:
            self._reads.renew()
            self._writes.renew()
            task = asyncio.create_task(_disconnect(self.redis))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)


async def _disconnect(redis: Redis) -> None:
    with suppress(RedisError, OSError):
        await redis.connection_pool.disconnect(inuse_connections=False)


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
