"""ServerConfig: how uvicorn runs the service."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import uvicorn

from app.bounded_protocol import BoundedProtocol
from app.connection_limits import ConnectionLimits
from app.settings import Settings

DRAIN_SECONDS = 10
"""After how many seconds a worker that was told to end does so, whatever is under way."""
READY_SECONDS = 60.0
"""How long a worker may take to become ready."""
HUNG_SECONDS = 15
"""How long a worker may give no sign of life."""


class ServerConfig(uvicorn.Config):
    """One app in this process, or the name of what makes it, for several."""

    def __init__(self, app: Callable[..., Any] | str, settings: Settings) -> None:
        super().__init__(
            app,
            host=settings.host,
            port=settings.port,
            http=BoundedProtocol,
            # The service speaks no websockets: who asks for one gets what the path gives.
            ws="none",
            factory=isinstance(app, str),
            workers=settings.workers,
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            timeout_worker_healthcheck=HUNG_SECONDS,
        )
        self.limits = ConnectionLimits.of(settings)
