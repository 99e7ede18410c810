"""On how many disks a write must be before it is acknowledged, and whether it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from engine.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from app.store_connection import StoreConnection

OR_VOLATILE = "or set LIVEREC_ALLOW_VOLATILE=true"


async def required_copies(connection: StoreConnection) -> tuple[int, int] | None:
    """Return on how many disks a write must be, here and on replicas; None where an answer says so already."""
    here = False if connection.settings.allow_volatile else await _waits_for_disk(connection)
    replicas = connection.settings.confirm_replicas
    if replicas and not await _can_wait(connection):
        raise ConfigError(
            f"LIVEREC_CONFIRM_REPLICAS is {replicas}, and only Redis 7.2, or Valkey, can wait for replicas;"
            " use one of them, or set it to 0"
        )
    return (int(here or not connection.settings.allow_volatile), replicas) if here or replicas else None


async def _waits_for_disk(connection: StoreConnection) -> bool:
    """Return whether the disk must be waited for; raises ConfigError for a store that is not durable."""
    config = {name: await _option(connection, name) for name in ("appendonly", "appendfsync", "maxmemory-policy")}
    if config["maxmemory-policy"] != "noeviction":
        raise ConfigError(
            f"the store's maxmemory-policy is {config['maxmemory-policy']}, which may throw away what must stay;"
            f" start it with --maxmemory-policy noeviction, {OR_VOLATILE}"
        )
    if config["appendonly"] == "yes" and config["appendfsync"] == "always":
        return False
    if config["appendonly"] == "yes" and config["appendfsync"] == "everysec" and await _can_wait(connection):
        return True
    raise ConfigError(
        "the store does not write to disk before it answers, so acknowledged ratings could be lost;"
        f" start it with --appendonly yes --appendfsync always, {OR_VOLATILE}"
    )


async def _can_wait(connection: StoreConnection) -> bool:
    async with connection.guarded():
        info = await connection.redis.info("server")
    # WAITAOF came with Redis 7.2, from which Valkey split off.
    return tuple(int(part) for part in str(info["redis_version"]).split(".")[:2]) >= (7, 2)


async def _option(connection: StoreConnection, name: str) -> str:
    async with connection.guarded():
        try:
            values = await connection.redis.config_get(name)
        except ResponseError as error:
            raise ConfigError(
                f"the store does not tell its {name} ({error}); allow CONFIG GET, {OR_VOLATILE}"
            ) from error
    return "".join(value.decode() if isinstance(value, bytes) else str(value) for value in values.values())


def check_copies(found: tuple[int, int], wanted: tuple[int, int]) -> None:
    """Raise StoreError unless a write is on so many disks, here and on replicas."""
    if found[0] < wanted[0] or found[1] < wanted[1]:
        raise StoreError(
            f"the store did not confirm that all is on disk: {found[0]} of {wanted[0]} here and {found[1]} of"
            f" {wanted[1]} on replicas; send it again, events with the same ids"
        )
