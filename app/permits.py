"""Permits: how many requests of a worker are being worked on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

WINDOW_SECONDS = 0.1
BUSY_SHARE, BUSY_WINDOWS = 0.9, 5
"""A worker that was never idle for longer, for so many windows in a row, has more to do than it can."""
LEAST = 16
"""So many are let in even where each takes long."""
SCHEDULER = Path("/proc/thread-self/schedstat")
"""Nanoseconds that the thread ran, and that it waited for a processor (Linux, Documentation/scheduler/sched-stats)."""
Clock = Callable[[], float]


def busy_seconds() -> float:
    """Return for how long this thread has had something to do, whether or not it had a processor for it."""
    try:
        ran, waited, _ = SCHEDULER.read_bytes().split()
    except OSError:
        # Elsewhere nobody tells of the waiting: on a crowded machine such a worker counts as less busy than it is.
        return time.thread_time()
    return (int(ran) + int(waited)) / 1e9


class Permits:
    """Who waits for a body gives its permit back until that is there: a slow client keeps nobody out.

    There are `most` as long as the worker keeps up, so that a burst is let in. While it does not, there are only as
    many as are answered within `wait_seconds`, if that is set: who came on top would only make all others wait.
    """

    def __init__(
        self,
        most: int,
        wait_seconds: float | None = None,
        clock: Clock = time.perf_counter,
        busy_clock: Clock = busy_seconds,
    ) -> None:
        self.most = self.limit = most
        self._wait_seconds = wait_seconds
        self._clock, self._busy_clock = clock, busy_clock
        self._taken = self._patient = self._done = self._busy_windows = 0
        self._began, self._busy_began = clock(), busy_clock()

    def has_room(self, *, is_patient: bool = False) -> bool:
        """Return whether there is one left. Who is patient waits for turns of its own, and keeps nobody waiting."""
        if self._wait_seconds is not None:
            self._look(self._wait_seconds)
        return self._taken < self.most and (is_patient or self._taken - self._patient < self.limit)

    def take(self, *, is_patient: bool = False) -> None:
        """Take one. Who takes one without room must give it back at once."""
        self._taken += 1
        self._patient += is_patient

    def give(self, *, is_patient: bool = False, is_done: bool = True) -> None:
        """Give one back, for good or until what is waited for is there."""
        self._taken -= 1
        self._patient -= is_patient
        self._done += is_done

    def _look(self, wait_seconds: float) -> None:
        """Begin another window if it is time, after a look at the one that ends."""
        now = self._clock()
        if now - self._began < WINDOW_SECONDS:
            return
        busy_now = self._busy_clock()
        busy = busy_now - self._busy_began
        is_busy = busy >= BUSY_SHARE * (now - self._began)
        self._busy_windows = self._busy_windows + 1 if is_busy else 0
        self.limit = self.most
        if self._busy_windows >= BUSY_WINDOWS:
            self.limit = min(max(round(wait_seconds * self._done / busy), LEAST), self.most)
        self._began, self._busy_began, self._done = now, busy_now, 0
