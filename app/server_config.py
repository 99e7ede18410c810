"""ServerConfig: how uvicorn runs the service."""

from __future__ import annotations

import logging
from functools import partial

import uvicorn
from fastapi import FastAPI

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
    """One app in this process, or for several what makes it in each."""

    def __init__(self, app: FastAPI | partial[FastAPI], settings: Settings) -> None:
        super().__init__(
            app,
            host=settings.host,
            port=settings.port,
            http=BoundedProtocol,
            # The service speaks no websockets: who asks for one gets what the path gives.
            ws="none",
            factory=isinstance(app, partial),
            workers=settings.workers,
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            timeout_worker_healthcheck=HUNG_SECONDS,
        )
        self.limits = ConnectionLimits.of(settings)
