"""The service: a FastAPI app around one bundle and one store."""

from __future__ import annotations

import signal
from importlib import metadata

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from app.access import Access
from app.admission import Admission
from app.body_reading import BodyReading
from app.bulk_routes import bulk_router
from app.direct_routes import DIRECT_ROUTES, DirectRoutes
from app.doors import Doors
from app.draining_server import HAND_OVER
from app.feedback_routes import feedback_router
from app.item_routes import item_router, item_write_router
from app.lifespan import Lifespan
from app.list_routes import list_router
from app.middleware import RequestId
from app.parent import end_with_parent
from app.permits import Permits
from app.problems import install_problems
from app.proven import NO_VOUCHERS, Proven, Vouchers
from app.recommend_routes import recommend_router
from app.routes import metrics_router, router
from app.security_headers import SecurityHeaders, cors
from app.settings import Settings
from app.timed_route import describe_keys
from app.user_routes import user_admin_router, user_router

ROUTERS = (
    recommend_router,
    router,
    metrics_router,
    feedback_router,
    bulk_router,
    item_router,
    item_write_router,
    user_router,
    user_admin_router,
    list_router,
)
DESCRIPTION = "Recommendations that count every rating in the very next answer."


def create_app(
    settings: Settings | None = None, proven: Proven | None = None, vouchers: Vouchers = NO_VOUCHERS
) -> FastAPI:
    """Return the app; what is not given is read from the environment and opened, as each worker process does.

    vouchers: by tenant, what the process that started this one has found right of a bundle.
    """
    if settings is None:
        # This is a worker process, which must not outlive the one that started it, nor keep its address.
        end_with_parent(HAND_OVER)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    chosen = settings or Settings.read()
    doors = Doors.of(chosen, ROUTERS)
    # Swagger and ReDoc come from the package, not from a CDN: /docs works behind any firewall.
    app: FastAPI = FastAPIOffline(
        title="liverec",
        version=metadata.version("liverec"),
        description=DESCRIPTION,
        lifespan=Lifespan(chosen, proven, doors, vouchers),
        redirect_slashes=False,
    )
    for each in ROUTERS:
        app.include_router(each)
    describe_keys(app)
    install_problems(app)
    app.state.needs_keys = doors.keys is not None
    permits = Permits(chosen.max_concurrency, chosen.max_wait_ms / 1000)
    app.add_middleware(DirectRoutes, routes=DIRECT_ROUTES)
    app.add_middleware(BodyReading, settings=chosen, permits=permits, table=doors.table)
    if doors.keys is not None:
        app.add_middleware(Access, keys=doors.keys, table=doors.table, limits=doors.limits, metrics=doors.metrics)
    app.add_middleware(Admission, permits=permits, table=doors.table)
    if chosen.cors_origins:
        app.add_middleware(CORSMiddleware, **cors(chosen.cors_origins))
    app.add_middleware(RequestId)
    # Outermost, so that nothing is answered without them.
    app.add_middleware(SecurityHeaders, hsts_seconds=chosen.hsts_seconds)
    return app
