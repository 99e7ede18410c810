"""Staging: which stage gives an answer, by the time that is left."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

from app.answer import DEADLINE, STORE_READ_ONLY
from app.deadline import Deadline, StageTime
from app.last_answers import LastAnswers
from app.options import RecommendOptions
from app.questions import Questions
from app.store import UserState
from engine.query import Query
from engine.recommendation import Recommendation, RecommendedItem
from engine.recommender import POPULAR, Recommender

CACHED = "cached"
MOST_REMEMBERED = 100
"""Longer answers, and explained ones, would take too much memory for how seldom they are needed again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what, and what is known of them.

    field: where the answer may be cached, empty where it may not; degraded: why the state may not be the newest.
    """

    user_id: str
    options: RecommendOptions
    state: UserState
    field: str = ""
    degraded: str | None = None
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Staged:
    """What a stage answered, from which version of the history, and why it is not what it should be."""

    recommendation: Recommendation
    version: int | None
    degraded: str | None


class Staging:
    """All stages, retrieval alone, what was answered a moment ago, what is popular: the first that is likely to fit."""

    def __init__(self, recommender: Recommender, questions: Questions) -> None:
        self.last = LastAnswers()
        self._recommender = recommender
        self._questions = questions
        self._times: defaultdict[tuple[object, ...], StageTime] = defaultdict(StageTime)

    def staged(self, asked: Asked, query: Query, deadline: Deadline) -> Staged:
        """Answer a query within a deadline, as far as computing is concerned."""
        version = asked.state.version if asked.is_known and asked.degraded in (None, STORE_READ_ONLY) else None
        if asked.degraded == DEADLINE:
            return self._last_or_popular(asked, query, version)
        if asked.options.model == POPULAR:
            return Staged(self._recommender.popular(query), version, asked.degraded)
        for is_hurried in (False, True):
            stage = self._times[_shape(asked.options, query, is_hurried=is_hurried)]
            if stage.fits(deadline.seconds):
                answer = self._computed(asked, query, stage, is_hurried=is_hurried)
                if not (asked.degraded or is_hurried):
                    self._remember(asked, answer)
                return Staged(answer, version, asked.degraded or (DEADLINE if is_hurried else None))
        return self._last_or_popular(asked, query, version)

    def _computed(self, asked: Asked, query: Query, stage: StageTime, *, is_hurried: bool) -> Recommendation:
        started = time.perf_counter()
        recommender = self._questions.recommender(asked.options.model, is_hurried=is_hurried)
        answer = recommender.recommend([query])[0]
        stage.learn(time.perf_counter() - started)
        return answer

    def _remember(self, asked: Asked, answer: Recommendation) -> None:
        if asked.field and len(answer.items) <= MOST_REMEMBERED and asked.options.explain == "none":
            self.last.put(asked.user_id, asked.options.key, answer, asked.state.version)

    def _last_or_popular(self, asked: Asked, query: Query, version: int | None) -> Staged:
        popular = self._recommender.popular(query)
        last = self.last.get(asked.user_id, asked.options.key) if asked.field else None
        if last is None or last.version < (asked.options.min_version or 0):
            return Staged(popular, version, DEADLINE)
        items = _topped_up(self._permitted(last.recommendation.items, query), popular)
        return Staged(Recommendation(items, CACHED), last.version, DEADLINE)

    def _permitted(self, items: Sequence[RecommendedItem], query: Query) -> list[RecommendedItem]:
        """Return those that the query still allows: not seen by now, not hidden, still fitting."""
        table = self._recommender.items
        rows = table.vocabulary.indices_of(item.item_id for item in items)
        fits = (rows >= 0) & ~table.rows.forbidden.hits(rows)
        if query.only is not None:
            fits &= query.only.contains(rows)
        taken = query.exclude if query.shows_seen else query.exclude | query.history.seen()
        return [item for item in compress(items, fits) if item.item_id not in taken]


def _shape(options: RecommendOptions, query: Query, *, is_hurried: bool) -> tuple[object, ...]:
    """Return what decides on how long a stage takes: each has a time of its own."""
    # Names of sources that do not exist were refused before, so there are few of these.
    return is_hurried, options.model, options.explain, query.n > MOST_REMEMBERED, query.diversity > 0


def _topped_up(items: list[RecommendedItem], popular: Recommendation) -> tuple[RecommendedItem, ...]:
    """Return as many items as the popular list has; what chance put there before is not said to be chance again."""
    here = {item.item_id for item in items}
    lowest = min((item.score for item in items), default=0.0)
    more = [replace(item, score=min(item.score, lowest)) for item in popular.items if item.item_id not in here]
    return tuple(replace(item, propensity=None) for item in [*items, *more][: len(popular.items)])
