"""TenantStore: the store at REDIS_URL, for commands beside the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from app.settings import Settings
from app.store import Store
from app.store_connection import StoreConnection
from engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TenantStore:
    """Where the store is, and which tenant's part of it is meant."""

    url: str
    settings: Settings
    tenant: str

    @staticmethod
    def is_set() -> bool:
        """Tell whether REDIS_URL names a store."""
        return Settings.read().redis_url is not None

    @classmethod
    def of(cls, tenant: str = "") -> Self:
        """Read the settings; raises ConfigError without REDIS_URL."""
        settings = Settings.read()
        if settings.redis_url is None:
            raise ConfigError(
                "REDIS_URL is not set; it must name the store that the service uses (a private one is"
                f" unix://{settings.var.resolve()}/valkey/valkey.sock)"
            )
        return cls(settings.redis_url.get_secret_value(), settings, tenant)

    async def connection(self) -> StoreConnection:
        """Connect; raises StoreError if the store cannot be reached, ConfigError for an impossible tenant."""
        connection = await StoreConnection.connect(self.url, self.settings)
        try:
            return connection.of_tenant(self.tenant)
        except BaseException:
            await connection.close()
            raise

    async def connect(self) -> Store:
        """Connect, and check that the store fits; closing what is given closes the connection."""
        connection = await self.connection()
        try:
            return await Store.of(connection)
        except BaseException:
            await connection.close()
            raise
