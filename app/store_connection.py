"""StoreConnection: how everything that is kept online reaches Redis or Valkey, and when it counts as written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from engine.errors import ConfigError, StoreError

Arguments = list[str | bytes | int | float]
Command = tuple[list[str], Sequence[str | bytes | int | float]]
OR_VOLATILE = "or set LIVEREC_ALLOW_VOLATILE=true"


class StoreConnection:
    """A pool of connections to a server that has proven to be durable; `run` returns after the disk has confirmed."""

    def __init__(self, redis: Redis, settings: Settings, namespace: Namespace = NO_TENANT) -> None:
        self.redis = redis
        self.settings = settings
        self.namespace = namespace
        self._waits_for_disk = False

    @classmethod
    async def connect(cls, url: str, settings: Settings) -> Self:
        """Connect, and check that the server writes to disk before it answers."""
        connection = cls(Redis.from_pool(_pool(url, settings)), settings)
        try:
            with reported():
                await connection.redis.ping()
                if not settings.allow_volatile:
                    await connection._check_durability()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.aclose()

    def within(self, tenant: str) -> StoreConnection:
        """Return the same connections, for the keys of a tenant; who closes one closes both."""
        other = StoreConnection(self.redis, self.settings, Namespace(tenant))
        other._waits_for_disk = self._waits_for_disk
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

    def script(self, *names: str) -> AsyncScript:
        """Return the script that these files of app/scripts make together."""
        folder = resources.files("app").joinpath("scripts")
        return self.redis.register_script("".join((folder / f"{name}.lua").read_text("utf-8") for name in names))

    async def run(self, script: AsyncScript, commands: Sequence[Command]) -> list[Any]:
        """Run a script once for each command, in one round trip that ends when all is on disk."""
        return await self._run(script, commands, (), waits=self._waits_for_disk)

    async def run_unconfirmed(
        self, script: AsyncScript, commands: Sequence[Command], further: Sequence[Command]
    ) -> list[Any]:
        """Like `run`, but without waiting for the disk; `further` are plain commands that go along."""
        return await self._run(script, commands, further, waits=False)

    async def _run(
        self, script: AsyncScript, commands: Sequence[Command], further: Sequence[Command], *, waits: bool
    ) -> list[Any]:
        with reported():
            try:
                return await self._send(script, commands, further, waits=waits)
            except NoScriptError:
                # A server that was restarted has forgotten its scripts; the plain commands were done.
                await self.redis.script_load(script.script)
                return await self._send(script, commands, (), waits=waits)

    async def _send(
        self, script: AsyncScript, commands: Sequence[Command], further: Sequence[Command], *, waits: bool
    ) -> list[Any]:
        async with self.redis.pipeline(transaction=False) as pipeline:
            _queue(pipeline, script, commands, further)
            if waits:
                pipeline.execute_command("WAITAOF", 1, 0, int(self.settings.store_timeout_seconds * 1000))
            replies: list[Any] = await pipeline.execute()
        if waits and replies[-1][0] < 1:
            raise StoreError("the store did not confirm that all is on disk; send it again, events with the same ids")
        return replies[: len(commands)]

    async def _check_durability(self) -> None:
        config = {name: await self._option(name) for name in ("appendonly", "appendfsync", "maxmemory-policy")}
        if config["maxmemory-policy"] != "noeviction":
            raise ConfigError(
                f"the store's maxmemory-policy is {config['maxmemory-policy']}, which may throw away what must stay;"
                f" start it with --maxmemory-policy noeviction, {OR_VOLATILE}"
            )
        if config["appendonly"] == "yes" and config["appendfsync"] == "always":
            return
        info = await self.redis.info("server")
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
            values = await self.redis.config_get(name)
        except ResponseError as error:
            raise ConfigError(
                f"the store does not tell its {name} ({error}); allow CONFIG GET, {OR_VOLATILE}"
            ) from error
        return "".join(value.decode() if isinstance(value, bytes) else str(value) for value in values.values())


@contextmanager
def reported() -> Iterator[None]:
    """Raise what the client library raises as StoreError."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreError(
            f"the store cannot be used ({type(error).__name__}: {error}); check that it runs and REDIS_URL"
        ) from error


def _queue(pipeline: Pipeline, script: AsyncScript, commands: Sequence[Command], further: Sequence[Command]) -> None:
    for keys, args in commands:
        pipeline.evalsha(script.sha, len(keys), *keys, *args)
    for names, args in further:
        pipeline.execute_command(*names, *args)


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
