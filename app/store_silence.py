"""StoreSilence and Patience: time that this process had turns in, so that a busy process is not taken for a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TURN_SECONDS = 0.01
LONG_TURNS = 10
"""A store has been silent for long that was asked, and answered nobody, for so many turns."""
LIMIT_TURNS = 10
"""A limit of time ends after so many turns: what came meanwhile is read between two of them."""


class StoreSilence:
    """Counts the turns in which the store was asked and answered nobody, whichever of its connections that was.

    What ends within a turn tells nothing, and what waits for a connection while others are answered is not silence.
    """

    def __init__(self) -> None:
        self._turns = 0
        # In the order in which they began, so that the first is the oldest.
        self._asked: dict[object, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_long(self) -> bool:
        """Whether the store had time enough to answer."""
        return self._turns >= LONG_TURNS

    def begin(self) -> object:
        """Say that the store is being asked; who says so must `leave`."""
        question = object()
        self._asked[question] = _now()
        if self._timer is None:
            self._timer = _later(TURN_SECONDS, self._turn)
        return question

    def leave(self, question: object) -> None:
        """Say that nobody waits for an answer to a question any more."""
        del self._asked[question]

    def end(self) -> None:
        """Say that the store has answered somebody."""
        self._turns = 0

    def _turn(self) -> None:
        oldest = next(iter(self._asked.values()), None)
        self._turns += oldest is not None and _now() - oldest >= TURN_SECONDS
        self._timer = None if oldest is None else _later(TURN_SECONDS, self._turn)


class Patience:
    """Ends a timeout after so many seconds, and later if this process had no turns meanwhile."""

    def __init__(self, limit: asyncio.Timeout, seconds: float) -> None:
        self._limit = limit
        self._each = seconds / LIMIT_TURNS
        self._turns = LIMIT_TURNS
        self._timer = _later(self._each, self._turn)

    def stop(self) -> None:
        """Let the timeout be."""
        self._timer.cancel()

    def end(self) -> None:
        """End it now."""
        if not self._limit.expired():
            self._limit.reschedule(_now())

    def _turn(self) -> None:
        self._turns -= 1
        if self._turns:
            self._timer = _later(self._each, self._turn)
        else:
            self.end()


def _later(seconds: float, what: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, what)


def _now() -> float:
    return asyncio.get_running_loop().time()
