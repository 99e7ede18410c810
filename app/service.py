"""The service: a FastAPI app around one bundle and one store."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import metadata

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from app.admission import Admission
from app.middleware import BodyLimit, RequestId
from app.parent import end_with_parent
from app.problems import install_problems
from app.routes import router
from app.serving import Serving
from app.settings import Settings
from app.store import Store
from engine.bundle import Bundle
from engine.errors import ConfigError
from engine.recommender import Recommender

DESCRIPTION = "Recommendations that count every rating in the very next answer."


Proven = tuple[Bundle, Recommender]


def create_app(settings: Settings | None = None, proven: Proven | None = None) -> FastAPI:
    """Return the app; what is not given is read from the environment and opened, as each worker process does."""
    if settings is None:
        # This is a worker process, which must not outlive the one that started it.
        end_with_parent()
    chosen = settings or Settings.read()
    # Swagger and ReDoc come from the package, not from a CDN: /docs works behind any firewall.
    app: FastAPI = FastAPIOffline(
        title="liverec",
        version=metadata.version("liverec"),
        description=DESCRIPTION,
        lifespan=_lifespan(chosen, proven),
        redirect_slashes=False,
    )
    app.include_router(router)
    install_problems(app)
    app.add_middleware(BodyLimit, most=chosen.max_body_bytes)
    app.add_middleware(Admission, most=chosen.max_concurrency)
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


def _lifespan(settings: Settings, proven: Proven | None) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if settings.redis_url is None:
            raise ConfigError("REDIS_URL is not set; start the service with `liverec serve`, which starts a store")
        bundle, recommender = proven or open_proven(settings)
        store = await Store.connect(settings.redis_url.get_secret_value(), settings)
        app.state.serving = Serving(bundle, recommender, store, settings)
        # What is loaded now lives as long as the process: the collector need not look at it with every request.
        gc.collect()
        gc.freeze()
        yield
        await store.close()

    return lifespan
