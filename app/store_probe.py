"""StoreProbe: asks a store that is away until it is back."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from app.settings import Settings
from app.store_failure import AWAY

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.05, 0.25, 1.05
"""A store that is away for long is asked less often: each try costs a millisecond of a core."""
PATIENCE_SECONDS = 0.5
"""So long one connection is waited for: a network that is mended sends what it has lost again only after a while."""


class StoreProbe:
    """Each try has a connection of its own, so that it finds whoever is the primary by now."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._seconds = settings.read_timeout_seconds

    async def __call__(self) -> None:
        """Return once the store does what requests need of it, in the time that they have."""
        pause = FIRST_PAUSE
        while True:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._ask()
            except AWAY:
                await asyncio.sleep(pause)
                pause = min(pause * GROWTH, LONGEST_PAUSE)
            else:
                return

    async def _ask(self) -> None:
        redis: Any = Redis.from_url(self._url, retry=Retry(NoBackoff(), 0), max_connections=1)
        try:
            began, took = 0.0, self._seconds
            # What was asked of a server that slept comes late, and the next answer in time.
            while took >= self._seconds:
                began = time.perf_counter()
                # No PING: a server that is about to hand over to another answers that, and makes scripts wait.
                with suppress(ResponseError):
                    await redis.eval("return 1", 0)
                took = time.perf_counter() - began
        finally:
            await redis.aclose()
