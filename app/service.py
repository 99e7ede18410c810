"""The service: a FastAPI app around one bundle and one store."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib import metadata
from pathlib import Path

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from app.admission import Admission
from app.body_budget import BodyBudget
from app.bundle_watch import BundleWatch
from app.feedback_routes import feedback_router
from app.item_routes import item_router
from app.list_routes import list_router
from app.metrics import Metrics
from app.middleware import BodyLimit, BodySizes, RequestId
from app.parent import end_with_parent
from app.problems import install_problems
from app.recommend_routes import recommend_router
from app.routes import router
from app.serving import Serving
from app.settings import Settings
from app.store import Store
from app.user_routes import user_router
from engine.bundle import Bundle
from engine.errors import ConfigError
from engine.recommender import Recommender

DESCRIPTION = "Recommendations that count every rating in the very next answer."


Proven = tuple[Bundle, Recommender]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[dict[str, object]]]


def create_app(settings: Settings | None = None, proven: Proven | None = None) -> FastAPI:
    """Return the app; what is not given is read from the environment and opened, as each worker process does."""
    if settings is None:
        # This is a worker process, which must not outlive the one that started it.
        end_with_parent()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    chosen = settings or Settings.read()
    # Swagger and ReDoc come from the package, not from a CDN: /docs works behind any firewall.
    app: FastAPI = FastAPIOffline(
        title="liverec",
        version=metadata.version("liverec"),
        description=DESCRIPTION,
        lifespan=_lifespan(chosen, proven),
        redirect_slashes=False,
    )
    app.include_router(recommend_router)
    app.include_router(router)
    app.include_router(feedback_router)
    app.include_router(item_router)
    app.include_router(user_router)
    app.include_router(list_router)
    install_problems(app)
    app.add_middleware(BodyLimit, sizes=_body_sizes(chosen))
    app.add_middleware(BodyBudget, most=chosen.max_bodies_bytes)
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


def _body_sizes(settings: Settings) -> BodySizes:
    return BodySizes(
        settings.max_body_bytes, settings.max_item_body_bytes, settings.max_image_bytes, settings.max_audio_bytes
    )


def _lifespan(settings: Settings, proven: Proven | None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        nonlocal proven
        if settings.redis_url is None:
            raise ConfigError("REDIS_URL is not set; start the service with `liverec serve`, which starts a store")
        async with AsyncExitStack() as stack:
            url = settings.redis_url.get_secret_value()
            store = await Store.connect(url, settings)
            stack.push_async_callback(store.close)
            metrics = Metrics()

            def make(folder: Path, given: Proven | None = None) -> Serving:
                opened = given or open_proven(settings.model_copy(update={"bundle": folder}))
                return Serving(*opened, store, url, metrics)

            def use(serving: Serving) -> None:
                app.state.serving = serving

            watch = BundleWatch(settings.bundle, make(settings.bundle, proven), make, use, settings.bundle_poll_seconds)
            # It holds the first bundle in memory.
            proven = None
            stack.push_async_callback(watch.stop)
            await watch.start()
            _on_hangup(watch.hurry)
            # What is loaded now lives as long as the process: the collector need not look at it with every request.
            gc.collect()
            gc.freeze()
            yield {"metrics": metrics}

    return lifespan


def _on_hangup(act: Callable[[], None]) -> None:
    # Only the main thread gets signals.
    if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, act)
