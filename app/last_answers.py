"""LastAnswers: what a worker answered a moment ago, for when there is no time to compute anything."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from engine.recommendation import Recommendation

MOST = 1_000
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """An answer, the version of the history that it was computed from, and when it was (time.monotonic)."""

    recommendation: Recommendation
    version: int
    at: float


class LastAnswers:
    """The newest 1,000 answers, by user and question, each for a minute at most."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str], LastAnswer] = OrderedDict()

    def put(self, user_id: str, key: str, recommendation: Recommendation, version: int) -> None:
        """Remember an answer."""
        self._answers[user_id, key] = LastAnswer(recommendation, version, time.monotonic())
        self._answers.move_to_end((user_id, key))
        if len(self._answers) > MOST:
            self._answers.popitem(last=False)

    def get(self, user_id: str, key: str) -> LastAnswer | None:
        """Return an answer that is not too old."""
        answer = self._answers.get((user_id, key))
        return answer if answer is not None and time.monotonic() - answer.at < SECONDS else None

    def forget(self, user_id: str) -> None:
        """Forget all answers to a user."""
        for key in [key for key in self._answers if key[0] == user_id]:
            del self._answers[key]
