"""RateLimits: how many requests a key may make, counted for all workers together."""

from __future__ import annotations

import logging
import time

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from app.api_keys import MOST_KEYS, ApiKey
from app.metrics import Metrics
from app.store_connection import StoreConnection
from engine.errors import StoreError

PREFIX = "liverec:rate"
MOST_SECONDS = 0.1
"""How long the store may take to count: a request must not hang on it."""
AWAY_SECONDS = 1.0
"""How long a worker counts alone before it asks a store again that did not answer."""
MOST_REFUSED = 2 * MOST_KEYS
logger = logging.getLogger("liverec")


class RateLimits:
    """Counts over a sliding window, in one round trip to the store; while that is away, in each worker for itself."""

    def __init__(self, metrics: Metrics) -> None:
        self._alone = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._together: SlidingWindowCounterRateLimiter | None = None
        self._connection: StoreConnection | None = None
        self._metrics = metrics
        self._asks_from = 0.0
        self._free_from: dict[tuple[str, str, RateLimitItem], float] = {}

    def share(self, connection: StoreConnection) -> None:
        """Count in that store from now on, over its connections."""
        self._connection = connection
        pool: object = connection.redis.connection_pool
        storage = RedisStorage("async+redis://", implementation="redispy", key_prefix=PREFIX, connection_pool=pool)  # type: ignore[arg-type]
        self._together = SlidingWindowCounterRateLimiter(storage)

    async def wait(self, key: ApiKey) -> float | None:
        """Count a request; return None if the key may make it, else the seconds after which it may make another."""
        if key.limit is None:
            return None
        # With the limit: who is granted more may have more at once.
        bucket = key.tenant, key.name, key.limit
        # Who was refused is refused without asking again, until there may be room.
        if (left := self._free_from.get(bucket, 0.0) - time.monotonic()) > 0:
            return left
        seconds = await self._wait(key.limit, key.tenant, key.name)
        if seconds is None:
            self._free_from.pop(bucket, None)
        else:
            self._refuse_until(bucket, time.monotonic() + seconds)
        return seconds

    def _refuse_until(self, bucket: tuple[str, str, RateLimitItem], moment: float) -> None:
        if len(self._free_from) >= MOST_REFUSED:
            # Mostly of keys that are gone; who is refused still is found out again.
            self._free_from.clear()
        self._free_from[bucket] = moment

    async def _wait(self, limit: RateLimitItem, *bucket: str) -> float | None:
        now = time.monotonic()
        if self._together is not None and self._connection is not None and now >= self._asks_from:
            was_away = self._asks_from > 0
            # While one request tries, the others go on alone.
            self._asks_from = now + AWAY_SECONDS if was_away else 0.0
            try:
                async with self._connection.guarded(MOST_SECONDS):
                    seconds = await _asked(self._together, limit, *bucket)
            except StoreError:
                self._asks_from = time.monotonic() + AWAY_SECONDS
            else:
                self._asks_from = 0.0
                return seconds
        self._metrics.limited_alone.inc()
        return await _asked(self._alone, limit, *bucket)


async def _asked(limiter: SlidingWindowCounterRateLimiter, limit: RateLimitItem, *bucket: str) -> float | None:
    if await limiter.hit(limit, *bucket):
        return None
    stats = await limiter.get_window_stats(limit, *bucket)
    return min(max(stats.reset_time - time.time(), 0.0), limit.get_expiry())
