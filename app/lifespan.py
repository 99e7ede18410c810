"""Lifespan: what a worker has open from its start to its end."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from app.bundle_watch import BundleWatch
from app.doors import Doors
from app.proven import NO_VOUCHERS, Proven, Vouchers, open_proven, open_proven_apart
from app.serving import Serving
from app.settings import Settings
from app.store import Store
from app.store_connection import StoreConnection
from engine.errors import ConfigError


class Lifespan:
    """Connects to the store, and has a bundle in service for each tenant and for those without one.

    Called with the app, it gives a context manager, as Starlette wants it.
    """

    def __init__(
        self, settings: Settings, proven: Proven | None, doors: Doors, vouchers: Vouchers = NO_VOUCHERS
    ) -> None:
        self._settings = settings
        self._proven = proven
        self._doors = doors
        self._vouchers = vouchers

    @asynccontextmanager
    async def __call__(self, app: FastAPI) -> AsyncIterator[dict[str, object]]:
        """Open all, and close all in the end. Raises ConfigError, BundleError and StoreError."""
        url = self._settings.redis_url
        if url is None:
            raise ConfigError("REDIS_URL is not set; start the service with `liverec serve`, which starts a store")
        app.state.servings, watches = dict[str, Serving](), list[BundleWatch]()
        async with AsyncExitStack() as stack:
            connection = await StoreConnection.connect(url.get_secret_value(), self._settings)
            stack.push_async_callback(connection.close)
            self._doors.metrics.follow(connection.breaker)
            self._doors.limits.share(connection)
            for tenant in ("", *self._settings.tenants):
                watches.append(await self._watch(app, connection, tenant))
                stack.push_async_callback(watches[-1].stop)
                await watches[-1].start()
            _on_hangup([watch.hurry for watch in watches])
            await stack.enter_async_context(self._doors.kept_up_to_date())
            # What is loaded now lives as long as the process: the collector need not look at it with every request.
            gc.collect()
            gc.freeze()
            yield {"metrics": self._doors.metrics}

    async def _watch(self, app: FastAPI, connection: StoreConnection, tenant: str) -> BundleWatch:
        """Return what has a tenant's bundle in service; it is yet to be started."""
        settings = self._settings.of_tenant(tenant)
        store = await Store.of(connection.of_tenant(tenant))

        def make(folder: Path) -> Serving:
            return self._serving(open_proven_apart(settings.model_copy(update={"bundle": folder})), store)

        def use(serving: Serving) -> None:
            app.state.servings[tenant] = serving

        # Nothing here may hold the first bundle: another may take its place.
        proven, self._proven = (self._proven, None) if not tenant else (None, self._proven)
        first = self._serving(proven or open_proven(settings, self._vouchers.get(tenant)), store)
        return BundleWatch(settings.bundle, first, make, use, settings.bundle_poll_seconds)

    def _serving(self, proven: Proven, store: Store) -> Serving:
        assert self._settings.redis_url is not None  # noqa: S101 (there is a connection to it)
        return Serving(*proven, store, self._settings.redis_url.get_secret_value(), self._doors.metrics)


def _on_hangup(acts: Sequence[Callable[[], None]]) -> None:
    def act() -> None:
        for each in acts:
            each()

    # Only the main thread gets signals.
    if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, act)
