"""The service: a FastAPI app around one bundle and one store."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import Self

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from app.access import Access, ScopeTable
from app.admission import Admission
from app.api_keys import ApiKeys
from app.body_budget import BodyBudget
from app.feedback_routes import feedback_router
from app.item_routes import item_router, item_write_router
from app.list_routes import list_router
from app.metrics import Metrics
from app.middleware import BodyLimit, BodySizes, RequestId
from app.parent import end_with_parent
from app.problems import install_problems
from app.rate_limits import RateLimits
from app.recommend_routes import recommend_router
from app.routes import metrics_router, router
from app.security_headers import SecurityHeaders, cors
from app.serving import Serving
from app.settings import Settings
from app.store import Store
from app.store_connection import StoreConnection
from app.timed_route import declared_routes, describe_keys
from app.user_routes import user_admin_router, user_router
from engine.bundle import Bundle
from engine.errors import ConfigError
from engine.recommender import Recommender

ROUTERS = (
    recommend_router,
    router,
    metrics_router,
    feedback_router,
    item_router,
    item_write_router,
    user_router,
    user_admin_router,
    list_router,
)
DESCRIPTION = "Recommendations that count every rating in the very next answer."


Proven = tuple[Bundle, Recommender]


@dataclass(frozen=True, slots=True)
class Doors:
    """What decides who comes in, and counts it: made with the app, of use once its store is there."""

    metrics: Metrics
    limits: RateLimits
    table: ScopeTable
    keys: ApiKeys | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises ConfigError if the file of keys cannot be used."""
        metrics = Metrics()
        keys = None if settings.keys is None else ApiKeys(settings.keys, settings.tenants, metrics)
        return cls(metrics, RateLimits(metrics), ScopeTable(declared_routes(ROUTERS)), keys)

    @asynccontextmanager
    async def kept_up_to_date(self) -> AsyncIterator[None]:
        """Take over what becomes of the keys, as long as this lasts."""
        task = None if self.keys is None else asyncio.create_task(self.keys.follow())
        try:
            yield
        finally:
            if task is not None:
                task.cancel()


def create_app(settings: Settings | None = None, proven: Proven | None = None) -> FastAPI:
    """Return the app; what is not given is read from the environment and opened, as each worker process does."""
    if settings is None:
        # This is a worker process, which must not outlive the one that started it.
        end_with_parent()
    chosen = settings or Settings.read()
    doors = Doors.of(chosen)
    # Swagger and ReDoc come from the package, not from a CDN: /docs works behind any firewall.
    app: FastAPI = FastAPIOffline(
        title="liverec",
        version=metadata.version("liverec"),
        description=DESCRIPTION,
        lifespan=_lifespan(chosen, proven, doors),
        redirect_slashes=False,
    )
    for each in ROUTERS:
        app.include_router(each)
    describe_keys(app)
    install_problems(app)
    app.state.needs_keys = doors.keys is not None
    app.add_middleware(BodyLimit, sizes=_body_sizes(chosen))
    app.add_middleware(BodyBudget, most=chosen.max_bodies_bytes)
    if doors.keys is not None:
        app.add_middleware(Access, keys=doors.keys, table=doors.table, limits=doors.limits, metrics=doors.metrics)
    app.add_middleware(Admission, most=chosen.max_concurrency)
    if chosen.cors_origins:
        app.add_middleware(CORSMiddleware, **cors(chosen.cors_origins))
    app.add_middleware(SecurityHeaders, hsts_seconds=chosen.hsts_seconds)
    app.add_middleware(RequestId)
    return app


def open_proven(settings: Settings) -> Proven:
    """Open the bundle, check every byte of it, and have it recompute its probe.

    Raises BundleError, and ConfigError where the store keeps less of a history than the networks read.
    """
    bundle = Bundle.open(settings.bundle)
    if settings.history_limit < bundle.longest_read:
        raise ConfigError(
            f"LIVEREC_HISTORY_LIMIT is {settings.history_limit}, and the networks of {settings.bundle} read"
            f" {bundle.longest_read} events of a history; set it to at least {bundle.longest_read}"
        )
    recommender = bundle.recommender()
    bundle.probe.check(recommender)
    return bundle, recommender


async def build_serving(proven: Proven, connection: StoreConnection, metrics: Metrics, tenant: str = "") -> Serving:
    """Return what answers for a tenant, or for all who have none, on a connection to the store of them all.

    Its `items.tail` is yet to be started. Raises ConfigError, and StoreError.
    """
    url = connection.settings.redis_url
    assert url is not None  # noqa: S101 (there is a connection to it)
    store = await Store.of(connection.of_tenant(tenant))
    return Serving(*proven, store, url.get_secret_value(), metrics)


def _body_sizes(settings: Settings) -> BodySizes:
    return BodySizes(
        settings.max_body_bytes, settings.max_item_body_bytes, settings.max_image_bytes, settings.max_audio_bytes
    )


def _lifespan(
    settings: Settings, proven: Proven | None, doors: Doors
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if settings.redis_url is None:
            raise ConfigError("REDIS_URL is not set; start the service with `liverec serve`, which starts a store")
        async with AsyncExitStack() as stack:
            connection = await StoreConnection.connect(settings.redis_url.get_secret_value(), settings)
            stack.push_async_callback(connection.close)
            doors.limits.share(connection)
            servings = app.state.servings = dict[str, Serving]()
            for tenant in ("", *settings.tenants):
                opened = proven if proven and not tenant else open_proven(settings.of_tenant(tenant))
                servings[tenant] = await build_serving(opened, connection, doors.metrics, tenant)
                stack.push_async_callback(servings[tenant].items.tail.stop)
                await servings[tenant].items.tail.start()
            await stack.enter_async_context(doors.kept_up_to_date())
            # What is loaded now lives as long as the process: the collector need not look at it with every request.
            gc.collect()
            gc.freeze()
            yield

    return lifespan
