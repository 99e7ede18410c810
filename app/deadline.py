"""Deadline: how long an answer may take, and which stage of it still fits."""

from __future__ import annotations

import time
from typing import Any

from fastapi import Request

from app.middleware import ARRIVED
from engine.errors import QueryError

HEADER = "X-Deadline-Ms"
MAX_MILLISECONDS = 600_000
DEADLINE_PARAMETER: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Milliseconds that the answer may take; what does not fit is left out, and `degraded` says so",
    "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_MILLISECONDS},
}
LEARNT = 0.1
MARGIN = 1.5
FORGOTTEN = 0.95


class Deadline:
    """A moment after which an answer is of no use; without a limit it never comes. `began` as time.perf_counter."""

    def __init__(self, milliseconds: float | None, began: float | None = None) -> None:
        began = time.perf_counter() if began is None else began
        self._ends = None if milliseconds is None else began + milliseconds / 1000

    @property
    def seconds(self) -> float | None:
        """Seconds that are left, 0 if it has passed, None if there is no limit."""
        return None if self._ends is None else max(self._ends - time.perf_counter(), 0.0)


class StageTime:
    """How long a stage takes of late: a moving average, with a margin because some take longer."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def learn(self, seconds: float) -> None:
        """Take the time of one more run."""
        self._seconds = seconds if not self._seconds else self._seconds + LEARNT * (seconds - self._seconds)

    def fits(self, left: float | None) -> bool:
        """Return whether the stage is likely to end in time; what never fits is forgotten, and tried again."""
        if left is None:
            return True
        fits = left > 0 and MARGIN * self._seconds <= left
        if not fits:
            self._seconds *= FORGOTTEN
        return fits


def deadline_of(request: Request, default: float | None) -> Deadline:
    """Return the deadline that a request's header sets, or the default one; raises QueryError naming the header."""
    given, arrived = request.headers.get(HEADER), request.scope[ARRIVED]
    if given is None:
        return Deadline(default, arrived)
    try:
        milliseconds = float(given)
    except ValueError:
        milliseconds = 0.0
    if not 0 < milliseconds <= MAX_MILLISECONDS:
        raise QueryError(f"{HEADER}: {given!r:.50} is no number of milliseconds above 0 and up to {MAX_MILLISECONDS}")
    return Deadline(milliseconds, arrived)
