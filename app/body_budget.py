"""BodyBudget: how many bodies, and how many bytes of them, a worker has under way at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from fastapi import Response

from app.api_keys import ApiKey
from app.problems import RETRY_SECONDS, problem


class RefusedBodyError(Exception):
    """A body that is not read on, with the answer to it."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


class BodyBudget:
    """Bounds what is held of bodies, and how many are on their way; one alone always fits.

    Half of those on their way may be of one key: it cannot shut the others out.
    """

    def __init__(self, most_bytes: int, most_bodies: int) -> None:
        self._most_bytes = most_bytes
        self._most_bodies = most_bodies
        self._held = 0
        self._arriving: Counter[tuple[str, str] | None] = Counter()

    @contextmanager
    def arrival(self, key: ApiKey | None) -> Iterator[None]:
        """Count a body as on its way; raises RefusedBodyError if there are too many."""
        whose = None if key is None else (key.tenant, key.name)
        most = self._most_bodies if whose is None else max(1, self._most_bodies // 2)
        if self._arriving[whose] >= most or self._arriving.total() >= self._most_bodies:
            raise _crowded(
                f"{most} bodies are on their way to this worker (4 x LIVEREC_MAX_CONCURRENCY, half of it for one key)"
            )
        self._arriving[whose] += 1
        try:
            yield
        finally:
            self._arriving[whose] -= 1
            if not self._arriving[whose]:
                del self._arriving[whose]

    def hold(self, size: int, own: int) -> None:
        """Count bytes of a body that has `own` of them by now; raises RefusedBodyError if they do not fit."""
        self._held += size
        if size and self._most_bytes < self._held > own:
            raise _crowded(
                f"the bodies under way in this worker have {self._most_bytes} bytes (LIVEREC_MAX_BODIES_BYTES)"
            )

    def release(self, own: int) -> None:
        """Forget the bytes of a body."""
        self._held -= own


def _crowded(why: str) -> RefusedBodyError:
    return RefusedBodyError(problem(HTTPStatus.TOO_MANY_REQUESTS, f"{why}; try again", {"Retry-After": RETRY_SECONDS}))
