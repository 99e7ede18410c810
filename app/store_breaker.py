"""StoreBreaker: while the store is away, nobody waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from pybreaker import STATE_OPEN, CircuitBreaker
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.store_failure import AWAY, StoreFailure
from app.store_guard import StoreGuard
from app.store_silence import Patience, StoreSilence
from engine.errors import StoreError

FAILURES = 5
"""So many calls in a row must fail before the store counts as away."""
NEVER = 1e9
logger = logging.getLogger("liverec")


class StoreBreaker:
    """Opens after several failures in a row; then calls fail at once until `probe` returns.

    probe: returns once the store answers as quickly as it should; only it asks a store that is away. on_failure gets
    the cause of each failure, on_change whether the breaker is open now. One per worker.
    """

    def __init__(self, probe: Callable[[], Awaitable[None]]) -> None:
        self.on_failure: Callable[[str], None] = lambda _cause: None
        self.on_change: list[Callable[[bool], None]] = []
        self._probe = probe
        # The library's own way back lets requests of users try: here it is never taken.
        self._breaker = CircuitBreaker(FAILURES, NEVER, exclude=[self._is_harmless], throw_new_error_on_trip=False)
        self.waiting: set[Patience] = set()
        self.silence = StoreSilence()
        self._recovery: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the store counts as away."""
        return self._breaker.current_state == STATE_OPEN

    def guarded(
        self,
        seconds: float,
        *,
        is_write: bool = False,
        blocks: bool = False,
        on_refusal: Callable[[], None] = lambda: None,
    ) -> StoreGuard:
        """Give what is done with the store a limit of time; raises StoreError, at once while the breaker is open.

        A read ends when others find that the store is away; a write may have been done, and waits to be told. What
        blocks waits for something to happen, so that it says nothing of how quick the store is. on_refusal is called
        if the store answers, but will not write.
        """
        return StoreGuard(self, seconds, is_write=is_write, blocks=blocks, on_refusal=on_refusal)

    def check(self) -> None:
        """Raise StoreError while the store is away."""
        if self.is_open:
            raise StoreError("the store is away; it is asked again all the time: try again, and check that it runs")

    def succeeded(self) -> None:
        """Say that the store did what it was asked."""
        # Otherwise there is nothing to tell the library.
        if self._breaker.fail_counter and not self.is_open:
            self._breaker.call(lambda: None)
        self.silence.end()

    def failed(self, error: BaseException, failure: StoreFailure | None) -> None:
        """Say how a call ended, and what that means if it is the store's doing."""
        if not self.is_open:
            with suppress(type(error)):
                self._breaker.call(_raise, error)
        if failure is not None:
            self.on_failure(failure.cause)
        elif isinstance(error, asyncio.CancelledError) and not self._is_harmless(error):
            self.on_failure("deadline")
        if self.is_open and self._recovery is None:
            self._recovery = asyncio.create_task(self._recover())

    async def close(self) -> None:
        """Stop probing."""
        if self._recovery is not None:
            self._recovery.cancel()
            with suppress(asyncio.CancelledError):
                await self._recovery

    def _is_harmless(self, error: BaseException) -> bool:
        """Return whether an error says nothing against the store: it answered, or was not asked for long enough."""
        if isinstance(error, asyncio.CancelledError) or _is_late(error):
            return not self.silence.is_long
        if is_answer := not isinstance(error, AWAY):
            self.silence.end()
        return is_answer

    async def _recover(self) -> None:
        self._tell()
        for patience in [*self.waiting]:
            patience.end()
        while self.is_open:
            try:
                await self._probe()
                self._breaker.close()
            except Exception:
                # Whatever it is: without another try the store would be away for ever.
                logger.exception("the store could not be probed; trying again")
                await asyncio.sleep(1)
        self.silence.end()
        self._recovery = None
        self._tell()

    def _tell(self) -> None:
        for each in self.on_change:
            each(self.is_open)


def _raise(error: BaseException) -> None:
    raise error


def _is_late(error: BaseException) -> bool:
    # The pool has a class of its own neither for what no connection was free for nor for what ends at its limit.
    return isinstance(error, TimeoutError | RedisTimeoutError) or isinstance(error.__cause__, TimeoutError)
