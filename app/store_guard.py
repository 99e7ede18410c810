"""StoreGuard: what is asked of the store at one time, from its beginning to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from app.store_failure import StoreFailure, store_error
from app.store_silence import Patience

if TYPE_CHECKING:
    from app.store_breaker import StoreBreaker


class StoreGuard(AbstractAsyncContextManager[None]):
    """Bounds the time, tells the breaker how it ended, and raises what the client library raises as StoreError.

    A class, since it is entered with every request: a generator for each of its parts takes several times as long.
    """

    __slots__ = ("_blocks", "_breaker", "_is_write", "_limit", "_on_refusal", "_patience", "_question", "_seconds")

    def __init__(
        self, breaker: StoreBreaker, seconds: float, *, is_write: bool, blocks: bool, on_refusal: Callable[[], None]
    ) -> None:
        self._breaker = breaker
        self._seconds = seconds
        self._is_write = is_write
        self._blocks = blocks
        self._on_refusal = on_refusal

    async def __aenter__(self) -> None:
        """Begin; raises StoreError while the store is away."""
        self._breaker.check()
        self._question = None if self._blocks else self._breaker.silence.begin()
        self._limit = asyncio.timeout(None)
        await self._limit.__aenter__()
        self._patience = Patience(self._limit, self._seconds)
        if not self._is_write:
            self._breaker.waiting.add(self._patience)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End; raises StoreError for what went wrong with the store."""
        self._patience.stop()
        self._breaker.waiting.discard(self._patience)
        try:
            await self._limit.__aexit__(kind, error, traceback)
        except TimeoutError as late:
            error = late
        if self._question is not None:
            self._breaker.silence.leave(self._question)
        if error is None:
            self._breaker.succeeded()
            return
        failure = StoreFailure.of(error) if isinstance(error, RedisError | OSError) else None
        self._breaker.failed(error, failure)
        if failure is None:
            return
        if failure.refuses_writes:
            self._on_refusal()
        raise store_error(error) from error
